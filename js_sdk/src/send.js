/**
 * One request to the collector, and what became of it. text/plain without credentials, so that the browser asks no
 * permission first: a preflight costs a round trip, and a leaving page has none to spare.
 *
 * A page may have 64 KiB of keepalive requests under way, beacons included (Fetch standard, "keepalive"); one byte more and
 * the browser refuses. Up to 60 KiB of them are ours, the rest goes as plain requests, which end with the page.
 */
import { endpoint } from "./config.js";
import { bytesOf } from "./json.js";

const KEEPALIVE_BYTES_MAX = 61_440;
const ANSWER_MS_MAX = 30_000;
const ADDRESS = `${endpoint}/v1/b`;

let inFlightBytes = 0;

/** @param {string} body @param {boolean} leaving @returns {Promise<Response | undefined>} never rejects */
export const send = async (body, leaving) => {
  const bytes = bytesOf(body);
  const keepalive = inFlightBytes + bytes <= KEEPALIVE_BYTES_MAX;
  const held = keepalive ? bytes : 0;
  inFlightBytes += held;
  try {
    if (!leaving || "keepalive" in Request.prototype) {
      return await fetch(ADDRESS, {
        method: "POST",
        body, // a string: text/plain;charset=UTF-8
        keepalive,
        credentials: "omit",
        signal: AbortSignal.timeout?.(ANSWER_MS_MAX),
      });
    }
    // No answer ever comes from a beacon, and blockers swallow it while it reports success: not a delivery.
    navigator.sendBeacon(ADDRESS, body);
  } catch {
    // Offline, blocked, or no answer in time: all one to the queue.
  } finally {
    inFlightBytes -= held;
  }
  return undefined;
};
