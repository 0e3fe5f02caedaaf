/** What a page view says besides its address: a search on the site, and a page that was not found. Pure. */
import { cut } from "./element.js";

/**
 * @param {string} search the query string of the page's URL
 * @param {number} [status] with which the server answered, for the page that was loaded
 * @returns {{search_query?: string, status?: number}} a status only of errors, 400 and above
 */
export const pageFacts = (search, status = 0) => {
  const asked = [...new URLSearchParams(search)].find(([name]) => /^(q(uery)?|s(earch)?|keyword)$/.test(name));
  return { search_query: cut(asked?.[1]) || undefined, status: status < 400 ? undefined : status };
};
