/**
 * The page, and when the visitor came to see another one: the first, pushState, replaceState, back and forward, and a page
 * brought back from the back/forward cache. Never twice for one address; the fragment does not count, unless data-hash says
 * that the site routes by it: it never reaches a server by itself, and sign-in flows put secrets there. A change is told a
 * moment later, when the router has set the title and made up its mind, but always before any other event. Knows nothing of
 * events.
 */
import { guard, on, pass } from "./guard.js";
import { settings } from "./settings.js";

// The plan's limit; a longer title would have the page view refused.
const TITLE_CHARS_MAX = 1024;

/** @typedef {ReturnType<typeof page>} PageFacts */

/** @type {PageFacts | undefined} the page told last */
let told;
/** @type {string | undefined} the page before this one, within a single-page site too */
let referrer;

/** The page as it is now. */
export const page = () => {
  let { origin: url, pathname: path, search, hash } = location;
  // What one site's page hands to another's, see extras/link.js: who has the address has the visitor's id for two minutes.
  search &&= search.replace(/footfall_link=[^&]*&|.footfall_link=[^&]*$/, "");
  url += path + search;
  if (WHOLE && settings.hash != null) {
    url += hash;
    path += hash;
  }
  return {
    url,
    path,
    search,
    title: document.title.slice(0, TITLE_CHARS_MAX),
    referrer: referrer ?? document.referrer,
  };
};

/** Take the present page as told. @returns {boolean} whether it was another one */
export const mark = () => {
  const old = told;
  told = page();
  if (told.url === old?.url) return false;
  if (old) {
    told.referrer = referrer = old.url;
    pass("move", old);
  }
  return true;
};

/** @param {() => void} settle tells the page, if it is another one */
export const watchNavigation = (settle) => {
  const later = () => setTimeout(guard(settle));
  for (const name of /** @type {const} */ (["pushState", "replaceState"])) {
    const original = history[name];
    history[name] = (...args) => {
      original.apply(history, args);
      later();
    };
  }
  on("popstate", later);
  on("pageshow", (event) => {
    if (event.persisted) {
      pass("move", told);
      told = undefined;
      settle();
    }
  });
};
