/**
 * dist/footfall.more.js: forms, media and clicks of trouble. The page fetches it at the first event that any of them is
 * about (see later.js), so that a page nobody touches does not carry it.
 */
import { guard, hooks } from "../guard.js";
import { watchForms } from "./forms.js";
import { watchMedia } from "./media.js";
import { watchTrouble } from "./trouble.js";

/** @param {any} tag @returns {(event: Event, path: EventTarget[], late?: unknown) => void} to be told of those events */
export default (tag) => {
  // A module of its own has a guard of its own, whose warnings the tag is to hear.
  if (tag.hooks !== hooks) hooks.push((_, what) => tag.warn(...what));
  /** @param {Record<string, (what: any) => any>} moments */
  const when = (moments) => {
    tag.hooks.push((/** @type {string} */ kind, /** @type {any} */ what) => moments[kind]?.(what));
  };
  const watchers = [watchForms, watchMedia, watchTrouble].map((watch) => guard(watch(tag, when)));
  return (...event) => {
    for (const watcher of watchers) watcher(...event);
  };
};
