/** What a recording collector took, where other requests than events go to it as well. */

/**
 * Every event that was acknowledged, in order of arrival, each message id once: a page that is left before it has heard the
 * answer sends a copy, and the collector stores one of both.
 */
export const stored = (collector) => {
  const taken = collector.requests
    .filter(({ url, status }) => url.startsWith("/v1/b") && status === 200)
    .flatMap(({ body }) => JSON.parse(body).batch);
  return [...new Map(taken.map((event) => [event.messageId, event])).values()];
};

/** Those of a name, or page views by "page". */
export const named = (collector, name) => stored(collector).filter(({ event, type }) => (event ?? type) === name);
