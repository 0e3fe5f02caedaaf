/** How far videos and audios were played: media_progress at 0, 25, 50, 75 and 100 percent, once each per page and source. */
import { on } from "../guard.js";
import { cut } from "./element.js";
import { PRIVATE, within } from "./within.js";

/** @param {any} tag @param {(moments: Record<string, (what: any) => any>) => void} when @returns {(event: any, path: EventTarget[]) => void} told of play */
export const watchMedia = (tag, when) => {
  /** @type {Set<string>} what was told; five texts for each source played on this page */
  const told = new Set();
  when({ move: () => told.clear() });

  const progress = (/** @type {any} */ { type }, /** @type {any[]} */ path) => {
    const [media] = path;
    const { currentSrc, duration, ended } = media;
    const percent = type === "play" ? 0 : Math.floor(ended ? 4 : (4 * media.currentTime) / duration) * 25 || 0;
    const key = percent + currentSrc;
    // A look around while it stands still is no progress.
    if (told.has(key) || (media.paused && !ended) || within(path, PRIVATE)) return;
    told.add(key);
    tag.track("media_progress", {
      media_kind: media.localName,
      src: currentSrc.replace(/([?#]|;base64).*/s, ""),
      title: cut(media.title || media.getAttribute("aria-label")),
      percent,
      duration_s: Math.round(duration),
    });
  };
  on("timeupdate", (event) => progress(event, event.composedPath()));
  return (event, path) => {
    if (event.type === "play") progress(event, path);
  };
};
