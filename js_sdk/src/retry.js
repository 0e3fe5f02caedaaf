/**
 * How long to wait before the next attempt. Doubling with jitter, so that the visitors of a site that was down do not all
 * come back in one second; never sooner than the server's Retry-After says. Pure.
 */

const FIRST_MS = 1000;
const WAIT_MS_MAX = 60_000;
// A server may ask for more patience than that, but a slip of its hand must not silence the tag for a day.
export const RETRY_AFTER_MS_MAX = 3_600_000;

/**
 * @param {any} retryAfter the header's seconds; a date counts as nothing, because this clock may be wrong
 * @param {number} failures in a row, from 0
 * @param {number} random 0 to 1
 * @returns {number} ms
 */
export const waitMs = (retryAfter, failures, random) =>
  Math.min(retryAfter * 1000 || 0, RETRY_AFTER_MS_MAX) +
  (Math.min(FIRST_MS * 2 ** failures, WAIT_MS_MAX) * (1 + random)) / 2;
