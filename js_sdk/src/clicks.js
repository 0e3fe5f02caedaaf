/**
 * Clicks, heard once at the document before the page's own listeners can stop them. An element marked
 * data-footfall-event="name" sends that event with its data-footfall-prop-* attributes; other links and buttons send
 * `click`. One click, one event; the click itself is never touched. Sees into open shadow roots.
 */
import { describe, PRIVATE } from "./element.js";
import { on } from "./guard.js";

const MARK = "data-footfall-event";
const PROPERTY = "data-footfall-prop-";
const CLICKABLE =
  "a[href],area[href],button,summary,[type=submit],[type=button],[type=image]," +
  "[role=button],[role=link],[role=menuitem],[role=tab],[role=switch]";

/** @param {string} text @returns {unknown} what is JSON counts as that, all else as text */
const parsed = (text) => {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
};

/** @param {Element} element @returns {Record<string, unknown>} data-footfall-prop-list-id="x" becomes {list_id: "x"} */
const propertiesOf = (element) => {
  /** @type {Record<string, unknown>} */
  const found = {};
  for (const { name, value } of element.attributes) {
    if (name.startsWith(PROPERTY)) found[name.slice(PROPERTY.length).replace(/-/g, "_")] = parsed(value);
  }
  return found;
};

/** @param {(event: string | null, properties: object) => void} track */
export const watchClicks = (track) => {
  /** @param {Event} event */
  const heard = (event) => {
    const path = event.composedPath().filter((node) => node instanceof Element);
    /** @param {string} selector */
    const first = (selector) => path.find((element) => element.matches(selector));
    if (first(PRIVATE)) return;
    const marked = first(`[${MARK}]`);
    const clicked = first(CLICKABLE);
    if (marked) track(marked.getAttribute(MARK), propertiesOf(marked));
    else if (clicked) track("click", describe(clicked));
  };
  on(document, "click", heard, true);
  on(document, "auxclick", (event) => event.button === 1 && heard(event), true); // the middle button opens links
};
