/**
 * Forms: form_submit, or the event that a form marked data-footfall-event names; and form_abandoned, when the visitor
 * leaves a form that was begun and not sent. Names of fields only, in the order they were last touched; no value ever.
 */
import { track } from "../api.js";
import { guard } from "../guard.js";
import { onMove } from "../navigation.js";
import { cut, PRIVATE } from "./element.js";
import { hear, within } from "./hear.js";
import { markOf } from "./marks.js";

const FIELDS_MAX = 50;
// Some routers show the new page a while after they changed the address.
const SETTLED_MS = 1000;

export const watchForms = () => {
  /** @type {Map<HTMLFormElement, Set<string>>} the fields touched in forms not sent */
  const begun = new Map();

  /** @param {HTMLFormElement} form sent or given up @returns {object} what is said of it */
  const end = (form) => {
    const fields = [...(begun.get(form) ?? [])];
    begun.delete(form);
    // The properties of a form may be covered by fields of the same names; its attributes are not.
    return {
      form_id: cut(form.getAttribute("id")),
      form_name: cut(form.getAttribute("name")),
      fields,
      last_field: fields[fields.length - 1],
    };
  };

  // The event's target, not its path's first: a form in a shadow root keeps its submit event to itself.
  hear("input submit", (event) => {
    const { target } = event;
    const { form } = target;
    if (within(event, PRIVATE)) return;
    if (event.type === "submit") {
      const facts = end(target);
      track(...(markOf(target) ?? ["form_submit", facts]));
    } else if (form) {
      const field = cut(target.name || target.id);
      const fields = begun.get(form) ?? new Set();
      begun.set(form, fields);
      fields.delete(field);
      if (fields.size < FIELDS_MAX) fields.add(field);
    }
  });
  /** @param {object} [page] that was left within a single-page site; what is still there then is not given up */
  const leave = (page) => {
    for (const form of begun.keys()) if (!page || !form.isConnected) track("form_abandoned", end(form), { page });
  };
  hear("pagehide", () => leave());
  onMove((page) => setTimeout(guard(leave), SETTLED_MS, page));
};
