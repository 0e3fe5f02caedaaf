/** What a page view says besides its address: a search on the site, and a page that was not found. Pure. */
import { TEXT_CHARS_MAX } from "./element.js";

/**
 * @param {string} search the query string of the page's URL
 * @param {number} [status] with which the server answered, for the page that was loaded
 * @returns {{search_query?: string, status?: number}} a status only of errors, 400 and above
 */
export const pageFacts = (search, status = 0) => {
  const asked =
    search && [...new URLSearchParams(search)].find(([name]) => /^(q(uery)?|s(earch)?|keyword)$/.test(name));
  return {
    search_query: asked?.[1]?.trim().slice(0, TEXT_CHARS_MAX) || undefined,
    status: status < 400 ? undefined : status,
  };
};
