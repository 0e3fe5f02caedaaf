/**
 * Most of what the tag sees by itself is in footfall.more.js, see decision 0007: fetched when the browser idles, and at once
 * when the visitor presses something. What was pressed until it is there is kept, with its path, which is empty later, its
 * page and its time, and is handed over. If the page is left before, all that fits in here is told of it.
 */
import { folder } from "../classic.js";
import { on } from "../guard.js";
import { page } from "../navigation.js";
import { isOff, settings } from "../settings.js";
import { tag, track } from "../tag.js";
import { when } from "../whole.js";
import { MARK, markOf } from "./marks.js";
import { PRIVATE, within } from "./within.js";

// Of the time it takes to fetch a small file.
const EVENTS_MAX = 300;
const IDLE = { timeout: 2000 };

export const watchLater = () => {
  /** @type {[event: any, path: any[], page: object, at: Date][]} */
  const events = [];
  /** When the view of this page was counted, on performance.now()'s clock. */
  let viewed = 0;
  /** @type {Promise<void> | undefined} */
  let _asked;
  /** @type {((event: any, path: EventTarget[], page?: object, at?: Date) => void) | undefined} */
  let more;

  const fetchMore = () => {
    _asked ||= import(`${folder}/footfall.more.js`).then((module) => {
      more = module.default(tag, viewed);
      for (const event of events) more?.(...event);
    }, tag.warn);
  };

  /** @param {typeof events[0]} kept */
  const tellBriefly = ([{ type, button }, path, page]) => {
    const form = type === "submit" && path[0];
    const marked = form || within(path, `[${MARK}]:not(form)`);
    if (!form && isOff(settings.clicks)) return;
    const { host, href } = path.find((node) => /^http/.test(node.href)) ?? {};
    /** @type {[event: string, properties: object]} */
    const told = /** @type {any} */ (
      (marked && markOf(marked)) ||
        (form
          ? ["form_submit", { fields: [] }]
          : href && [
              "click",
              { href: href.replace(/#.*/, ""), link_kind: host === location.host ? undefined : "outbound" },
            ])
    );
    // Of clicks and submits; the right button never clicks.
    if (told && /click|submit/.test(type) && !(button > 1) && !within(path, PRIVATE)) track(...told, { page });
  };

  when({
    before({ type }) {
      if (type === "page") viewed ||= performance.now();
    },
    move() {
      viewed = 0;
    },
  });
  on("pagehide", () => more || events.splice(0).forEach(tellBriefly));
  on("pointerdown click auxclick input submit play", (event) => {
    const path = event.composedPath();
    if (more) more(event, path);
    else if (!events[EVENTS_MAX]) events.push([event, path, page(), new Date()]);
    fetchMore();
  });
  (window.requestIdleCallback ?? setTimeout)(fetchMore, /** @type {any} */ (IDLE));
};
