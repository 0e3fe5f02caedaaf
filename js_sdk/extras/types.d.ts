/** What an extra gets (the page's own `footfall` function), and what it hears from the collector. */

import type { Footfall, TagEvent } from "../src/index.d.ts";

export type Tag = Footfall;
export type WireEvent = TagEvent;

export interface Violation {
  reason: string;
  pointer?: string;
  fix?: string;
}

export interface Verdict {
  index: number;
  message_id?: string;
  event?: string;
  outcome: string;
  violations?: Violation[];
}

/** What became of one request; status 0 when nobody answered. */
export interface Answer {
  status: number;
  events: WireEvent[];
  verdicts?: Verdict[];
  rejected?: (Violation & { index: number })[];
  /** The collector's sentence on a 4xx, or what fetch threw. */
  error?: unknown;
  /** The collector's clock, ISO 8601; only in debug mode. */
  received_at?: string;
}
