/**
 * The page as events describe it. Without the fragment: it never reaches a server by itself, and sign-in flows put
 * secrets there; only sites that route by it (data-hash) have it counted as part of the path. Pure.
 */

// The plan's limit; a longer title would have the page view refused.
const TITLE_CHARS_MAX = 1024;

/**
 * @param {{href: string, pathname: string, search: string, hash: string}} location
 * @param {string} title
 * @param {string} referrer the page before this one, within a single-page site too
 * @param {boolean} [routed] whether the fragment is part of the path
 */
export const pageOf = ({ href, pathname, search, hash }, title, referrer, routed) => ({
  url: routed ? href : href.replace(/#.*/s, ""),
  path: routed ? pathname + hash : pathname,
  referrer,
  search,
  title: title.slice(0, TITLE_CHARS_MAX),
});
