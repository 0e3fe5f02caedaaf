/**
 * Core Web Vitals and their helpers, measured by Google's web-vitals library as Chrome's own statistics measure them:
 * LCP, CLS, INP, FCP, TTFB. Each is told once, when it is final: FCP and TTFB when known, the others when the page is
 * first hidden. They belong to the page that was loaded, even if a single-page site has moved on; a page brought back
 * from the back/forward cache is measured anew.
 */
import { onCLS, onFCP, onINP, onLCP, onTTFB } from "web-vitals";
import { safely } from "./lib/safe.js";
import { selectorOf } from "./lib/selector.js";

/** @param {import("web-vitals").MetricType} metric @returns {Node | null | undefined} what the measure is owed to */
const culprit = ({ name, entries }) => {
  if (name === "LCP") return entries[entries.length - 1]?.element;
  if (name === "INP") return entries.find(({ target }) => target)?.target;
  if (name !== "CLS" || !entries.length) return undefined;
  const worst = entries.reduce((a, b) => (b.value > a.value ? b : a));
  return worst.sources?.find(({ node }) => node)?.node;
};

/** @param {import("./types.d.ts").Tag} tag */
export default (tag) => {
  const told = new Set();
  const facts = () => ({
    url: location.href.replace(/#.*/s, ""),
    path: location.pathname,
    referrer: document.referrer,
    search: location.search,
    title: document.title,
  });
  let page = facts();
  addEventListener("pageshow", ({ persisted }) => {
    if (persisted) page = facts();
  });
  const tell = safely(tag, (/** @type {import("web-vitals").MetricType} */ metric) => {
    const { id, name, value, rating, navigationType } = metric;
    if (told.has(id)) return;
    told.add(id);
    tag.track(
      "web_vital",
      {
        name,
        value: Number(value.toFixed(name === "CLS" ? 4 : 0)),
        rating,
        navigation_type: navigationType,
        target: selectorOf(culprit(metric)) || undefined,
      },
      /** @type {object} */ ({ page }), // the core's own option: when a page is told of later
    );
  });
  for (const observe of [onCLS, onFCP, onINP, onLCP, onTTFB]) observe(tell);
};
