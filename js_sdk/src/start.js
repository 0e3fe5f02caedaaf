/**
 * The tag's beginning. All of it in one look:
 *
 *     navigation, features, calls -> emit -> queue (storage) -> deliver -> collector
 *
 * State lives in few places: settings, the visitor's consent, the queue, deliver's clockwork, the page navigation told last,
 * and six short texts in storage (id, user, group, campaign, wait, zone). It begins after the first frame: that belongs to
 * the page, and a page in a background tab or being prerendered, which has none, is not seen yet. Or when the page is left.
 * What is called before waits and is done in order.
 */
import { calls, view } from "./api.js";
import { decide, state } from "./consent.js";
import { measure } from "./context.js";
import { flush, leave, resume } from "./deliver.js";
import { before, emit } from "./emit.js";
import { guard, on, warn, watch } from "./guard.js";
import { left, settle, watchNavigation } from "./navigation.js";
import { isOff, settings } from "./settings.js";
import { keyOf } from "./storage.js";
import { visitor } from "./visitor.js";

// Whoever holds the start back has this long; after that a visit might be over unseen.
const HOLD_MS_MAX = 2000;
// A page that calls and never starts the tag.
const EARLY_MAX = 300;

/** @type {unknown[][] | undefined} calls that wait for the start */
let early = [];
/** @type {unknown[]} what the start waits for */
const holds = [];

const run = guard(([name, ...rest]) => {
  if (!early || /^(in|pl|st)/.test(name)) return calls[name]?.(...rest); // init, plugin and status do not wait
  if (early.length < EARLY_MAX) early.push([name, ...rest]);
  return undefined;
});

/** The global function. @type {any} */
export const tag = (/** @type {unknown[]} */ ...call) => run(call);

const gone = () => {
  left();
  leave();
};

const start = guard(() => {
  const waited = early;
  if (!waited) return;
  early = undefined;
  if (!state) decide();
  measure();
  watchNavigation(() => isOff("pageViews") || view());
  settings.plugins?.forEach(calls.plugin);
  settle();
  waited.forEach(run);
  resume();
  on(window, "pagehide", gone);
  on(document, "visibilitychange", () => (document.hidden ? gone() : resume()));
  on(window, "online", resume);
  // Another tab changed something: the visitor's answer perhaps, or it left events behind.
  on(window, "storage", ({ key }) => {
    if (key?.startsWith(keyOf(""))) {
      decide();
      flush();
    }
  });
});

/** @param {string} name of an extra: a module beside the collector's tag, whose default export is a plugin */
const loadExtra = (name) =>
  import(`${settings.endpoint}/footfall.${name}.js`).then((extra) => extra.default(tag)).catch(warn);

const seen = guard(() => {
  decide();
  /** @type {string[]} */
  const extras = `${settings.extras ?? ""}`.match(/\w+/g) ?? [];
  if (/[?&]footfall-debug/.test(location.search)) settings.debug = "";
  for (const name of ["debug", "linkDomains", "cookieDomain"]) {
    if (settings[name] != null) extras.push(name.replace(/D.*/, ""));
  }
  setTimeout(start, HOLD_MS_MAX);
  Promise.all(extras.map(loadExtra))
    .then(() => Promise.all(holds))
    .then(start, start);
});

calls.plugin = (plugin) => plugin(tag);

/** @param {Record<string, any>} options as the data attributes, in camelCase; starts the tag once there is a write key */
calls.init = (options) => {
  const running = settings.writeKey;
  if (Object.assign(settings, options).writeKey && !running) {
    requestAnimationFrame(() => setTimeout(seen));
    on(window, "pagehide", start);
  }
};

for (const name in calls) tag[name] = (/** @type {unknown[]} */ ...rest) => tag(name, ...rest);
Object.assign(tag, {
  before,
  watch,
  warn,
  hold: (/** @type {Promise<unknown>} */ promise) => holds.push(promise),
  emit,
  settings,
  visitor,
  version: VERSION,
  // The stub pushes into the global's q, whatever stands there by then.
  q: { push: run },
});
