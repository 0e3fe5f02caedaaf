/** How far videos and audios were played: media_progress at 0, 25, 50, 75 and 100 percent, once each per page and source. */
import { track } from "../api.js";
import { onMove } from "../navigation.js";
import { cut, PRIVATE } from "./element.js";
import { hear, within } from "./hear.js";

export const watchMedia = () => {
  /** @type {Set<string>} what was told; five texts for each source played on this page */
  const told = new Set();
  onMove(() => told.clear());
  hear("play timeupdate", (event) => {
    const { type, target: media } = event;
    const { currentSrc, duration, ended } = media;
    const percent = type === "play" ? 0 : Math.floor(ended ? 4 : (4 * media.currentTime) / duration) * 25 || 0;
    const key = percent + currentSrc;
    // A look around while it stands still is no progress.
    if (told.has(key) || (media.paused && !ended) || within(event, PRIVATE)) return;
    told.add(key);
    track("media_progress", {
      media_kind: media.localName,
      src: currentSrc.replace(/([?#]|;base64).*/s, ""),
      title: cut(media.title || media.getAttribute("aria-label")),
      percent,
      duration_s: Math.round(duration),
    });
  });
};
