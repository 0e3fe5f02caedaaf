import { hydrateRoot } from "react-dom/client";
import { app } from "./react_app.js";

hydrateRoot(document.getElementById("app"), app(window.settings));
