/**
 * The time zone, which a later page has from storage at once: where a browser has no Temporal, the first use of Intl costs
 * more than all the rest of the tag.
 */
import { guard } from "../guard.js";

// The first seconds belong to the page.
const AFTER_MS = 3000;

/** @param {any} tag */
export const findZone = (tag) => {
  if (tag.context.timezone) return;
  const { Temporal } = /** @type {any} */ (window);
  const find = () => {
    tag.context.timezone = Temporal?.Now.timeZoneId() ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
    tag.store(`_zone${new Date().getTimezoneOffset()}`, tag.context.timezone);
  };
  if (Temporal) find();
  else setTimeout(guard(find), AFTER_MS);
};
