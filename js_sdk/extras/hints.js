/**
 * High-entropy client hints (User-Agent Client Hints, "getHighEntropyValues"): the exact version of browser and platform,
 * the model of the device. By choice only, because few sites need them and visitors may mind. Events wait until they are
 * known, so that the first page view has them as well. Browsers without them send nothing more than before.
 */
import { safely } from "./lib/safe.js";

const HINTS = ["architecture", "bitness", "fullVersionList", "model", "platformVersion"];

/** @param {import("./types.d.ts").Tag} tag @returns {unknown} a promise that holds the start */
export default (tag) => {
  const { userAgentData } = /** @type {any} */ (navigator);
  if (!userAgentData?.getHighEntropyValues) return undefined;
  /** @type {Record<string, unknown> | undefined} */
  let known;
  tag.before((event) => {
    if (known) event.context = { ...event.context, userAgentData: known };
  });
  const keep = safely(tag, (/** @type {Record<string, unknown>} */ values) => {
    known = values;
  });
  return userAgentData.getHighEntropyValues(HINTS).then(keep, () => {}); // refused by a Permissions-Policy
};
