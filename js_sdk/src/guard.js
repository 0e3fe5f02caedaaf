/**
 * Nothing the tag does may break the page: every call and listener runs inside a guard. What goes wrong is told to those who
 * watch the tag: the debug extra, which a developer sees on localhost and with data-debug. Visitors never are told.
 */

/** @type {((kind: string, what: any) => unknown)[]} */
const watchers = [];

/** @param {(kind: string, what: any) => unknown} hook hears "event", "answer" and "warning" from now on */
export const watch = (hook) => {
  watchers.push(hook);
};

/** @param {string} kind @param {unknown} what */
export const tell = (kind, what) => {
  for (const hook of watchers) {
    try {
      hook(kind, what);
    } catch {} // not told: whoever throws at a warning would be warned of that
  }
};

/** @param {unknown[]} words */
export const warn = (...words) => tell("warning", words);

/** @template {any[]} A @template R @param {(...args: A) => R} run @returns {(...args: A) => R | undefined} */
export const guard =
  (run) =>
  (...args) => {
    try {
      return run(...args);
    } catch (error) {
      warn(error);
    }
    return undefined;
  };

/**
 * @param {EventTarget} target
 * @param {string} type
 * @param {(event: any) => unknown} listener
 * @param {boolean | AddEventListenerOptions} [options]
 */
export const on = (target, type, listener, options) => target.addEventListener(type, guard(listener), options);
