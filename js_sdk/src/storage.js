/**
 * Short texts by name: on disk (localStorage), and in memory where that is missing, denied, full or not permitted. Never
 * throws. Bounded by what is kept in it: six short texts, and the queue.
 */
import { newId } from "./ids.js";
import { settings } from "./settings.js";

/** @type {Record<string, string>} what may not be on the disk, or has no room there */
const memory = {};
/** @type {Record<string, string>} the localStorage when permitted */
let disk = memory;

/** @param {string} name with its underscore @returns {string} its key on disk */
const keyOf = (name) => settings.global + name;

/** @param {string} name @returns {string | undefined} */
export const load = (name) => memory[keyOf(name)] ?? disk[keyOf(name)];

/** @param {string} name @param {any} [text] none removes it */
export const store = (name, text) => {
  const key = keyOf(name);
  delete memory[key];
  try {
    // Over the old one, not after it is gone: another tab must see one of the two at any moment.
    if (text) disk[key] = `${text}`;
    else delete disk[key];
  } catch {
    delete disk[key]; // there is no room for the new, and the old is no longer true
    memory[key] = `${text}`;
  }
};

/** @param {string} start @returns {string[]} the names that start so, sorted */
export const names = (start) =>
  [...new Set([...Object.keys(disk), ...Object.keys(memory)])]
    .filter((key) => key.startsWith(keyOf(start)))
    .map((key) => key.replace(settings.global, ""))
    .sort();

/** @param {unknown} allowed whether the disk may be used from now on */
export const permit = (allowed) => {
  disk = memory;
  try {
    if (allowed) disk = localStorage; // the mere look at it throws where it is denied
  } catch {}
};

/** What waited in memory for the permission, or for room, goes to the disk. Of nothing, as a rule. */
export const settleDown = () => {
  for (const key in memory) store(key.replace(settings.global, ""), memory[key]);
};

/** Forget everything, on disk too if it is in use. */
export const wipe = () => {
  for (const name of names("_")) store(name);
};

/**
 * The device's own random id. None with data-storage="none".
 *
 * @param {string} [id] becomes the visitor's @returns {string | undefined} made when first asked for
 */
export const visitor = (id = load("_id") ?? newId()) => {
  if (settings.storage === "none") return;
  store("_id", id);
  return id;
};
