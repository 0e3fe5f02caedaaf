/**
 * Tells when the visitor came to see another page: load, pushState, replaceState, back and forward, and a page brought
 * back from the back/forward cache. Never twice for one address; the fragment does not count. A change is told a moment
 * later, when the router has set the title and made up its mind, but always before any other event. A page opened in a
 * background tab is told when it is first looked at. Knows nothing of events.
 */
import { guard, on } from "./guard.js";
import { withoutFragment } from "./page.js";

let address = "";
let unseen = false;
let timer = 0;
let tell = () => {};

export let referrer = document.referrer;

/** Take the present address as told. @returns {boolean} whether it was another one */
export const mark = () => {
  const here = withoutFragment(location.href);
  const moved = here !== address;
  if (moved && address) referrer = address;
  address = here;
  return moved;
};

/** Tell now what is still to be told. */
export const settle = () => {
  if (!unseen && mark()) tell();
};

const later = () => {
  clearTimeout(timer);
  timer = setTimeout(guard(settle));
};

/** @param {() => void} seen */
export const watchNavigation = (seen) => {
  tell = seen;
  unseen = document.visibilityState === "hidden"; // only now: a page being prerendered is hidden too
  for (const name of /** @type {const} */ (["pushState", "replaceState"])) {
    const original = history[name];
    history[name] = (...args) => {
      original.apply(history, args);
      later();
    };
  }
  on(window, "popstate", later);
  on(window, "pageshow", (event) => {
    if (event.persisted) {
      mark();
      seen();
    }
  });
  on(document, "visibilitychange", () => {
    unseen = unseen && document.visibilityState === "hidden";
    settle();
  });
};
