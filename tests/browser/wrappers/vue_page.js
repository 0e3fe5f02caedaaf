import { app } from "./vue_app.js";

app(window.settings).mount("#app");
