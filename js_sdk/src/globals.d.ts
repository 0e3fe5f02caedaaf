/** What the build defines and what TypeScript's DOM does not know yet. */

declare const VERSION: string;

interface Document {
  /** https://wicg.github.io/nav-speculation/prerendering.html */
  readonly prerendering?: boolean;
}

interface FootfallStub {
  q?: unknown[] | { push(call: unknown): unknown };
  version?: string;
}

interface Window {
  footfall?: FootfallStub;
}
