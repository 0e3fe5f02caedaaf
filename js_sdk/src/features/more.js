/**
 * dist/footfall.more.js: engagement, clicks, forms, media, clicks of trouble, the time zone, and what helps requests through.
 * The page fetches it when the visitor first does something: see later.js, which keeps the events until then.
 */
import { guard, hooks, on } from "../guard.js";
import { assist } from "../requests.js";
import { watchClicks } from "./clicks.js";
import { watchEngagement } from "./engagement.js";
import { watchForms } from "./forms.js";
import { watchFailures } from "./last_resort.js";
import { watchMedia } from "./media.js";
import { watchTrouble } from "./trouble.js";
import { findZone } from "./zone.js";

// Long enough for a frame to be shown, short enough that a tab which is killed takes hardly anything with it.
const ANSWERED_MS = 50;

/**
 * @param {any} tag @param {number} viewedMs since when the page is looked at, on performance.now()'s clock; NaN if its view was not counted
 * @returns {(event: Event, path: EventTarget[], page?: object, at?: Date) => void} to be told of those events: of what was
 * before, with its page and time
 */
export default (tag, viewedMs) => {
  /** @param {Record<string, (what: any) => any>} moments */
  const when = (moments) => {
    tag.hooks.push((/** @type {string} */ kind, /** @type {any} */ what) => moments[kind]?.(what));
  };
  if (tag.hooks !== hooks) {
    // A module of its own has a guard of its own, whose warnings the tag is to hear; and it comes to a tag without these.
    hooks.push((_, what) => tag.warn(...what));
    when({ request: assist });
  }
  /** @type {{page?: object, at?: Date}} of the event that is told, if it was before */
  let then = {};
  /**
   * What was seen and is not told yet. An input event has to be looked at when it comes, as the page changes because of it;
   * what becomes of that, with a write to the disk, is several times the work, and waits until the visitor has the answer.
   * At most what a visitor does in that time; each is told before anything else is.
   *
   * @type {[fields: object, options: {page?: object}][]}
   */
  const seen = [];
  let address = "";
  /** @type {{at?: number, target?: EventTarget}} the click before */
  let last = {};

  const here = () => (tag.settings.hash == null ? location.href.replace(/#.*/, "") : location.href);
  /** @param {object} [page] where it was, if that is no longer this */
  const tell = (page) => {
    for (const [fields, options] of seen.splice(0)) tag.emit("track", fields, { page, ...options });
  };
  // If a router has changed the address meanwhile, the core finds out before its next event, and says which page it was.
  const tellHere = () => {
    if (here() === address) tell();
  };
  const tellLater = guard(() => {
    tellHere();
    if (seen[0]) setTimeout(guard(() => tell()));
  });

  const teller = {
    settings: tag.settings,
    /** @param {string} event @param {object} properties @param {{page?: object}} [options] */
    track(event, properties, { page = then.page } = {}) {
      if (!seen[0]) {
        address = here();
        setTimeout(tellLater, ANSWERED_MS);
      }
      seen.push([{ event, properties, timestamp: then.at ?? new Date() }, page ? { page } : {}]);
    },
  };
  findZone(tag);
  watchFailures(tag, when);
  const watchers = [
    watchEngagement(teller, when, viewedMs),
    ...[watchClicks, watchForms, watchMedia, watchTrouble].map((watch) => watch(teller, when)),
  ].map(guard);
  // After the watchers' own: what they see in these moments is told as well.
  on("visibilitychange pagehide", () => tell());
  when({ move: tell, call: tellHere });
  /**
   * A click on a label clicks its control as well, in the same moment: one click of the visitor. Two on one element are two.
   *
   * @param {Event} event @param {EventTarget} [target]
   */
  const isEcho = ({ type, isTrusted, timeStamp }, target) => {
    if (!isTrusted || !/click/.test(type)) return false;
    const before = last;
    last = { at: timeStamp, target };
    return timeStamp === before.at && target !== before.target;
  };
  return (event, path, page, at) => {
    if (isEcho(event, path[0])) return;
    then = { page, at };
    for (const watcher of watchers) watcher(event, path, !!at);
    then = {};
  };
};
