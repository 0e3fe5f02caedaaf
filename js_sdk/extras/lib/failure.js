/**
 * What may be said of an uncaught error. Pure. Messages and stacks are cut, addresses in them lose query and fragment,
 * and what stands in an input of the page is taken out: error messages like to quote it.
 */

const MESSAGE_CHARS_MAX = 1000;
export const STACK_CHARS_MAX = 2000;
// Shorter texts would be found inside ordinary words.
const VALUE_CHARS_MIN = 4;

const QUERY = /((?:https?|blob|file):[^\s?#()]*)[?#][^\s()]*?(?=(?::\d+){0,2}(?:[\s)]|$))/g;
const PLACE = /((?:https?|blob|file):[^\s()]+?):(\d+):(\d+)/;

/** @param {string} text @returns {string} */
const withoutQueries = (text) => text.replace(QUERY, "$1");

/** @param {string} text @param {string[]} values @returns {string} */
const withoutValues = (text, values) =>
  values.reduce((left, value) => (value.length < VALUE_CHARS_MIN ? left : left.split(value).join("[input]")), text);

/** @param {any} thrown @returns {string} never the contents of an object, which may be anything */
const messageOf = (thrown) => {
  if (typeof thrown?.message === "string") return thrown.name ? `${thrown.name}: ${thrown.message}` : thrown.message;
  return thrown && typeof thrown === "object" ? Object.prototype.toString.call(thrown) : String(thrown);
};

/**
 * @param {{message?: string, filename?: string, lineno?: number, colno?: number, error?: unknown}} event an ErrorEvent
 * @param {string[]} values what stands in the page's inputs
 */
export const ofError = ({ message = "", filename = "", lineno = 0, colno = 0, error }, values) => {
  // Browsers say no more of a script from elsewhere that was loaded without crossorigin="anonymous".
  const hidden = !filename && /^script error\.?$/i.test(message);
  return fact(hidden ? "cross_origin" : "error", message, filename, lineno, colno, error, values);
};

/** @param {unknown} reason of an unhandled rejection @param {string[]} values what stands in the page's inputs */
export const ofRejection = (reason, values) => {
  const [, source = "", line, column] = PLACE.exec(stackOf(reason)) ?? [];
  return fact("unhandledrejection", messageOf(reason), source, Number(line ?? 0), Number(column ?? 0), reason, values);
};

/** @param {any} thrown @returns {string} */
const stackOf = (thrown) => (typeof thrown?.stack === "string" ? thrown.stack : "");

/**
 * @param {string} kind @param {string} message @param {string} source @param {number} line @param {number} column
 * @param {unknown} thrown @param {string[]} values
 */
const fact = (kind, message, source, line, column, thrown, values) => {
  /** @param {string} text */
  const clean = (text) => withoutValues(withoutQueries(text), values);
  return {
    message: clean(message).slice(0, MESSAGE_CHARS_MAX),
    source: withoutQueries(source),
    line,
    column,
    stack: clean(stackOf(thrown)).slice(0, STACK_CHARS_MAX),
    kind,
  };
};
