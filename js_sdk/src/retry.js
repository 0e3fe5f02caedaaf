/**
 * How long to wait before the next attempt. Doubling with jitter, so that the visitors of a site that was down do not all
 * come back in one second; never sooner than the server's Retry-After says. Pure.
 */

const FIRST_MS = 1000;
const WAIT_MS_MAX = 60_000;
// A server may ask for more patience than that, but a slip of its hand must not silence the tag for a day.
export const RETRY_AFTER_MS_MAX = 3_600_000;

/**
 * @param {string | null | undefined} header Retry-After: seconds or an HTTP date (RFC 9110, 10.2.3)
 * @param {number} nowMs
 * @returns {number} ms from now; 0 when it says nothing usable
 */
export const retryAfterMs = (header, nowMs) => {
  const ms = Number(header) * 1000 || Date.parse(header ?? "") - nowMs;
  return ms > 0 ? Math.min(ms, RETRY_AFTER_MS_MAX) : 0;
};

/**
 * @param {number} failures in a row, from 1
 * @param {number} random 0 to 1
 * @returns {number} ms to wait on top of what the server asked for
 */
export const backoffMs = (failures, random) =>
  Math.min(FIRST_MS * 2 ** (failures - 1), WAIT_MS_MAX) * (0.5 + random / 2);
