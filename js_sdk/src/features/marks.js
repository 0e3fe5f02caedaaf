/** Events that a page's author wrote into the markup: data-footfall-event="name" data-footfall-prop-list-id="x". */
import { parse } from "../json.js";

export const MARK = "data-footfall-event";
const PROPERTY = "data-footfall-prop-";

/** @param {string} text @returns {unknown} what is JSON counts as that, all else as text; so does a number too long for one */
const parsed = (text) => {
  try {
    return /\d{16}/.test(text) ? text : parse(text);
  } catch {
    return text;
  }
};

/** @param {Element} element @returns {[string, object] | undefined} the event, and {list_id: "x"}; none without a mark */
export const markOf = (element) => {
  const event = element.getAttribute(MARK);
  /** @type {Record<string, unknown>} */
  const properties = {};
  for (const { name, value } of element.attributes) {
    if (name.startsWith(PROPERTY)) properties[name.slice(PROPERTY.length).replace(/-/g, "_")] = parsed(value);
  }
  return event ? [event, properties] : undefined;
};
