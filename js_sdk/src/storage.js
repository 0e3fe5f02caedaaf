/**
 * Text that outlives the page: localStorage, and memory where that is missing, denied or full. Never throws. Bounded by
 * what is kept in it: five short texts, and one queue of at most QUEUE_CHARS_MAX characters for each open page.
 */

const PREFIX = "footfall_";

/** @type {Record<string, string | undefined>} what the disk refused, so newer than the disk */
const memory = {};

/** @template T @param {() => T} use @returns {T | undefined} */
const attempt = (use) => {
  try {
    return use(); // the mere look at localStorage throws where it is denied
  } catch {
    return undefined;
  }
};

/** @param {string} name @returns {string} empty when there is none */
export const load = (name) => memory[name] ?? attempt(() => localStorage.getItem(PREFIX + name)) ?? "";

/** @param {string} name @param {string} text */
export const store = (name, text) => {
  memory[name] = text;
  attempt(() => {
    if (text) localStorage.setItem(PREFIX + name, text);
    else localStorage.removeItem(PREFIX + name);
    delete memory[name];
  });
};

/** @param {string} start @returns {string[]} the names on disk that start so */
export const names = (start) =>
  attempt(() => Object.keys(localStorage).filter((key) => key.startsWith(PREFIX + start)))?.map((key) =>
    key.slice(PREFIX.length),
  ) ?? [];
