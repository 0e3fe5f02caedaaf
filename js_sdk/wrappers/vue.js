/**
 * Footfall for Vue 3: `app.use(FootfallPlugin, { writeKey, endpoint })` starts the tag in the browser, `useFootfall()` gives
 * it in setup, `$footfall` in templates. The tag sees the router's pushState by itself. On a server nothing happens.
 */
import { footfall, init } from "footfall";
import { inject } from "vue";

export const FOOTFALL = Symbol("footfall");

export const FootfallPlugin = {
  /** @param {any} app @param {any} [settings] with `tag`, another tag than the module's (tests do) */
  install(app, { tag = footfall, ...settings } = {}) {
    app.provide(FOOTFALL, tag);
    app.config.globalProperties.$footfall = tag;
    if (tag === footfall && typeof window !== "undefined") init(settings);
  },
};

/** The tag; what is called before it runs waits and is done in order. */
export const useFootfall = () => inject(FOOTFALL, footfall);
