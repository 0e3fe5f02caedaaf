import type { Footfall, Settings } from "footfall";
import type { App, InjectionKey } from "vue";

/** Where the tag is provided. */
export declare const FOOTFALL: InjectionKey<Footfall>;

/** `app.use(FootfallPlugin, { writeKey, endpoint })`: starts the tag, in the browser only. */
export declare const FootfallPlugin: {
  install(app: App, settings: Settings | { tag: Footfall }): void;
};

/** The tag, in setup; what is called before it runs waits and is done in order. */
export declare function useFootfall(): Footfall;

declare module "vue" {
  interface ComponentCustomProperties {
    /** The tag, in templates. */
    $footfall: Footfall;
  }
}
