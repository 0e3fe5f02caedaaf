/**
 * The page as events describe it. Without the fragment: it never reaches a server by itself, and sign-in flows put
 * secrets there. Pure.
 */

// The plan's limit; a longer title would have the page view refused.
const TITLE_CHARS_MAX = 1024;

/** @param {string} href @returns {string} */
export const withoutFragment = (href) => href.replace(/#.*/s, "");

/**
 * @param {{href: string, pathname: string, search: string}} location
 * @param {string} title
 * @param {string} referrer the page before this one, within a single-page site too
 */
export const pageOf = ({ href, pathname, search }, title, referrer) => ({
  url: withoutFragment(href),
  path: pathname,
  referrer,
  search,
  title: title.slice(0, TITLE_CHARS_MAX),
});
