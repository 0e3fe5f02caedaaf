/**
 * Events waiting to be sent: each an entry of its own in storage, so that tabs share one queue without ever writing over
 * each other, and what a page left behind is simply there for the next one.
 *
 *     queue_<write key>_<message id> <consent categories>  =  <event as JSON>
 *
 * Message ids are UUIDv7, so sorted names are the order of events. Bounded: when full the oldest goes and is counted, because
 * the newest say most about the visit still open. An entry goes when a server has answered for it, and not before.
 */
import { categories } from "./consent.js";
import { bytesOf } from "./json.js";
import { settings } from "./settings.js";
import { load, names, store } from "./storage.js";

// Of at most 30,000 bytes each, and of 700 as a rule.
export const QUEUE_EVENTS_MAX = 300;

/** @type {Set<string>} names of those in a request that has no answer yet */
const flying = new Set();

/** @returns {string} what the names of this key's events start with */
export const queueName = () => `queue_${settings.writeKey}_`;

/** @returns {string[]} the names of all, in flight or not, of this page and others */
export const waiting = () => names(queueName());

/** @param {string[]} words message id, categories of consent that it needs @param {string} text */
export const add = (words, text) => store(queueName() + words.join(" "), text);

/** Give up the oldest beyond what the queue may hold. @returns {number} how many */
export const trim = () => {
  const oldest = waiting().slice(0, -QUEUE_EVENTS_MAX);
  for (const name of oldest) store(name);
  return oldest.length;
};

/**
 * @param {number} count
 * @param {number} bytes
 * @returns {string[]} the names of the oldest that fit, at least one if there is one; now in flight
 */
export const take = (count, bytes) => {
  const taken = [];
  for (const name of waiting()) {
    const [, ...needs] = name.split(" ");
    if (categories && !needs.every((category) => categories?.[category])) store(name);
    else if (!flying.has(name)) {
      bytes -= bytesOf(load(name) ?? "") + 1;
      if (taken[0] && (taken.length >= count || bytes < 0)) break;
      flying.add(name);
      taken.push(name);
    }
  }
  return taken;
};

/** @param {string[]} taken have an answer @param {unknown} done whether they need not be sent again */
export const land = (taken, done) => {
  for (const name of taken) {
    flying.delete(name);
    if (done) store(name);
  }
};
