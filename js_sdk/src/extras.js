/**
 * Loads the extras that a page asked for, before the first event: those that data-extras names, and those that a setting or
 * ?footfall-debug in the page's address is about. They stand beside this file.
 */

// Each setting, and the extra it is about.
const ABOUT = { debug: "debug", linkDomains: "link", cookieDomain: "cookie", cookie: "cookie" };
const BESIDE = "./footfall.";

/** @param {any} tag @returns {Promise<unknown>} when all are there, or cannot be had, and have what they wait for */
export default (tag) => {
  const { settings } = tag;
  if (/[?&]footfall-debug/.test(location.search)) settings.debug ??= "";
  const names = new Set(`${settings.extras ?? ""}`.match(/\w+/g));
  for (const [setting, name] of Object.entries(ABOUT)) if (settings[setting] != null) names.add(name);
  return Promise.all(
    [...names].map((name) => import(`${BESIDE}${name}.js`).then((extra) => extra.default(tag)).catch(tag.warn)),
  );
};
