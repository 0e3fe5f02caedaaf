/** Ways from an event's target up. */

/** Parts of which nothing is said. */
export const PRIVATE = "[data-footfall-private]";

/**
 * The innermost element that matches on the way from an event's target to the window, through open shadow roots.
 *
 * @param {EventTarget[]} path event.composedPath(), which is empty once the event is over @param {string} selector
 * @returns {any} an element, undefined if none
 */
export const within = (path, selector) => path.find((node) => /** @type {Element} */ (node).matches?.(selector));
