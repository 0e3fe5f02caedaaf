/** Mistakes and mishaps in words: what happened, and what to do. Pure. */

const SKEW_MS_MAX = 300_000;

/**
 * @param {{status?: number, error?: unknown}} answer
 * @param {{writeKey: string, endpoint: string, origin: string, online: boolean, csp: boolean, reachable?: boolean}} facts
 *   csp: the page's policy forbade a request to the endpoint; reachable: whether a request that asks no answer got through
 * @returns {string} empty when all went well
 */
export const explainAnswer = ({ status, error }, { writeKey, endpoint, origin, online, csp, reachable }) => {
  const sentence = typeof error === "string" && error ? ` It says: ${error}.` : "";
  if (!status) {
    if (csp) {
      return `The page's Content-Security-Policy forbids requests to ${endpoint}: add it to connect-src.`;
    }
    if (!online) return "This device is offline: events wait and are sent when it is back.";
    if (reachable) {
      return (
        `Something answers at ${endpoint}, but not as a collector does (no CORS header): is data-endpoint the ` +
        "collector's address, and does a proxy in between pass its headers on?"
      );
    }
    return (
      `The request to ${endpoint} failed before any answer: an ad blocker, a wrong address, or a collector that is ` +
      "down. Try a window without extensions; serve the collector under your own domain. Events wait meanwhile."
    );
  }
  if (status < 300) return "";
  if (status === 401) {
    return `The write key "${writeKey}" is not known to ${endpoint}: compare it with \`footfall sources list\`.${sentence}`;
  }
  if (status === 403) {
    return `The origin ${origin} may not use the write key "${writeKey}": add it to the source's origins.${sentence}`;
  }
  if (status === 404 || status === 405) {
    return `There is no collector at ${endpoint} (status ${status}): correct data-endpoint, or the proxy's path.${sentence}`;
  }
  if (status === 413) return `The batch was too large and is sent again in halves.${sentence}`;
  if (status === 429 || status === 503) {
    return `The collector is busy (status ${status}): events wait and are sent again.${sentence}`;
  }
  return `The collector refused the batch with status ${status}.${sentence}`;
};

/**
 * @param {string} consent @param {{gpc: boolean, dnt: boolean, attribute?: string}} facts
 * @returns {string} empty when events may go
 */
export const explainConsent = (consent, { gpc, dnt, attribute }) => {
  if (consent === "pending") {
    return "Consent is pending: events wait in memory; nothing is stored or sent until footfall('consent', 'granted').";
  }
  if (consent !== "denied") return "";
  const why =
    (gpc && 'this browser sends Global Privacy Control (data-gpc="off" ignores it)') ||
    (dnt && 'this browser sends Do Not Track, which data-dnt="on" obeys') ||
    (attribute === "denied" && 'data-consent="denied" says so') ||
    "the visitor said so, and the answer is kept";
  return `Consent is denied: nothing is sent, because ${why}. footfall('consent', 'granted') allows it.`;
};

/** @param {number} theirsMs the collector's clock @param {number} oursMs @returns {string} empty when they agree */
export const explainClock = (theirsMs, oursMs) => {
  const apart = oursMs - theirsMs;
  if (!(Math.abs(apart) > SKEW_MS_MAX)) return "";
  const minutes = Math.round(Math.abs(apart) / 60_000);
  const way = apart > 0 ? "ahead" : "behind";
  return `This device's clock is ${minutes} minutes ${way}: the collector corrects the events' times by its own clock.`;
};
