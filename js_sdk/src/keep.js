/**
 * The queue's copy on disk. Each page owns one entry, so that two tabs never overwrite each other, and renews a lease in
 * it; an entry whose lease is over belongs to a page that is gone, and the next page to look takes its events. An event
 * may so be sent twice, which its message id makes harmless; it is never lost.
 *
 *     queue_<write key>_<page id>  =  <lease end in ms> \n <event> \n <event> …
 */
import { writeKey } from "./config.js";
import { newId } from "./ids.js";
import { load, names, store } from "./storage.js";

// Longer than a batch waits and a request may take together (1 s + 30 s), so that a page at work is not robbed.
const LEASE_MS = 45_000;
// A lease further off than any page writes one comes from a clock that was wrong.
const LEASE_MS_MAX = 7_200_000;

const START = `queue_${writeKey}_`;
const MINE = START + newId();

/** @param {string} line @returns {boolean} whether it can go into a batch without spoiling it */
const isEvent = (line) => {
  try {
    return !!JSON.parse(line).messageId;
  } catch {
    return false;
  }
};

/** @param {string[]} events @param {number} untilMs when the next attempt is due; 0 leaves them to whoever looks */
export const save = (events, untilMs) =>
  store(MINE, events.length ? [untilMs && Math.max(untilMs, Date.now()) + LEASE_MS, ...events].join("\n") : "");

/** @param {StorageEvent} change @returns {boolean} whether another page of this site gave its events away */
export const isLeft = ({ key, newValue }) => !!key?.includes(START) && /^0\n/.test(newValue ?? "");

/**
 * @param {(events: string[]) => void} take has saved them when it returns
 * @returns {number} ms until the next lease of another page ends, 0 when there is none
 */
export const adopt = (take) => {
  let next = 0;
  for (const name of names(START)) {
    if (name === MINE) continue;
    const [lease, ...lines] = load(name).split("\n");
    const left = Number(lease) - Date.now();
    if (left > 0 && left < LEASE_MS_MAX) {
      next = Math.min(next || left, left);
    } else {
      take(lines.filter(isEvent));
      store(name, "");
    }
  }
  return next;
};
