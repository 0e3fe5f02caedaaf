/**
 * Whether the visitor may be measured: "granted", "denied" or "pending" (not asked yet). The visitor's own answer is stored
 * and counts for more than anything else; then the browser's Global Privacy Control, and Do Not Track where the site wants
 * it; then data-consent. Only when granted may the disk be used, and with data-storage="none" for the answer alone.
 */
import { toJson } from "./json.js";
import { isOff, settings } from "./settings.js";
import { attempt, load, permit, settleDown, store, wipe } from "./storage.js";

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
  const stored = given ? given !== "pending" && toJson(given) : load("consent");
  const answer =
    given ??
    attempt(() => JSON.parse(/** @type {string} */ (stored))) ??
    ((navigator.globalPrivacyControl && !isOff("gpc")) || (settings.dnt && navigator.doNotTrack === "1")
      ? "denied"
      : (settings.consent ?? "granted"));
  categories = answer.big ? undefined : answer; // only texts can be big()
  state = categories ? (Object.values(answer).includes(true) ? "granted" : "denied") : answer;
  if (given) {
    if (state === "denied") wipe();
    store("consent", stored);
  }
  permit(state === "granted" && settings.storage !== "none");
  settleDown();
};
