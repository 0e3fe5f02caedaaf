/** The calls a page makes: footfall('track', 'sign_up', {…}) or footfall.track('sign_up', {…}). */
import { decide, state } from "./consent.js";
import { flush, record, untilMs } from "./deliver.js";
import { emit } from "./emit.js";
import { tell } from "./guard.js";
import { newId } from "./ids.js";
import { clean } from "./json.js";
import { mark, page } from "./navigation.js";
import { waiting } from "./queue.js";
import { settings } from "./settings.js";
import { load, store } from "./storage.js";
import { visitor } from "./visitor.js";

/** @type {Record<string, unknown>} what set() adds to each event */
let common = {};

/** @param {string} event @param {object} [properties] @param {{page?: object, extra?: object, consent?: string | string[]}} [options] */
export const track = (event, properties, options) =>
  emit(
    "track",
    { event: `${event ?? ""}`, properties: { ...common, ...clean(properties) }, extra: options?.extra },
    options,
  );

/** The first may be left out. @param {any} name @param {object} [facts] @returns {[string | undefined, object | undefined]} */
const named = (name, facts) => (typeof name === "object" ? [undefined, name] : [name, facts]);

/** @param {any} [first] @param {object} [second] */
export const view = (first, second) => {
  const [name, properties] = named(first, second);
  mark(); // the page says it itself; the tag does not say it again
  emit("page", { name, properties: { ...page(), ...common, ...clean(properties) } });
};

/** @param {string} type @param {string} kept what is known of the visitor from now on */
const know = (type, kept) => (/** @type {any} */ first, /** @type {object} */ second) => {
  const [id, traits] = named(first, second);
  if (id) store(kept, id);
  emit(type, { traits: clean(traits) });
};

/** @type {Record<string, (a?: any, b?: any, c?: any) => unknown>} */
export const calls = {
  page: view,
  track,
  identify: know("identify", "user"),
  group: know("group", "group"),
  alias(user) {
    const previousId = load("user") ?? visitor();
    store("user", user);
    emit("alias", { previousId });
  },
  // Somebody else sits at the device: nothing of the last person is carried over.
  reset() {
    for (const name of ["user", "group", "campaign"]) store(name);
    common = {};
    visitor(newId());
  },
  consent(answer) {
    decide(answer);
    tell("consent", state);
    flush();
  },
  set(properties) {
    for (const [name, value] of Object.entries(clean(properties))) common[name] = value ?? undefined;
  },
  flush,
  status: () => ({
    ...settings,
    ...record,
    version: VERSION,
    consent: state,
    visitor: load("id"),
    queued: waiting().length,
    waitsUntil: untilMs(),
  }),
};
