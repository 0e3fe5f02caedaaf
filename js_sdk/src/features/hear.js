/** How the features listen: at the window, on the way down, so that the page's own listeners can neither stop nor be delayed. */
import { on } from "../guard.js";

const ONLY_LOOKING = { capture: true, passive: true };

/** @param {string} types with blanks between @param {(event: any) => unknown} listener */
export const hear = (types, listener) => {
  for (const type of types.split(" ")) on(window, type, listener, ONLY_LOOKING);
};

/**
 * The innermost element that matches on the way from an event's target to the window, through open shadow roots.
 *
 * @param {Event} event
 * @param {string} selector
 * @returns {any} an element, undefined if none
 */
export const within = (event, selector) =>
  event.composedPath().find((node) => /** @type {Element} */ (node).matches?.(selector));
