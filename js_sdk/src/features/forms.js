/**
 * Forms: form_submit, or the event that a form marked data-footfall-event names; and form_abandoned, when the visitor
 * leaves a form that was begun and not sent. Names of fields only, in the order they were last touched; no value ever.
 */
import { guard, on } from "../guard.js";
import { cut } from "./element.js";
import { markOf } from "./marks.js";
import { PRIVATE, within } from "./within.js";

const FIELDS_MAX = 50;
// Some routers show the new page a while after they changed the address.
const SETTLED_MS = 1000;

/** @param {any} tag @param {(moments: Record<string, (what: any) => any>) => void} when @returns {(event: any, path: EventTarget[]) => void} told of input and submit */
export const watchForms = (tag, when) => {
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

  /** @param {object} [page] that was left within a single-page site; what is still there then is not given up */
  const leave = (page) => {
    for (const form of begun.keys()) if (!page || !form.isConnected) tag.track("form_abandoned", end(form), { page });
  };
  on("pagehide", () => leave());
  when({
    move(/** @type {object} */ page) {
      setTimeout(guard(leave), SETTLED_MS, page);
    },
  });

  return ({ type }, path) => {
    // A form in a shadow root keeps its submit event to itself; its fields' input comes out, from the root's host.
    const [first] = /** @type {any[]} */ (path);
    if (within(path, PRIVATE)) return;
    if (type === "submit") {
      const facts = end(first);
      tag.track(...(markOf(first) ?? ["form_submit", facts]));
    } else if (type === "input" && first.form) {
      const field = cut(first.name || first.id);
      const fields = begun.get(first.form) ?? new Set();
      begun.set(first.form, fields);
      fields.delete(field);
      if (fields.size < FIELDS_MAX) fields.add(field);
    }
  };
};
