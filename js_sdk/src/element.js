/**
 * What may be said of an element that was clicked: its id, role, visible name and place. Never what a visitor typed or
 * chose, and nothing of a part marked data-footfall-private.
 */

export const PRIVATE = "[data-footfall-private]";
// Parts whose text is the visitor's own, or private.
const UNREADABLE = `input,textarea,select,[contenteditable],${PRIVATE}`;
// The plan's limits: a longer text would have the whole event refused.
const ID_CHARS_MAX = 128;
const ROLE_CHARS_MAX = 64;
const NAME_CHARS_MAX = 100;
const SELECTOR_CHARS_MAX = 512;
const STEPS_MAX = 5;
// Frameworks make ids with long numbers or odd signs anew for each page; they say nothing the next day.
const STABLE_ID = /^(?!.*\d{3})[A-Za-z][\w-]*$/;

/** @param {Element} element @returns {string} what it is called on the screen, or to a screen reader */
const nameOf = (element) => {
  const text = element.closest(UNREADABLE) || element.querySelector(UNREADABLE) ? "" : element.textContent;
  const name = element.getAttribute("aria-label") || text?.trim() || element.querySelector("img")?.alt || "";
  return name.replace(/\s+/g, " ").slice(0, NAME_CHARS_MAX);
};

/** @param {Element} element @returns {string} a CSS selector from the nearest lasting id down */
const selectorOf = (element) => {
  const steps = [];
  /** @type {Element | null} */
  let at = element;
  for (; at && steps.length < STEPS_MAX; at = at.parentElement) {
    if (STABLE_ID.test(at.id)) {
      steps.unshift(`#${at.id}`);
      break;
    }
    const { localName } = at;
    let number = 1;
    for (let twin = at.previousElementSibling; twin; twin = twin.previousElementSibling) {
      if (twin.localName === localName) number++;
    }
    steps.unshift(`${localName}:nth-of-type(${number})`);
  }
  return steps.join(" > ");
};

/** @param {Element} element a link or button, or what plays one */
export const describe = (element) => ({
  element_id: element.id.slice(0, ID_CHARS_MAX),
  element_role: (element.getAttribute("role") || (/^a/.test(element.localName) ? "link" : "button")).slice(
    0,
    ROLE_CHARS_MAX,
  ),
  element_name: nameOf(element),
  selector: selectorOf(element).slice(0, SELECTOR_CHARS_MAX),
});
