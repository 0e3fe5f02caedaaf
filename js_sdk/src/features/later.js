/**
 * What is needed only after the visitor did something is fetched then, once; see decision 0007. Events that come before it
 * has come are handed over with their paths, which they have no longer by then. If it never comes, the rest works.
 */
import { folder } from "../classic.js";
import { on } from "../guard.js";
import { tag } from "../tag.js";

// Of the time it takes to fetch a small file.
const EVENTS_MAX = 99;

export const watchLater = () => {
  /** @type {[Event, EventTarget[]][]} */
  const events = [];
  /** @type {(event: any, path: any, late?: unknown) => unknown} */
  let tell = (event, path) => events.length < EVENTS_MAX && events.push([event, path]);
  let asked = false;
  on("pointerdown click auxclick input submit play", (event) => {
    tell(event, event.composedPath());
    if (asked) return;
    asked = true;
    import(`${folder}/footfall.more.js`).then((more) => {
      tell = more.default(tag);
      for (const event of events) tell(...event, true);
    }, tag.warn);
  });
};
