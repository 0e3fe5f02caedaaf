/**
 * What may be said of an element: its id, role, visible name and place. Never what a visitor typed or chose, and nothing
 * of a part marked data-footfall-private. The limits are the plan's: a longer text would have the whole event refused.
 */
import { PRIVATE } from "./within.js";

// Parts whose text is the visitor's own, or private.
export const UNREADABLE = `input,textarea,select,[contenteditable],${PRIVATE}`;
export const TEXT_CHARS_MAX = 128;
const STEPS_MAX = 5;
// Frameworks make ids with long numbers or odd signs anew for each page; they say nothing the next day.
const LASTING_ID = /^[a-z][a-z_-]{0,63}\d?\d?$/i;

/** @param {string | null | undefined} text @returns {string} on one line, and short */
export const cut = (text) => (text ?? "").replace(/\s+/g, " ").trim().slice(0, TEXT_CHARS_MAX);

/**
 * @param {any} element
 * @param {number} [depth] of the step, from the element up
 * @returns {string} a CSS selector from the nearest lasting id down, of five steps at most; shadow roots do not show
 */
const selectorOf = (element, depth = 1) => {
  const { id, localName, parentNode: parent } = element;
  if (LASTING_ID.test(id)) return `#${id}`;
  if (!parent) return localName; // taken out of the page meanwhile
  const above = parent.host ?? element.parentElement;
  let place = 1;
  for (let before = element.previousElementSibling; before; before = before.previousElementSibling) place++;
  const step = `${localName}:nth-child(${place})`;
  return above && depth < STEPS_MAX ? `${selectorOf(above, depth + 1)} > ${step}` : step;
};

/** @param {Element} element */
export const describe = (element) => ({
  element_id: cut(element.id),
  element_role: cut(element.getAttribute("role") || element.localName.replace(/^a(rea)?$/, "link")),
  element_name: cut(
    element.getAttribute("aria-label") ||
      (element.closest(UNREADABLE) || element.querySelector(UNREADABLE)
        ? ""
        : element.textContent?.trim() || element.querySelector("img")?.alt),
  ),
  selector: selectorOf(element),
});
