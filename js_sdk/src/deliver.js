/**
 * From the queue to the collector: when to send, what the answer means, when to try again.
 *
 *     push -> queue and disk -> each second, or 20 events, or at once when the page is left -> request
 *     2xx: gone from queue and disk.   413: again in halves.   another answer, or none: wait, then again.
 *
 * An event leaves the queue only when the collector has said 2xx, or when it alone is too large for it. A refused key is
 * waited out as well: whoever mistyped it will want the events.
 */
import { writeKey } from "./config.js";
import { batchContext } from "./context.js";
import { guard, warn } from "./guard.js";
import { toJson } from "./json.js";
import * as keep from "./keep.js";
import * as queue from "./queue.js";
import { backoffMs, RETRY_AFTER_MS_MAX, retryAfterMs } from "./retry.js";
import { send } from "./send.js";
import { load, store } from "./storage.js";

const BATCH_MS = 1000;
const BATCH_FULL = 20;
const INHERIT_MS = 5000;
const BATCH_EVENTS_MAX = 100;
// What is left of the keepalive budget when the batch's own context is paid for.
const BATCH_BYTES_MAX = 57_344;

let timer = 0;
let dueMs = 0;
let inFlight = 0;
let failures = 0;
let countMax = BATCH_EVENTS_MAX;
let saving = false;
let silentUntilMs = 0; // after no answer at all: this page's own affair

/** A server's wish to be left alone is on disk: it holds for the next page and for other tabs too. */
const untilMs = () => {
  const until = Math.max(Number(load("wait")) || 0, silentUntilMs);
  return until > Date.now() + 2 * RETRY_AFTER_MS_MAX ? 0 : until; // 0: the clock was set back
};

const hidden = () => document.visibilityState === "hidden";

const save = () => keep.save(queue.all(), hidden() ? 0 : untilMs() || 1);

/** @param {number} [delayMs] at once unless a batch is still filling */
const plan = (delayMs = queue.waiting().length < BATCH_FULL ? BATCH_MS : 0) => {
  const at = Math.max(Date.now() + delayMs, untilMs());
  if (!queue.waiting().length || (timer && at >= dueMs)) return;
  clearTimeout(timer);
  dueMs = at;
  timer = setTimeout(guard(tick), at - Date.now());
};

const tick = () => {
  timer = 0;
  // Timers round and may come a little before their time; then wait for the rest.
  if (Date.now() < untilMs()) plan(0);
  else if (!inFlight) request(false);
};

/** @param {boolean} leaving @returns {boolean} whether there was anything to send */
const request = (leaving) => {
  const events = queue.take(countMax, BATCH_BYTES_MAX);
  if (!events.length) return false;
  const body =
    `{"batch":[${events}],"context":${toJson(batchContext(queue.dropped()))},` +
    `"writeKey":${toJson(writeKey)},"sentAt":"${new Date().toISOString()}"}`;
  inFlight++;
  send(body, leaving).then((response) => {
    inFlight--;
    settle(events, response);
    save();
    plan();
  });
  return true;
};

/** @param {string[]} events @param {Response} [response] */
const settle = (events, response) => {
  const status = response?.status;
  if (response?.ok) {
    queue.remove(events);
    failures = silentUntilMs = 0;
    countMax = BATCH_EVENTS_MAX;
    response.json().then(({ rejected }) => {
      for (const { index, ...verdict } of rejected) warn("rejected", verdict, events[index]);
    }, warn);
  } else if (status === 413) {
    if (countMax === 1) queue.remove(events, true);
    countMax = Math.ceil(events.length / 2);
    queue.land(events);
  } else {
    queue.land(events);
    const now = Date.now();
    const until = now + retryAfterMs(response?.headers.get("Retry-After"), now) + backoffMs(++failures, Math.random());
    if (response) store("wait", `${until}`);
    else silentUntilMs = until;
    warn(`no delivery, status ${status}`);
  }
};

/** @param {string} event as JSON text */
export const push = (event) => {
  queue.add([event]);
  plan();
  if (saving) return;
  saving = true;
  // Once for all events of this moment.
  queueMicrotask(
    guard(() => {
      saving = false;
      hidden() ? leave() : save();
    }),
  );
};

/** Send soon, without waiting for the batch to fill. */
export const flush = () => plan(0);

/** Send all that waits, as a leaving page must; not before the time a server asked for: it is kept on disk anyway. */
export const leave = () => {
  if (Date.now() >= untilMs()) while (request(true));
  keep.save(queue.all(), 0); // whoever comes next may take them
};

/** Take what earlier pages of this site left behind. */
export const adopt = () => {
  const nextMs = keep.adopt((events) => {
    queue.add(events, true);
    save();
  });
  plan(0);
  if (nextMs) setTimeout(guard(adopt), nextMs + BATCH_MS);
};

/** Another tab left events behind; unless they were its last breath's, which is answered by then, take them. */
export const inherit = (/** @type {StorageEvent} */ change) => {
  if (keep.isLeft(change)) setTimeout(guard(adopt), INHERIT_MS);
};

/** The network is back, or the visitor: what only silence delayed need not wait longer. */
export const resume = () => {
  silentUntilMs = 0;
  save();
  plan(0);
};
