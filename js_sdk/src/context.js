/**
 * What holds for a whole batch: library, language, time zone, screen. Costly looks are taken off the load path: the inner
 * size inside an animation frame, where layout is done anyway, and the time zone's name when the browser idles, because
 * the first use of Intl costs more than all the rest of the tag. The name is kept until the clock's offset changes.
 */
import { guard } from "./guard.js";
import { load, store } from "./storage.js";

// The first seconds belong to the page.
const IDLE_AFTER_MS = 3000;

/** @type {{innerWidth?: number, innerHeight?: number}} */
let inner = {};
let timezone = "";

/** @param {() => void} ready called when the cheap part is known; not in a hidden page, which has no frames */
export const measure = (ready) => {
  requestAnimationFrame(() => {
    inner = { innerWidth, innerHeight };
    setTimeout(guard(ready));
  });
  const offset = `${new Date().getTimezoneOffset()} `;
  const kept = load("zone");
  if (kept.startsWith(offset)) timezone = kept.slice(offset.length);
  else {
    const name = guard(() => {
      timezone = Intl.DateTimeFormat().resolvedOptions().timeZone;
      store("zone", offset + timezone);
    });
    setTimeout(() => (window.requestIdleCallback ?? setTimeout)(name), IDLE_AFTER_MS);
  }
};

/** @param {number} dropped events this page gave up, so that loss is counted rather than guessed */
export const batchContext = (dropped) => ({
  library: { name: "footfall.js", version: VERSION },
  locale: navigator.language,
  timezone: timezone || undefined,
  screen: { width: screen.width, height: screen.height, ...inner, density: devicePixelRatio },
  dropped: dropped || undefined,
});
