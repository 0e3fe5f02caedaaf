/**
 * Two things every other module stands on. Nothing the tag does may break the page: every call and listener runs inside a
 * guard. And what happens in the core passes through hooks, so that the core need not know who else is there:
 *
 *     seen     the page was seen; a promise given back is waited for       call      [name, ...] is carried out
 *     start    the tag begins                                              before    an event; may be changed, or false
 *     move     the page that was left for another, within a single-page site
 *     event    one was queued
 *     request  [address, options, leaving] of fetch; may be changed        answer    {response or {error}, events as JSON}
 *     consent  "granted", "denied" or "pending"                            warning   for developers, never for visitors
 */

/** @type {((kind: string, what: any) => any)[]} each may give back something in the place of what it got */
export const hooks = [];

/** Tell the hooks, and give back what became of it. @type {(kind: string, what?: any) => any} */
export const pass = WHOLE
  ? (kind, what) => {
      for (const hook of hooks) what = hook(kind, what) ?? what;
      return what;
    }
  : (_, what) => what;

/** @template {any[]} A @template R @param {(...args: A) => R} run @returns {(...args: A) => R | undefined} */
export const guard =
  (run) =>
  (...args) => {
    try {
      return run(...args);
    } catch (error) {
      pass("warning", [error]);
    }
    return undefined;
  };

/**
 * Listen at the window on the way down, so that the page's own listeners can neither stop nor be delayed.
 *
 * @param {string} types with blanks between @param {(event: any) => unknown} listener
 */
export const on = (types, listener) => {
  for (const type of types.split(" "))
    addEventListener(type, guard(listener), WHOLE ? { capture: true, passive: true } : true);
};
