/**
 * Loaded with data-hash: routes in the address's fragment count as pages. Otherwise the fragment is left out: it never
 * reaches a server by itself, and sign-in flows put secrets there.
 */

/** @param {any} tag */
export default (tag) => {
  /** @param {any} page @returns {any} with its route in the path */
  const routed = (page) =>
    page?.url && { ...page, path: page.path.replace(/#.*/s, "") + (page.url.match(/#.*/s) ?? "") };
  tag.settings.fragment = /$^/; // what is left out of the address: nothing
  tag.before((/** @type {any} */ event) => {
    event.context.page = routed(event.context.page);
    if (event.type === "page") event.properties = routed(event.properties);
  });
};
