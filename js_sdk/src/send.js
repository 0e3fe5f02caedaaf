/**
 * One request to the collector. text/plain without credentials, so that the browser asks no permission first: a preflight
 * costs a round trip, and a leaving page has none to spare.
 */
import { settings } from "./settings.js";

const ANSWER_MS_MAX = 30_000;

/** @param {string} body @param {boolean} [leaving] @returns {Promise<any>} the response; rejects when there is none */
export const send = async (body, leaving) => {
  const address = `${settings.endpoint}/v1/b${settings.debug == null ? "" : "?debug=1"}`;
  // No answer ever comes from a beacon, and blockers swallow it while it reports success: not a delivery.
  return leaving && !("keepalive" in Request.prototype)
    ? navigator.sendBeacon(address, body)
    : fetch(address, {
        method: "POST",
        body, // a string: text/plain;charset=UTF-8
        keepalive: true,
        credentials: "omit",
        signal: AbortSignal.timeout?.(ANSWER_MS_MAX),
      });
};
