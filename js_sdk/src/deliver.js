/**
 * From the queue to the collector: when to send, what the answer means, when to try again.
 *
 *     push -> queue -> each second while there is something, or at once when the page is left -> request
 *     2xx: gone from the queue.   400, 413: again in halves.   another answer, or none: wait, then again.
 *
 * One tab sends at a time, for all of them, under a Web Lock; where there are none each sends, and the collector knows a
 * second copy by its message id. A leaving page sends without asking. An event leaves the queue only when the collector has
 * said 2xx, or when it alone is too large or unreadable for it. A refused key is waited out as well: whoever mistyped it
 * will want the events.
 */
import { state } from "./consent.js";
import { batchContext } from "./context.js";
import { tell } from "./guard.js";
import { toJson } from "./json.js";
import { add, land, queueName, take, trim, waiting } from "./queue.js";
import { RETRY_AFTER_MS_MAX, waitMs } from "./retry.js";
import { send } from "./send.js";
import { settings } from "./settings.js";
import { load, store } from "./storage.js";

const BATCH_MS = 1000;
const BATCH_EVENTS_MAX = 100;
// A page may have 64 KiB of keepalive requests under way (Fetch standard, "keepalive"); one byte more and the browser
// refuses. Half of that leaves room for the last batch of a leaving page beside one that is under way.
const BATCH_BYTES_MAX = 30_000;

let timer = 0;
let failures = 0;
let countMax = BATCH_EVENTS_MAX;
let letGo = () => {};

/** What status() tells of deliveries; lastStatus 0: no answer. @type {{sent: number, dropped: number, lastStatus?: number, lastError?: unknown}} */
export const record = { sent: 0, dropped: 0 };

/** When the next attempt is due. On disk, so that it holds for the next page and for other tabs too. */
export const untilMs = () => {
  const until = Math.max(Number(load("wait") ?? 0), Number(load("silence") ?? 0));
  return until > Date.now() + 2 * RETRY_AFTER_MS_MAX ? 0 : until; // 0: the clock was set back
};

const next = () => (state === "granted" && Date.now() >= untilMs() ? take(countMax, BATCH_BYTES_MAX) : []);

/** @param {boolean} [leaving] @returns {Promise<void>} when all is sent, or must wait */
const sendAll = async (leaving) => {
  for (let taken = next(); taken[0]; taken = next()) {
    const batch = `[${taken.map(load)}]`;
    /** @type {any} */
    let response;
    /** @type {any} */
    let answer = {};
    try {
      const { writeKey } = settings;
      const rest = toJson({ context: batchContext(record.dropped), writeKey, sentAt: new Date() });
      const sending = send(`{"batch":${batch},${rest.slice(1)}`, leaving);
      if (leaving) sendAll(leaving);
      response = await sending;
      answer = await response.json();
    } catch (error) {
      answer.error = error; // offline, blocked, or no answer in time: all one to the queue
    }
    const status = response?.status ?? 0;
    const count = taken.length;
    const refused = /400|413/.test(status);
    land(taken, response?.ok || (refused && count < 2));
    countMax = BATCH_EVENTS_MAX;
    if (response?.ok) {
      record.sent += count;
      failures = 0;
    } else if (refused) {
      countMax = count / 2;
      if (count < 2) record.dropped++;
    } else
      store(
        status ? "wait" : "silence",
        Date.now() + waitMs(response?.headers.get("Retry-After"), failures++, Math.random()),
      );
    record.lastStatus = status;
    record.lastError = answer.error;
    tell("answer", { status, events: JSON.parse(batch), ...answer });
  }
};

/** Look at the queue now, and each second until it is empty. */
export const flush = async () => {
  clearTimeout(timer);
  timer = 0;
  record.dropped += trim();
  try {
    // The lock ends with the page, for a page that holds one cannot be kept for the way back.
    await navigator.locks.request(
      queueName(),
      { ifAvailable: true },
      (lock) => lock && Promise.race([sendAll(), new Promise((done) => (letGo = () => done(0)))]),
    );
  } catch {
    await sendAll(); // no locks here
  }
  if (waiting()[0]) plan();
};

const plan = () => {
  timer ||= setTimeout(flush, BATCH_MS);
};

/** @param {string[]} words message id, categories of consent that it needs @param {string} event as JSON text */
export const push = (words, event) => {
  add(words, event);
  plan();
  if (document.hidden) queueMicrotask(leave);
};

/** Send all at once, as a leaving page must; not before the time a server asked for: the queue keeps it. */
export const leave = () => {
  letGo();
  sendAll(true);
};

/** The network is back, or the visitor, or a page was loaded: what only silence delayed need not wait longer. */
export const resume = () => {
  store("silence");
  flush();
};
