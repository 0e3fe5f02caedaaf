/**
 * dist/footfall.more.js: engagement, clicks, forms, media, clicks of trouble, and the last resort of delivery. The page fetches it when it idles, or at
 * the first event that any of them is about: see later.js, which keeps the events until then.
 */
import { guard, hooks } from "../guard.js";
import { watchClicks } from "./clicks.js";
import { watchEngagement } from "./engagement.js";
import { watchForms } from "./forms.js";
import { watchFailures } from "./last_resort.js";
import { watchMedia } from "./media.js";
import { watchTrouble } from "./trouble.js";
import { findZone } from "./zone.js";

/**
 * @param {any} tag @param {number} viewedMs when the page's view was counted, on performance.now()'s clock; 0 if it was not
 * @returns {(event: Event, path: EventTarget[], page?: object, at?: Date) => void} to be told of those events: of what was
 * before, with its page and time
 */
export default (tag, viewedMs) => {
  // A module of its own has a guard of its own, whose warnings the tag is to hear.
  if (tag.hooks !== hooks) hooks.push((_, what) => tag.warn(...what));
  /** @param {Record<string, (what: any) => any>} moments */
  const when = (moments) => {
    tag.hooks.push((/** @type {string} */ kind, /** @type {any} */ what) => moments[kind]?.(what));
  };
  /** @type {{page?: object, at?: Date}} of the event that is told, if it was before */
  let then = {};
  const teller = {
    settings: tag.settings,
    /** @param {string} event @param {object} properties @param {{page?: object}} [options] */
    track(event, properties, { page = then.page } = {}) {
      tag.emit("track", { event, properties, ...(then.at && { timestamp: then.at }) }, { page });
    },
  };
  findZone(tag);
  watchFailures(tag, when);
  watchEngagement(teller, when, viewedMs || performance.now(), viewedMs > 0);
  const watchers = [watchClicks, watchForms, watchMedia, watchTrouble].map((watch) => guard(watch(teller, when)));
  return (event, path, page, at) => {
    then = { page, at };
    for (const watcher of watchers) watcher(event, path, !!at);
    then = {};
  };
};
