/**
 * What holds for a whole batch: library, language, time zone, screen, connection. Costly looks are taken off the load path:
 * the inner size right after a frame, when layout is done, and the time zone's name some seconds later, because the first
 * use of Intl costs more than all the rest of the tag. The name is kept for as long as the clock's offset is the same.
 */
import { guard } from "./guard.js";
import { load, store } from "./storage.js";

// The first seconds belong to the page.
const ZONE_AFTER_MS = 3000;

/** @type {{innerWidth?: number, innerHeight?: number}} */
let inner;

const zone = () => `zone${new Date().getTimezoneOffset()}`;

/** Look at what is costly to look at. */
export const measure = () => {
  inner = { innerWidth, innerHeight };
  load(zone()) ??
    setTimeout(
      guard(() => store(zone(), Intl.DateTimeFormat().resolvedOptions().timeZone)),
      ZONE_AFTER_MS,
    );
};

/** @param {number} dropped events this page gave up, so that loss is counted rather than guessed */
export const batchContext = (dropped) => ({
  library: { name: "footfall.js", version: VERSION },
  locale: navigator.language,
  timezone: load(zone()),
  screen: { width: screen.width, height: screen.height, ...inner, density: devicePixelRatio },
  connection: navigator.connection?.effectiveType,
  webdriver: navigator.webdriver || undefined,
  dropped: dropped || undefined,
});
