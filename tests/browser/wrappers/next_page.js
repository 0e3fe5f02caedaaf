import { hydrateRoot } from "react-dom/client";
import { app } from "./next_app.js";

window.hydrated = () => hydrateRoot(document, app(window.settings));
window.hydrated();
