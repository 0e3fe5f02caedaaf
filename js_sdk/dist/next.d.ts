import type { Settings, Footfall as Tag } from "footfall";
import type { ReactElement } from "react";

export type FootfallProps = Settings & {
  /** The collector's origin, https://collector.example. */
  endpoint: string;
  /** Another address of the script, such as the one with its hash that `footfall snippet` prints. */
  src?: string;
  /** Of the request's Content-Security-Policy. */
  nonce?: string;
  /** The script's hash, with `src`; it wants crossOrigin="anonymous". */
  integrity?: string;
  crossOrigin?: "anonymous";
};

/** The collector's script in the page, once; for the root layout. */
export declare function Footfall(props: FootfallProps): ReactElement;

/** The tag, in client components; what is called before the script has come waits. On a server nothing happens. */
export declare function useFootfall(): Tag;
