/**
 * Most of what the tag sees by itself is in footfall.more.js, see decision 0007: it is fetched when the visitor first does
 * something, or after some seconds. Until it is there, presses are kept with their path, which is empty later, their page
 * and their time, and are handed over, as is the time that the page was attended to. If the page is left before, all that
 * fits in here is told of them.
 */
import { folder } from "../classic.js";
import { on } from "../guard.js";
import { page } from "../navigation.js";
import { isOff, settings } from "../settings.js";
import { settle, tag, track } from "../tag.js";
import { when } from "../whole.js";
import { IDLE_MS, LEAST_MS } from "./engagement.js";
import { MARK, markOf } from "./marks.js";
import { PRIVATE, within } from "./within.js";

// Of the time it takes to fetch a small file.
const EVENTS_MAX = 300;
// The first seconds belong to the page.
const AFTER_MS = 4000;
// If it could not be had; a file that is blocked is asked for no more than this.
const AGAIN_MS = 30_000;

export const watchLater = () => {
  /** @type {[event: any, path: any[], page: object, at: Date][]} */
  const events = [];
  /** Since when this page is looked at, on performance.now()'s clock; NaN if its view was not counted. */
  let sinceMs = NaN;
  /** @type {unknown} */
  let asked;
  /** @type {((event: any, path: EventTarget[], page?: object, at?: Date) => void) | undefined} */
  let more;

  const fetchMore = () => {
    if (asked) return;
    asked = setTimeout(() => {
      asked = more;
    }, AGAIN_MS);
    import(`${folder}/footfall.more.js`).then((module) => {
      more = module.default(tag, sinceMs);
      for (const event of events) /** @type {NonNullable<typeof more>} */ (more)(...event);
    }, tag.warn);
  };

  /** @param {typeof events[0]} kept */
  const tellBriefly = ([{ type, button }, path, page]) => {
    const form = type === "submit" && path[0];
    // Of clicks and submits; the right button never clicks.
    if (!/click|submit/.test(type) || button > 1 || within(path, PRIVATE) || (!form && isOff(settings.clicks))) return;
    const marked = form || within(path, `[${MARK}]:not(form)`);
    const { host, href } = path.find((node) => /^http/.test(node.href)) ?? {};
    /** @type {[event: string, properties: object] | undefined} */
    const told =
      (marked && markOf(marked)) ||
      (form
        ? ["form_submit", { fields: [] }]
        : href && ["click", { href: href.split("#")[0], link_kind: host === location.host ? undefined : "outbound" }]);
    if (told) track(...told, { page });
  };

  /** @param {object} [page] the one that was left, if not this */
  const tellEngaged = (page) => {
    const engaged_ms = Math.min(performance.now() - sinceMs, IDLE_MS) | 0;
    sinceMs &&= document.hidden ? Infinity : performance.now();
    if (!more && engaged_ms >= LEAST_MS) track("engagement", { engaged_ms }, { page });
  };

  when({
    answer({ response }) {
      if (!response.status) fetchMore();
    },
    before({ type }) {
      if (type === "page") sinceMs ||= performance.now();
    },
    move(page) {
      tellEngaged(page);
      sinceMs = NaN;
    },
  });
  on("visibilitychange pagehide", () => {
    settle();
    if (!more) events.splice(0).forEach(tellBriefly);
    tellEngaged();
  });
  on("pointermove keydown scroll", fetchMore);
  on("pointerdown click auxclick input submit play blur", (event) => {
    const path = event.composedPath();
    if (more) more(event, path);
    else if (!events[EVENTS_MAX]) events.push([event, path, page(), new Date()]);
    fetchMore();
  });
  setTimeout(fetchMore, AFTER_MS);
};
