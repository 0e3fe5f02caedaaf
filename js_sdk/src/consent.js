/**
 * Whether the visitor may be measured: "granted", "denied" or "pending" (not asked yet). The visitor's own answer is stored
 * and counts for more than anything else; then the browser's Global Privacy Control; then data-consent. Only when granted
 * may the disk be used, and with data-storage="none" for the answer alone.
 * Looked at anew for each event, request and status(), so that an answer holds in all tabs from the moment one of them was
 * given it; to listen for changes of the storage would cost each page more.
 * What the visitor said goes with each request: the collector asks for it where a browser's signal says otherwise.
 */
import { parse, toJson } from "./json.js";
import { context } from "./queue.js";
import { isOff, settings } from "./settings.js";
import { load, permit, settleDown, store, wipe } from "./storage.js";

/** @type {string} */
export let state;
/** @type {Record<string, boolean> | undefined} what was said of each category, if anything was */
export let categories;

/**
 * Without an answer: look at the stored one.
 * @param {any} [given] the visitor's answer: a state, or {category: boolean}, granted as soon as one of them is
 */
export const decide = (given) => {
  permit(true);
  // A refusal outlives its deletion, as when the site's data are cleared under an open page; a grant does not.
  const said =
    given ??
    parse(/** @type {any} */ (load("_consent") ?? null)) ??
    (state === "granted" ? categories : context.consent);
  const answer =
    said ??
    ((navigator.globalPrivacyControl && !isOff(settings.gpc)) || (WHOLE && settings.dnt && navigator.doNotTrack === "1")
      ? "denied"
      : (settings.consent ?? "granted"));
  categories = answer.big ? undefined : answer; // only texts can be big()
  state = categories ? (/:true/.test(toJson(answer)) ? "granted" : "denied") : answer;
  if (given) {
    if (state === "denied") wipe();
    store("_consent", given !== "pending" && toJson(given));
  }
  context.consent = said;
  permit(state === "granted" && settings.storage !== "none");
  settleDown();
};
