/**
 * The tag. All of it in one look:
 *
 *     navigation, clicks, calls -> emit -> queue (memory and disk) -> deliver -> collector
 *
 * State lives in four places: the queue and its copy on disk, deliver's clockwork, the address navigation told last, and
 * five short texts in localStorage (id, user, group, wait, zone). A prerendered page that is never shown does nothing.
 */
import { calls, install } from "./api.js";
import { watchClicks } from "./clicks.js";
import { clicks, pageViews, writeKey } from "./config.js";
import { measure } from "./context.js";
import { adopt, inherit, leave, resume } from "./deliver.js";
import { emit, page } from "./emit.js";
import { guard, on } from "./guard.js";
import { settle, watchNavigation } from "./navigation.js";

const stub = window.footfall ?? {};

const start = () => {
  watchNavigation(() => pageViews !== "off" && emit("page", { properties: page() }));
  install(stub);
  if (clicks !== "off") watchClicks((event, properties) => calls.track?.(event, properties));
  settle();
  measure(adopt);

  const left = () => {
    settle();
    leave();
  };
  on(window, "pagehide", left);
  on(document, "visibilitychange", () => (document.visibilityState === "hidden" ? left() : resume()));
  on(window, "online", resume);
  on(window, "storage", inherit);
};

if (writeKey && !stub.version) {
  stub.version = VERSION; // a second copy of the script sees it and stays out
  if (document.prerendering) on(document, "prerenderingchange", start);
  else guard(start)();
}
