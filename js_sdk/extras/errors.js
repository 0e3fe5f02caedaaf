/**
 * Errors that nobody caught, and promises that failed unheard, as `error` events. Each once a page view, and few of them:
 * a page in trouble must not become a flood. Not the browser extensions' errors, and never the tag's own: telling those
 * would make more of them.
 */
import { ofError, ofRejection } from "./lib/failure.js";
import { safely } from "./lib/safe.js";

const PER_PAGE_MAX = 10;
// Enough for any form; a page with more inputs is a spreadsheet.
const INPUTS_MAX = 200;
const TYPED = "input:not([type=checkbox],[type=radio],[type=submit],[type=button],[type=reset]),textarea,select";
const EXTENSION = /-extension:/;
// Not an error: the browser puts the rest of its notifications off to the next frame.
const HARMLESS = /^ResizeObserver loop/;

/** @returns {string[]} what visitors typed or chose on this page */
const typed = () =>
  [...document.querySelectorAll(TYPED)].slice(0, INPUTS_MAX).map((input) => /** @type {any} */ (input).value);

/** @param {import("./types.d.ts").Tag} tag */
export default (tag) => {
  const told = new Set();
  const own = `${tag.settings.endpoint}/footfall`;

  /** @param {ReturnType<typeof ofError>} failure */
  const tell = (failure) => {
    const { message, source, line, column, stack } = failure;
    const key = [message, source, line, column].join(" ");
    if (told.size >= PER_PAGE_MAX || told.has(key)) return;
    if (HARMLESS.test(message) || EXTENSION.test(source || stack) || source.startsWith(own)) return;
    told.add(key);
    tag.track("error", failure);
  };

  tag.watch((what, /** @type {any} */ event) => {
    if (what === "event" && event.type === "page") told.clear();
  });
  addEventListener(
    "error",
    safely(tag, (event) => tell(ofError(event, typed()))),
  );
  addEventListener(
    "unhandledrejection",
    safely(tag, (event) => tell(ofRejection(event.reason, typed()))),
  );
};
