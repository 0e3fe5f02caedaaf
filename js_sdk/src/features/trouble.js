/**
 * Clicks of a visitor in trouble. rage_click: the third click within a second at one place, told once until the hand
 * rests. dead_click: a click on what looks clickable, after which nothing happened for a second: no change of the page, no
 * navigation, no scrolling, no selection, no move of the focus. Style is asked for only then, when nothing has changed it.
 * A click from before this module was there is no dead one: what it changed is not known.
 */
import { guard, on } from "../guard.js";
import { isOff } from "../settings.js";
import { CLICKABLE, LINK } from "./clickable.js";
import { describe, UNREADABLE } from "./element.js";
import { PRIVATE, within } from "./within.js";

const PAUSE_MS = 1000;
const RAGE_PX = 30;
const ANY_CHANGE = { subtree: true, childList: true, attributes: true, characterData: true };

const selecting = () => getSelection()?.type === "Range";

/**
 * @param {any} tag @param {(moments: Record<string, (what: any) => any>) => void} when
 * @returns {(event: any, path: EventTarget[], late?: unknown) => void} told of pointerdown, click and auxclick
 */
export const watchTrouble = (tag, when) => {
  /** @type {MouseEvent[]} */
  let burst = [];
  let calmMs = 0;
  let watching = false;
  let timer = 0;
  /** @type {MutationObserver | undefined} */
  let observer;

  const answered = () => {
    observer?.disconnect();
    clearTimeout(timer);
    timer = 0;
    watching = false;
  };
  /** What would be an answer, from the first press on: a page that is only read pays nothing. */
  const observe = () => {
    const { navigation } = /** @type {any} */ (window);
    navigation?.addEventListener("navigate", answered);
    on("scroll focus blur submit input toggle play pagehide", () => timer && answered());
    return new MutationObserver(answered);
  };
  when({ move: answered });

  return (event, path, late) => {
    const { type, timeStamp: nowMs, clientX, clientY } = event;
    if (isOff(tag.settings.clicks)) return;
    if (type === "pointerdown" && !late) {
      // From the press on, as many menus open then; but the focus that a press gives is no answer.
      watching = true;
      observer ??= observe();
      for (const node of path.slice(0, -1)) observer.observe(/** @type {Node} */ (node), ANY_CHANGE); // all but the window
    }
    if (!/click/.test(type) || !event.isTrusted) return;
    const link = within(path, LINK);
    if (event.button > (link ? 1 : 0) || within(path, `${PRIVATE},button:disabled,[aria-disabled=true]`)) return;
    const clicked = within(path, CLICKABLE);
    if (!clicked && within(path, UNREADABLE)) return;
    const element = /** @type {Element} */ (clicked ?? path[0]);

    burst = burst.filter(
      (old) => nowMs - old.timeStamp < PAUSE_MS && Math.hypot(clientX - old.clientX, clientY - old.clientY) <= RAGE_PX,
    );
    // Three clicks on a text select its paragraph.
    if (burst.push(event) > 2 && (clicked || !selecting())) {
      if (nowMs > calmMs) tag.track("rage_click", describe(element));
      calmMs = nowMs + PAUSE_MS;
    }

    if (!watching || timer || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    timer = setTimeout(
      guard(() => {
        answered();
        const leaves = link && !event.defaultPrevented;
        const inviting = clicked || getComputedStyle(element).cursor === "pointer";
        if (inviting && !leaves && !selecting()) tag.track("dead_click", describe(element));
      }),
      PAUSE_MS,
    );
  };
};
