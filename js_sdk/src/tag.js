/**
 * The core. All of it in one look:
 *
 *     navigation, calls -> emit -> hooks -> queue (storage) -> collector
 *
 * State lives in few places: settings, the visitor's consent, the queue, the page navigation told last, and six short texts
 * in storage (id, user, group, campaign, wait, zone). It begins after the first frame: that belongs to the page, and a page
 * in a background tab or being prerendered, which has none, is not seen yet. Or when the page is left. What is called before
 * waits and is done in order.
 */
import { decide, state } from "./consent.js";
import { guard, on, pass } from "./guard.js";
import { newId } from "./ids.js";
import { clean, toJson } from "./json.js";
import { mark, page, watchNavigation } from "./navigation.js";
import { context, flush, leave, push, record, waiting } from "./queue.js";
import { isOff, settings } from "./settings.js";
import { load, store, visitor } from "./storage.js";

// A page that calls and never starts the tag.
const EARLY_MAX = 300;

let sequence = 0;
/** @type {unknown[][] | undefined} calls that wait for the start */
let early = [];

/** Tell now what is still to be told. */
export const settle = () => mark() && (isOff(settings.pageViews) || calls.page());

/**
 * One event, as the wire has it: what happened, to whom, where and when. The ids are read from storage each time, so that
 * all tabs agree the moment one of them signs in or out.
 *
 * @param {string} type @param {Record<string, unknown>} fields @param {{page?: object, consent?: string | string[]}} [options]
 */
export const emit = (type, fields, options) => {
  const { page: at, consent = [] } = options ?? {};
  const seen = type === "page";
  if (!seen) settle(); // a page view comes before what is done on the page
  decide();
  if (state === "denied") {
    // Whoever opts in later on this page has seen it; nothing else of the time before is kept, and this in memory alone.
    if (!seen) return;
    for (const name of waiting()) store(name);
  }
  const messageId = newId();
  let event = {
    type,
    messageId,
    sequence: ++sequence,
    anonymousId: visitor(),
    userId: load("_user"),
    ...clean({ context: { page: at ?? page() }, timestamp: new Date(), ...fields }),
  };
  if (seen) event.properties = { ...event.context.page, ...event.properties };
  if (WHOLE) event = pass("before", event);
  if (WHOLE && !event) {
    context.dropped++;
    return;
  }
  push([messageId].concat(consent), toJson(event));
  pass("event", event);
};

/** @param {string} event @param {object} [properties] @param {{page?: object, extra?: object, consent?: string | string[]}} [options] */
export const track = (event, properties, options) =>
  emit("track", { event: `${event ?? ""}`, properties, extra: options?.extra }, options);

/**
 * What a page may call: footfall('track', 'sign_up', {…}) or footfall.track('sign_up', {…}). The first of two words may be
 * left out: footfall('page', {…}).
 *
 * @type {Record<string, any>}
 */
export const calls = {
  /**
   * Starts the tag once there is a write key.
   * @param {undefined} _ @param {Record<string, any>} options as the data attributes, in camelCase
   */
  init(_, options) {
    if (Object.assign(settings, options).writeKey) {
      on("pagehide", () => document.hidden || start()); // left before its first frame; a tab never looked at is no visit
      requestAnimationFrame(() =>
        setTimeout(async () => {
          if (WHOLE) await pass("seen");
          start();
        }),
      );
    }
  },
  page(/** @type {string} */ name, /** @type {object} */ properties) {
    mark(); // the page says it itself; the tag does not say it again
    emit("page", { name, properties });
  },
  track,
  identify(/** @type {string} */ id, /** @type {object} */ traits) {
    if (id) store("_user", id);
    emit("identify", { traits });
  },
  consent(/** @type {string} */ answer, /** @type {object} */ each) {
    decide(answer ?? each);
    pass("consent", state);
    flush();
  },
  flush,
  status: () => ({
    .../** @type {any} */ (decide()), // adds nothing: a look whether another tab was given an answer
    ...settings,
    ...(WHOLE && record),
    version: VERSION,
    consent: state,
    waitsUntil: Number(load("_wait")) || 0,
    visitor: load("_id"),
    queued: waiting().length,
    dropped: context.dropped,
  }),
};

/** @type {(call: any) => unknown} */
export const run = guard((call) => {
  const [name, ...rest] = call;
  if (typeof rest[0] === "object") rest.unshift(undefined);
  // init, plugin and status do not wait
  if (!early || /in|ta/.test(name)) {
    pass("call", call);
    return calls[name](...rest);
  }
  if (!early[EARLY_MAX]) early.push(call);
  return undefined;
});

/** The global function. @type {any} */
export const tag = (/** @type {unknown[]} */ ...call) => run(call);

/** @param {Record<string, (a?: any, b?: any, c?: any) => unknown>} more calls, that a page may make from now on */
export const teach = (more) => {
  for (const name in Object.assign(calls, more)) tag[name] = (/** @type {unknown[]} */ ...rest) => tag(name, ...rest);
};

// The stub pushes into the global's q, whatever stands there by then.
tag.q = { push: run };
tag.version = VERSION;
teach(calls);

const gone = () => {
  settle();
  leave();
};

export const start = guard(() => {
  const waited = early;
  if (!waited) return;
  early = undefined;
  decide();
  context.locale = navigator.language;
  context.webdriver = navigator.webdriver;
  watchNavigation(settle);
  pass("start");
  waited.forEach(run);
  settle();
  flush();
  on("online", flush);
  on("pagehide", gone);
  on("visibilitychange", () => (document.hidden ? gone() : flush()));
});
