import type { Footfall, Settings } from "footfall";
import type { ReactElement, ReactNode } from "react";

/** The tag's settings, or a tag that runs already. */
export type FootfallProviderProps = { children?: ReactNode } & (Settings | { tag: Footfall });

/** Starts the tag once, in the browser. Settings are read at the first render; on a server nothing happens. */
export declare function FootfallProvider(props: FootfallProviderProps): ReactElement;

/** The tag; what is called before it runs waits and is done in order. */
export declare function useFootfall(): Footfall;

/** Tells the view of this page, with properties that only the page knows, in place of the tag's own. */
export declare function usePageView(name: string, properties?: Record<string, unknown>): void;
