/**
 * Tells when the visitor came to see another page: the first, pushState, replaceState, back and forward, and a page brought
 * back from the back/forward cache. Never twice for one address; the fragment does not count unless the site routes by it
 * (data-hash): it never reaches a server by itself, and sign-in flows put secrets there. A change is told a moment later,
 * when the router has set the title and made up its mind, but always before any other event. Knows nothing of events.
 */
import { guard, on } from "./guard.js";
import { pageOf } from "./page.js";
import { settings } from "./settings.js";

/** @typedef {ReturnType<typeof pageOf>} PageFacts */

/** @type {PageFacts | undefined} the page told last */
let told;
/** @type {string} */
let referrer;
let tell = () => {};
/** @type {((oldPage: PageFacts) => void)[]} */
const moves = [];
/** @type {(() => void)[]} */
const leaves = [];

/** @param {(oldPage: PageFacts) => void} hook called with the page that was left, before the new one is told */
export const onMove = (hook) => {
  moves.push(guard(hook));
};

/** @param {() => void} hook called when the page is hidden or goes away; may come twice for one leave */
export const onLeave = (hook) => {
  leaves.push(guard(hook));
};

/** @returns {PageFacts} the page as it is now */
export const page = () => pageOf(location, document.title, referrer ?? document.referrer, settings.hash != null);

/** Take the present page as told. @param {boolean} [again] it counts as another one @returns {boolean} whether it was another one */
export const mark = (again) => {
  const old = told;
  const moved = page().url !== old?.url;
  if (old && moved) referrer = old.url;
  told = page();
  if (old && (moved || again)) for (const hook of moves) hook(old);
  return moved;
};

/** Tell now what is still to be told. */
export const settle = () => {
  if (mark()) tell();
};

/** The page is hidden or goes away. */
export const left = () => {
  settle();
  for (const hook of leaves) hook();
};

/** @param {() => void} seen */
export const watchNavigation = (seen) => {
  tell = seen;
  const later = () => setTimeout(guard(settle));
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
      mark(true);
      seen();
    }
  });
};
