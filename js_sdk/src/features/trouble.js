/**
 * Clicks of a visitor in trouble. rage_click: the third click within a second at one place, told once until the hand
 * rests. dead_click: a click on what looks clickable, after which nothing happened for a second: no change of the page, no
 * navigation, no scrolling, no selection, no move of the focus. Style is asked for only then, when nothing has changed it.
 */
import { track } from "../api.js";
import { guard, on } from "../guard.js";
import { onMove } from "../navigation.js";
import { describe, UNREADABLE } from "./element.js";
import { hear, within } from "./hear.js";

const PAUSE_MS = 1000;
const RAGE_PX = 30;
const ANY_CHANGE = { subtree: true, childList: true, attributes: true, characterData: true };

const selecting = () => getSelection()?.type === "Range";

/** @returns {(event: MouseEvent, clicked?: Element, link?: Element) => void} to be told of each click */
export const watchTrouble = () => {
  /** @type {MouseEvent[]} */
  let burst = [];
  let calmMs = 0;
  let watching = false;
  let timer = 0;

  const answered = () => {
    observer.disconnect();
    clearTimeout(timer);
    timer = 0;
    watching = false;
  };
  const observer = new MutationObserver(answered);
  // From the press on, as many menus open then; but the focus that a press gives is no answer.
  hear("pointerdown", (event) => {
    watching = true;
    for (const node of event.composedPath().slice(0, -1)) observer.observe(node, ANY_CHANGE); // all but the window
  });
  hear("scroll focus blur submit input toggle play pagehide", () => timer && answered());
  on(window.navigation ?? window, "navigate", answered);
  onMove(answered);

  return (event, clicked, link) => {
    if (!event.isTrusted || (!clicked && within(event, UNREADABLE))) return;
    const element = /** @type {Element} */ (clicked ?? event.composedPath()[0]);
    const { timeStamp: nowMs, clientX, clientY } = event;

    burst = burst.filter(
      (old) => nowMs - old.timeStamp < PAUSE_MS && Math.hypot(clientX - old.clientX, clientY - old.clientY) <= RAGE_PX,
    );
    // Three clicks on a text select its paragraph.
    if (burst.push(event) > 2 && (clicked || !selecting())) {
      if (nowMs > calmMs) track("rage_click", describe(element));
      calmMs = nowMs + PAUSE_MS;
    }

    if (!watching || timer || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    timer = setTimeout(
      guard(() => {
        answered();
        const leaves = link && !event.defaultPrevented;
        const inviting = clicked || getComputedStyle(element).cursor === "pointer";
        if (inviting && !leaves && !selecting()) track("dead_click", describe(element));
      }),
      PAUSE_MS,
    );
  };
};
