/**
 * Events waiting to be sent, oldest first, each as its JSON text. Bounded: when full the oldest goes and is counted,
 * because the newest say most about the visit still open. Pure state: no timer, network or storage.
 */
import { bytesOf } from "./json.js";

// About 300 events. localStorage holds some five million characters for the whole site, and all its tabs share them.
export const QUEUE_CHARS_MAX = 200_000;

/** @type {string[]} */
let events = [];
/** @type {Set<string>} those in a request that has no answer yet; they stay in the queue until it has one */
const flying = new Set();
let lost = 0;

/** @param {string[]} texts what is here already is not added again @param {boolean} [older] they come before the others */
export const add = (texts, older) => {
  events = [...new Set(older ? [...texts, ...events] : [...events, ...texts])];
  let chars = 0;
  for (let i = events.length; i--; ) {
    chars += events[i]?.length ?? 0;
    if (chars > QUEUE_CHARS_MAX) {
      lost += i + 1;
      events = events.slice(i + 1);
      break;
    }
  }
};

/** @returns {string[]} all, in flight or not */
export const all = () => events;

/** @returns {string[]} those not in flight */
export const waiting = () => events.filter((text) => !flying.has(text));

/** @returns {number} how many events this page gave up */
export const dropped = () => lost;

/** @param {number} count @param {number} bytes @returns {string[]} the oldest that fit, at least one; now in flight */
export const take = (count, bytes) => {
  let room = bytes;
  const taken = waiting()
    .slice(0, count)
    .filter((text, i) => {
      room -= bytesOf(text) + 1;
      return !i || room >= 0;
    });
  for (const text of taken) flying.add(text);
  return taken;
};

/** @param {string[]} texts not delivered: they wait again in their old place */
export const land = (texts) => {
  for (const text of texts) flying.delete(text);
};

/** @param {string[]} texts delivered, or given up */
export const remove = (texts, givenUp = false) => {
  land(texts);
  events = events.filter((text) => !texts.includes(text));
  if (givenUp) lost += texts.length;
};
