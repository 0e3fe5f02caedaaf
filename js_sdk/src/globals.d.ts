/** What the build defines and what TypeScript's DOM does not know yet. */

declare const VERSION: string;
/** Whether this build has more than the core: without whole.js nobody listens to hooks. */
declare const WHOLE: boolean;

interface Document {
  /** https://wicg.github.io/nav-speculation/prerendering.html */
  readonly prerendering?: boolean;
}

interface Navigator {
  /** https://wicg.github.io/netinfo/ */
  readonly connection?: { readonly effectiveType?: string };
  /** https://w3c.github.io/gpc/ */
  readonly globalPrivacyControl?: boolean;
}
