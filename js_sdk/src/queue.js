/**
 * Events waiting to be sent, and when they are: each an entry of its own in storage, so that tabs share one queue without
 * ever writing over each other, and what a page left behind is simply there for the next one.
 *
 *     _queue_<write key>_<message id>[,<consent category> …]  =  <event as JSON>
 *
 *     push -> queue -> each second while there is something, or at once when the page is left -> request
 *     2xx: gone from the queue.   400, 413: again in halves.   another answer, or none: wait, then again.
 *
 * Message ids are UUIDv7, so sorted names are the order of events. Bounded: when full the oldest goes and is counted, because
 * the newest say most about the visit still open. One tab sends at a time, for all of them, under a Web Lock; where there
 * are none each sends, and the collector knows a second copy by its message id. A leaving page sends without asking. An
 * event leaves the queue only when the collector has said 2xx, or when it alone is too large or unreadable for it. A refused
 * key is waited out as well: whoever mistyped it will want the events.
 */
import { categories, decide, state } from "./consent.js";
import { pass } from "./guard.js";
import { bytesOf, toJson } from "./json.js";
import { settings } from "./settings.js";
import { load, names, store } from "./storage.js";

// Of at most 30,000 bytes each, and of 700 as a rule.
export const QUEUE_EVENTS_MAX = 300;
const BATCH_MS = 1000;
const BATCH_EVENTS_MAX = 100;
// A page may have 64 KiB of keepalive requests under way (Fetch standard, "keepalive"); one byte more and the browser
// refuses. Half of that leaves room for the last batch of a leaving page beside one that is under way.
const BATCH_BYTES_MAX = 30_000;
const FIRST_MS = 1000;
const WAIT_MS_MAX = 60_000;
// A server may ask for more patience than that, but a slip of its hand must not silence the tag for a day.
const RETRY_AFTER_MS_MAX = 3_600_000;

/** @type {Set<string>} names of those in a request that has no answer yet */
const flying = new Set();
/** @type {any} */
let timer;
let failures = 0;
let countMax = BATCH_EVENTS_MAX;
let letGo = () => {};
/** Until the next look at the queue; longer after no answer came. */
let pauseMs = BATCH_MS;

/** What all events of a request share; dropped counts those this page gave up, so that loss is not guessed. @type {any} */
export const context = { library: { name: "footfall.js", version: VERSION }, dropped: 0 };

/** What status() tells of deliveries; lastStatus 0: no answer. @type {{sent: number, lastStatus?: number, lastError?: unknown}} */
export const record = { sent: 0 };

/**
 * How long to wait before the next attempt. Doubling with jitter, so that the visitors of a site that was down do not all
 * come back in one second; never sooner than the server's Retry-After says. Pure.
 *
 * @param {any} retryAfter the header's seconds; a date counts as nothing, because this clock may be wrong
 * @param {number} failures in a row, from 0
 * @param {number} random 0 to 1
 * @returns {number} ms
 */
export const waitMs = (retryAfter, failures, random) =>
  Math.min(retryAfter * 1000 || 0, RETRY_AFTER_MS_MAX) +
  (Math.min(FIRST_MS * 2 ** failures, WAIT_MS_MAX) * (1 + random)) / 2;

/** @returns {string} what the names of this key's events start with */
const queueName = () => `_queue_${settings.writeKey}_`;

/** @returns {string[]} the names of all, in flight or not, of this page and others */
export const waiting = () => names(queueName());

/** @param {string} name */
const drop = (name) => {
  store(name);
  context.dropped++;
};

/** @returns {string[]} the names of the oldest that fit a request, at least one if there is one and it may go; now in flight */
export const take = () => {
  const taken = [];
  let bytes = BATCH_BYTES_MAX;
  decide();
  const all = waiting();
  all.splice(0, all.length - QUEUE_EVENTS_MAX).forEach(drop);
  // A server's wish is on disk, so that it holds for the next page and for other tabs too; unless the clock was set back.
  const restMs = /** @type {any} */ (load("_wait")) - Date.now();
  if (state === "granted" && !(restMs > 0 && restMs < 2 * RETRY_AFTER_MS_MAX)) {
    for (const name of all) {
      const needs = () => name.split(",").slice(1);
      if (categories && needs().some((category) => !(/** @type {any} */ (categories)[category]))) store(name);
      else if (!flying.has(name)) {
        bytes -= bytesOf(/** @type {string} */ (load(name))) + 1;
        if (taken[0] && (taken.length >= countMax || bytes < 0)) break;
        flying.add(name);
        taken.push(name);
      }
    }
  }
  return taken;
};

/**
 * One request to the collector. text/plain without credentials, so that the browser asks no permission first: a preflight
 * costs a round trip, and a leaving page has none to spare.
 *
 * @param {string} body @param {unknown} leaving @returns {Promise<any>} the response; rejects when there is none
 */
const send = async (body, leaving) => {
  /** @type {any[]} address, options; and for hooks alone, as fetch overlooks it, whether the page is left */
  const request = [
    `${settings.endpoint}/v1/b`,
    {
      method: "POST",
      body, // a string: text/plain;charset=UTF-8
      keepalive: true,
      credentials: "omit",
    },
    ...(WHOLE ? [leaving] : []),
  ];
  pass("request", request);
  return fetch(.../** @type {[string, RequestInit]} */ (request));
};

/** @param {unknown} [leaving] @returns {Promise<void>} when all is sent, or must wait */
const sendAll = async (leaving) => {
  for (let taken = take(); taken[0]; taken = take()) {
    const events = `[${taken.map(load)}]`;
    const rest = toJson({ context, sentAt: new Date(), writeKey: settings.writeKey });
    const sending = send(`{"batch":${events},${rest.slice(1)}`, leaving);
    if (leaving) sendAll(leaving);
    // Offline, blocked, or no answer in time: all one to the queue.
    const response = await sending.catch((/** @type {unknown} */ error) => ({ error }));
    const { ok, status = 0, headers, error } = response;
    const refused = [400, 413].includes(status);
    countMax = refused ? taken.length / 2 : BATCH_EVENTS_MAX;
    for (const name of taken) {
      flying.delete(name);
      if (ok) store(name);
      else if (countMax < 1) drop(name);
    }
    pauseMs = BATCH_MS;
    if (ok) failures = 0;
    else if (!refused) {
      const ms = waitMs(headers?.get("Retry-After"), failures++, Math.random());
      if (status) store("_wait", Date.now() + ms);
      else pauseMs = ms;
    }
    if (WHOLE) {
      record.lastStatus = status;
      record.lastError = error;
      if (ok) record.sent += taken.length;
      pass("answer", { response, events });
    }
    if (!status) return;
  }
};

/** Look at the queue now, and each second until it is empty. */
export const flush = async () => {
  timer = clearTimeout(timer); // none
  try {
    // The lock ends with the page, for a page that holds one cannot be kept for the way back.
    await navigator.locks.request(
      queueName(),
      { ifAvailable: true },
      (lock) =>
        lock &&
        new Promise((done) => {
          letGo = /** @type {() => void} */ (done);
          sendAll().then(letGo);
        }),
    );
  } catch {
    await sendAll(); // no locks here
  }
  if (waiting()[0]) plan();
};

export const plan = () => {
  timer ||= setTimeout(flush, pauseMs);
};

/** @param {string[]} words message id, categories of consent that it needs @param {string} event as JSON text */
export const push = (words, event) => {
  store(queueName() + words, event);
  plan();
  if (document.hidden && !failures) queueMicrotask(leave);
};

/** Send all at once, as a leaving page must; not before the time a server asked for: the queue keeps it. */
export const leave = () => {
  letGo();
  sendAll(1);
};
