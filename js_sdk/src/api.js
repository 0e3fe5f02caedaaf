/**
 * The calls a page makes: footfall('track', 'sign_up', {…}) or footfall.track('sign_up', {…}). None throws into the page.
 * Works with the snippet's stub: what was called before this script came waits in its queue and is done in order, and a
 * stub the page still holds afterwards passes its calls on.
 */
import { flush } from "./deliver.js";
import { emit, page, visitor } from "./emit.js";
import { guard } from "./guard.js";
import { mark, settle } from "./navigation.js";
import { load, store } from "./storage.js";

/** @type {Record<string, (a?: any, b?: any) => void>} */
export const calls = {
  page: (name, properties) => {
    const named = typeof name === "string";
    mark(); // the page says it itself; the tag does not say it again
    emit("page", { name: named ? name : undefined, properties: { ...page(), ...(named ? properties : name) } });
  },
  track: (event, properties) => emit("track", { event: `${event ?? ""}`, properties: properties ?? {} }),
  identify: (user, traits) => {
    const named = user && typeof user !== "object"; // identify({…}) tells traits of whoever it is
    if (named) store("user", `${user}`);
    emit("identify", { traits: (named ? traits : user || traits) ?? {} });
  },
  alias: (user) => {
    const previousId = load("user") || visitor();
    store("user", `${user ?? ""}`);
    emit("alias", { previousId });
  },
  group: (group, traits) => {
    store("group", `${group ?? ""}`);
    emit("group", { traits: traits ?? {} });
  },
  // Somebody else sits at the device: nothing of the last person is carried over.
  reset: () => {
    for (const name of ["id", "user", "group"]) store(name, "");
  },
  flush,
};

/** @param {FootfallStub} stub */
export const install = (stub) => {
  for (const [name, call] of Object.entries(calls)) {
    calls[name] = guard((...args) => {
      if (name !== "page") settle(); // a page view comes before what is done on the page
      call(...args);
    });
  }
  /** @param {any} call */
  const run = ([name, ...args]) => calls[name]?.(...args);
  const early = /** @type {unknown[]} */ (stub.q ?? []);
  // The stub pushes into window.footfall.q, whatever stands there by then.
  const extra = { q: { push: run }, version: VERSION };
  window.footfall = Object.assign((/** @type {unknown[]} */ ...call) => run(call), calls, extra);
  early.forEach(run);
};
