/**
 * Where the visit came from: the campaign parameters of its landing page go with every event until half an hour passes
 * without one, which ends a session. An event on a page whose own address tells a campaign needs no other.
 */
import { load, store } from "./storage.js";

const SESSION_MS = 1_800_000;
// Every utm_*, and the click ids: gclid, fbclid, msclkid, ttclid, gbraid, wbraid …
const PARAMETERS = /[?&](utm_\w+|\w*clk?id|[gw]braid)=[^&]+/gi;

/** @param {string} search @returns {string} as in `utm_source=x&gclid=y`; empty without any */
export const campaignOf = (search) => (search.match(PARAMETERS) ?? []).join("").slice(1);

/** Called with each event. @param {number} now in ms @returns {string | undefined} what its own page does not tell */
export const campaign = (now) => {
  const own = campaignOf(location.search);
  const [atMs, last] = load("_campaign")?.split(" ") ?? [];
  const known = own || (now - Number(atMs) < SESSION_MS && last);
  if (known) store("_campaign", `${now} ${known}`);
  return own ? undefined : known || undefined;
};
