/**
 * How long a page was attended to, and how much of it was seen: one `engagement` event whenever it is hidden or left, each
 * with the time since the last. Time counts while the page is visible, has the focus, and had input within 30 seconds;
 * there is no ticking timer, so that a sleeping laptop adds no more than any pause. Nothing is sent under a second unless
 * the visitor scrolled, and nothing for a page whose view was not counted.
 */
import { guard, on } from "../guard.js";

export const IDLE_MS = 30_000;
export const LEAST_MS = 1000;
// Routers show the new page, and scroll it to its top, some time after they changed the address.
const SETTLED_MS = 1000;

const attentive = () => document.hasFocus() && !document.hidden;

/**
 * @param {any} tag @param {(moments: Record<string, (what: any) => any>) => void} when
 * @param {number} startMs since when the page is looked at, on performance.now()'s clock; NaN if its view was not counted
 * @returns {(event: any, path: EventTarget[], late?: unknown) => void} told of blur, where it was before
 */
export const watchEngagement = (tag, when, startMs) => {
  let viewed = startMs >= 0;
  let sinceMs = attentive() ? startMs || performance.now() : 0;
  let engagedMs = 0;
  let seenPx = 0;
  let heightPx = 0;
  let scrolled = false;

  const beat = () => {
    const nowMs = performance.now();
    if (sinceMs) engagedMs += Math.min(nowMs - sinceMs, IDLE_MS);
    sinceMs = attentive() ? nowMs : 0;
  };

  // Where layout is done anyway: by the browser, right before. Reading it is free then.
  const look = guard(() => {
    const box = /** @type {Element} */ (document.scrollingElement);
    heightPx = box.scrollHeight;
    seenPx = Math.max(seenPx, box.scrollTop + box.clientHeight);
  });
  /** @param {object} [page] the one that was left, if not this */
  const tell = (page) => {
    beat();
    if (!viewed || (engagedMs < LEAST_MS && !scrolled)) return;
    tag.track(
      "engagement",
      {
        engaged_ms: Math.round(engagedMs),
        scroll_depth: heightPx ? +Math.min(seenPx / heightPx, 1).toFixed(2) : undefined,
      },
      { page },
    );
    engagedMs = 0;
    scrolled = false;
  };

  on("pointermove pointerdown keydown focus blur", beat);
  // A hidden page may never be seen again. Both may come for one leave: the second has nothing new to tell.
  on("visibilitychange pagehide", ({ type }) => (document.hidden || type === "pagehide" ? tell() : beat()));
  on("scroll", () => {
    scrolled = true;
    beat();
    requestAnimationFrame(() => setTimeout(look));
  });
  // At the first layout, and when content comes late. Not at once: a change of the address is told first.
  new ResizeObserver(() => setTimeout(look)).observe(document.documentElement);
  when({
    before({ type }) {
      viewed ||= type === "page";
    },
    move(page) {
      tell(page);
      engagedMs = seenPx = heightPx = 0;
      viewed = scrolled = false;
      setTimeout(look, SETTLED_MS);
    },
  });
  beat();

  return ({ type, target, timeStamp }, _, late) => {
    // The focus went before this module came: until then the page had it.
    if (late && type === "blur" && target === window && timeStamp > startMs) {
      engagedMs = Math.min(timeStamp - startMs, IDLE_MS);
      sinceMs = attentive() ? performance.now() : 0;
    }
  };
};
