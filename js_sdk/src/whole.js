/**
 * What the tag can do beyond the core: more calls, plugins and their hooks, extras, and what holds for a whole batch.
 * Importing it adds the calls.
 */
import { campaign } from "./campaign.js";
import { folder } from "./classic.js";
import { guard, hooks, pass } from "./guard.js";
import { newId } from "./ids.js";
import { clean } from "./json.js";
import { context } from "./queue.js";
import { settings } from "./settings.js";
import { load, store, visitor } from "./storage.js";
import { calls, emit, start, tag, teach } from "./tag.js";

// Whoever holds the start back has this long; after that a visit might be over unseen.
const HOLD_MS_MAX = 2000;
// Kept for as long as the clock's offset is the same; zone.js finds it out.
const ZONE = "_zone";

// Settings, or what the page's address says, for which extras are to be loaded.
const ASKING = /,(extr|debug|link|cook)|footfall-debug/;

/** @type {Record<string, unknown>} what set() adds to each event */
let common = {};

/** @param {Record<string, (what: any) => any>} moments what to do when, by the names that guard.js lists */
export const when = (moments) => {
  hooks.push((kind, what) => moments[kind]?.(what));
};

when({
  seen() {
    if (!ASKING.test(Object.keys(settings) + location.search)) return;
    setTimeout(start, HOLD_MS_MAX);
    return import(`${folder ?? settings.endpoint}/footfall.extras.js`).then((extras) => extras.default(tag), tag.warn);
  },
  start() {
    const { width, height } = screen;
    context.screen = { width, height, innerWidth, innerHeight, density: devicePixelRatio };
    context.connection = navigator.connection?.effectiveType;
    context.timezone = load(ZONE + new Date().getTimezoneOffset());
    settings.plugins?.forEach(calls.plugin);
  },
  before(event) {
    event.groupId = load("_group");
    if (event.type > "o") event.properties = { ...common, ...event.properties };
    event.context.campaign = campaign(Date.now());
  },
});

teach({
  group(id, traits) {
    if (id) store("_group", id);
    emit("group", { traits });
  },
  alias(user) {
    const previousId = load("_user") ?? visitor();
    if (user) store("_user", user);
    emit("alias", { previousId });
  },
  // Somebody else sits at the device: nothing of the last person is carried over.
  reset() {
    for (const name of ["_user", "_group", "_campaign"]) store(name);
    common = {};
    visitor(newId());
  },
  set(_, properties) {
    const given = clean(properties);
    for (const name in given) common[name] = given[name] ?? undefined;
  },
  plugin: (plugin) => plugin(tag),
});

Object.assign(tag, {
  /** @param {(event: any) => any} hook may change an event, return another, or false to drop it */
  before(hook) {
    const change = guard(hook);
    when({
      before(event) {
        const changed = event && change(event);
        return changed?.type || changed === false ? changed : event;
      },
    });
  },
  /** @param {(kind: string, what: any) => unknown} hook whoever throws at a warning is not warned of that */
  watch(hook) {
    hooks.push((kind, what) => {
      try {
        hook(kind, what);
      } catch {}
    });
  },
  warn: (/** @type {unknown[]} */ ...words) => pass("warning", words),
  hooks,
  emit,
  context,
  settings,
  store,
  visitor,
});
