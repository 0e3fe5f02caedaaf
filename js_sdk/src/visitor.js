/** The device's own random id. None with data-storage="none". */
import { newId } from "./ids.js";
import { settings } from "./settings.js";
import { load, store } from "./storage.js";

/** @param {string} [id] becomes the visitor's @returns {string | undefined} made when first asked for */
export const visitor = (id) => {
  if (settings.storage === "none") return;
  id ??= load("id") ?? newId();
  store("id", id);
  return id;
};
