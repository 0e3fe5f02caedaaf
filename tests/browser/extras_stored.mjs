/** What a recording collector took, where other requests than events go to it as well. */

/** Every event that was acknowledged, in order of arrival. */
export const stored = (collector) =>
  collector.requests
    .filter(({ url, status }) => url.startsWith("/v1/b") && status === 200)
    .flatMap(({ body }) => JSON.parse(body).batch);

/** Those of a name, or page views by "page". */
export const named = (collector, name) => stored(collector).filter(({ event, type }) => (event ?? type) === name);
