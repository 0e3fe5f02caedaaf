/**
 * Where the visit came from: the campaign parameters of its landing page go with every event until half an hour passes
 * without one, which ends a session. An event on a page whose own address tells a campaign needs no other.
 */
import { load, store } from "./storage.js";

const SESSION_MS = 1_800_000;

/**
 * Every utm_*, and the click ids: gclid, fbclid, msclkid, irclickid, ob_click_id, rdt_cid, ScCid, wbraid, li_fat_id …
 *
 * @param {string} search @returns {string | undefined} as in `utm_source=x&gclid=y`
 */
export const campaignOf = (search) =>
  search
    ? search
        .match(/[?&](utm_\w+|\w*c[lick_]*id|\wbraid|li_fat_id|epik|awc|cjevent|igsh(id)?|srsltid|tblci|dicbo)=[^&]+/gi)
        ?.join("")
        .slice(1)
    : undefined;

/** Called with each event. @param {number} now in ms @returns {string | undefined} what its own page does not tell */
export const campaign = (now) => {
  const own = campaignOf(location.search);
  const [atMs, last] = /** @type {any[]} */ ((load("_campaign") ?? "").split(" "));
  const known = own || (now - atMs < SESSION_MS && last);
  if (known) store("_campaign", `${now} ${known}`);
  return (!own && known) || undefined;
};
