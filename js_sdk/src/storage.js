/**
 * Short texts by name: on disk (localStorage), and in memory where that is missing, denied, full or not permitted. Never
 * throws. Bounded by what is kept in it: six short texts, and the queue.
 */
import { settings } from "./settings.js";

/** @type {Record<string, string>} what the disk does not hold, so newer than the disk */
const memory = {};
/** @type {any} the localStorage; nothing until permitted */
let disk;

/** @param {string} name @returns {string} its key on disk */
export const keyOf = (name) => `${settings.global ?? "footfall"}_${name}`;

/** @template T @param {() => T} use @returns {T | undefined} */
export const attempt = (use) => {
  try {
    return use();
  } catch {}
  return undefined;
};

/** @param {string} name @returns {string | undefined} */
export const load = (name) => memory[name] ?? attempt(() => disk[keyOf(name)]);

/** @param {string} name @param {any} [text] none removes it */
export const store = (name, text) => {
  delete memory[name];
  if (text) memory[name] = `${text}`;
  attempt(() => {
    delete disk[keyOf(name)]; // so that nothing old is left where there is no room for the new
    if (text) disk[keyOf(name)] = text;
    delete memory[name];
  });
};

/** @param {string} start @returns {string[]} the names that start so, sorted */
export const names = (start) =>
  Object.keys(attempt(() => ({ ...disk })) ?? {})
    .map((key) => key.replace(keyOf(""), ""))
    .concat(Object.keys(memory))
    .filter((name) => name.startsWith(start))
    .sort();

/** @param {unknown} allowed whether the disk may be used from now on */
export const permit = (allowed) => {
  disk = allowed ? attempt(() => localStorage) : undefined; // the mere look at it throws where it is denied
};

/** What waited in memory for the permission, or for room, goes to the disk. */
export const settleDown = () => {
  for (const name of Object.keys(memory)) store(name, memory[name]);
};

/** Forget everything, on disk too if it is in use. */
export const wipe = () => {
  for (const name of names("")) store(name);
};
