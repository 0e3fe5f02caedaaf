/**
 * What the tag sees beyond page views, on by default. Every feature listens at the window and tells by track(); none holds
 * up the page, reads layout where it would be computed for that, or keeps the page out of the back/forward cache.
 */
import { when } from "../whole.js";
import { pageFacts } from "./page_facts.js";

export const watch = () => {
  const [load] = /** @type {PerformanceNavigationTiming[]} */ (performance.getEntriesByType("navigation"));
  let status = load?.responseStatus;
  when({
    before(event) {
      if (event.type !== "page") return;
      event.properties = { ...pageFacts(location.search, status), ...event.properties };
      status = 0; // of the page that was loaded, not of those after it
    },
  });
};
