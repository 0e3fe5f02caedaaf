/** The tag's types: `import { init, track } from "footfall"`, and window.footfall where the script element is used. */

/** What JSON can hold, and what it cannot: that is left out. */
export type Properties = Record<string, unknown>;
export type ConsentState = "granted" | "denied" | "pending";
/** A word for everything, or an answer to each category; `version` says which version of the question was answered. */
export type ConsentAnswer = ConsentState | Record<string, boolean | string>;

export interface Settings {
  /** Of the source, from the collector's configuration. It is public. */
  writeKey: string;
  /** Where events go, without a slash at the end: "https://collector.example". */
  endpoint?: string;
  /** "off": only page() counts pages. */
  pageViews?: "off" | boolean;
  /** "off": no clicks. */
  clicks?: "off" | boolean;
  /** The state before the visitor gave an answer; "granted" unless given. */
  consent?: ConsentState;
  /** "off": do not take Global Privacy Control for a refusal. */
  gpc?: "off" | boolean;
  /** "on": take Do Not Track for a refusal. */
  dnt?: "on";
  /** "none": cookieless; nothing but the visitor's own answer to consent is stored, and no id is made. */
  storage?: "none";
  /** The id in a cookie as well, shared by the subdomains: ".shop.example". */
  cookieDomain?: string;
  /** "collector": the collector sets that cookie, which then lives longer than a week in every browser. */
  cookie?: "collector";
  /** Domains that links carry the visitor's id to, for a short time: "a.example b.example". */
  linkDomains?: string;
  /** Count routes in the address's fragment. */
  hash?: string | true;
  /** Modules loaded beside the tag: "vitals errors copy hints". */
  extras?: string | string[];
  /** Tell each event's verdict on the console; "overlay": on the page too. */
  debug?: string | true;
  /** What names in storage start with; "footfall" unless given. */
  global?: string;
  plugins?: Plugin[];
}

export interface TrackOptions {
  /** Properties that the plan does not know, sent beside the others. */
  extra?: Properties;
  /** The event goes out only when these categories are granted. */
  consent?: string | string[];
}

export interface TagEvent {
  type: "page" | "track" | "identify" | "alias" | "group";
  event?: string;
  messageId: string;
  anonymousId?: string;
  userId?: string;
  groupId?: string;
  /** ISO 8601. */
  timestamp: string;
  sequence: number;
  properties?: Properties;
  traits?: Properties;
  context: Properties;
  [field: string]: unknown;
}

export interface Status {
  version: string;
  writeKey?: string;
  endpoint?: string;
  consent?: ConsentState;
  visitor?: string;
  /** Events that wait, in all tabs. */
  queued: number;
  /** Events that this page gave up. */
  dropped: number;
  /** Events of this page's requests that a collector took; the core does not count them. */
  sent?: number;
  /** Of the last request; 0 when it had no answer. */
  lastStatus?: number;
  lastError?: unknown;
  /** Milliseconds since the epoch that a server asked to be left alone until; 0 when none did. */
  waitsUntil: number;
  extras?: string | string[];
}

/** Gets the tag before its first event. */
export type Plugin = (tag: Footfall) => unknown;

interface Calls {
  init(settings: Settings): void;
  page(name?: string | Properties, properties?: Properties): void;
  track(event: string, properties?: Properties, options?: TrackOptions): void;
  identify(userId?: string | Properties, traits?: Properties): void;
  alias(userId: string): void;
  group(groupId: string, traits?: Properties): void;
  /** Somebody else sits at the device: a new visitor id, no user, no group. */
  reset(): void;
  consent(answer: ConsentAnswer): void;
  /** Added to every later track and page event of this page; null removes one. */
  set(properties: Properties): void;
  plugin(plugin: Plugin): void;
  flush(): void;
  status(): Status;
}

export interface Footfall extends Calls {
  <K extends keyof Calls>(call: K, ...rest: Parameters<Calls[K]>): ReturnType<Calls[K]>;
  readonly version: string;
  readonly settings: Partial<Settings>;
  /** Sees each event before it is queued; may change it, return another event, or false to drop it; a promise is not waited for. */
  before(hook: (event: TagEvent) => unknown): void;
  watch(hook: (kind: "call" | "event" | "answer" | "warning" | "consent", what: unknown) => void): void;
  warn(...words: unknown[]): void;
  emit(type: string, fields: Properties, options?: { page?: Properties; consent?: string | string[] }): void;
  /** All moments of the core, as src/guard.js lists them; for the extras. */
  readonly hooks: ((kind: string, what: never) => unknown)[];
  /** What all events of the next requests share. */
  readonly context: Properties;
  /** Keeps a short text where consent and settings allow; none forgets it. */
  store(name: string, text?: string): void;
  /** The visitor's id; given one, it becomes that. */
  visitor(id?: string): string | undefined;
}

export declare const footfall: Footfall;
export declare const init: Calls["init"];
export declare const page: Calls["page"];
export declare const track: Calls["track"];
export declare const identify: Calls["identify"];
export declare const alias: Calls["alias"];
export declare const group: Calls["group"];
export declare const reset: Calls["reset"];
export declare const consent: Calls["consent"];
export declare const set: Calls["set"];
export declare const plugin: Calls["plugin"];
export declare const flush: Calls["flush"];
export declare const status: Calls["status"];
/** Clicks, links, forms, engagement, media and frustration, as the script element sees them. */
export declare const autocapture: Plugin;

declare global {
  interface Window {
    footfall: Footfall;
  }
}
