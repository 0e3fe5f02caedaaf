/**
 * For the developer at the page: every event with the collector's verdict, and every mistake in words, on the console and
 * in a small window. Loaded by ?footfall-debug or data-debug="overlay", never for visitors.
 *
 *     call            -> what does not exist; what of its properties cannot be sent
 *     event queued    -> a row, and what the plan's own validator says of it, when the page has one
 *     answer          -> the row's verdict with reason, pointer and fix; why a request failed
 *     warning, state  -> what failed in the tag, consent, dropped events, a clock that is wrong
 */
import { toJson } from "../src/json.js";
import { explainAnswer, explainClock, explainConsent } from "./lib/explain.js";
import { findLost } from "./lib/lost.js";
import { openOverlay } from "./lib/overlay.js";
import { safely } from "./lib/safe.js";

const LOOK_MS = 1000;
const PROBE_MS_MAX = 5000;
// Events of which the answer is still to come; the window shows 50, a queue may be longer.
const WAITING_MAX = 200;
// Sentences said on the console already; a page makes a dozen different ones at most, unless they hold numbers.
const TOLD_MAX = 100;
const WORDS = {
  accepted: "accepted",
  flagged: "accepted with flags",
  rejected: "rejected",
  dropped: "dropped",
  cookieless: "stored without whom it is of",
  counted: "only counted",
};

/** @typedef {import("./types.d.ts").WireEvent} WireEvent @typedef {import("./types.d.ts").Violation} Violation */

/** @param {Violation} violation */
const said = ({ reason, pointer, fix }) => [reason, pointer && `at ${pointer}`, fix].filter(Boolean).join(": ");

/** @param {unknown} word @returns {string} */
const shown = (word) => {
  if (typeof word === "string") return word;
  if (word instanceof Error) return `${word.name}: ${word.message}`;
  try {
    return JSON.stringify(word) ?? String(word);
  } catch {
    return String(word);
  }
};

/** Tags that are watched already: data-debug and data-extras may both ask for it. */
const watched = new WeakSet();

/** @param {import("./types.d.ts").Tag} tag */
export default (tag) => {
  if (watched.has(tag)) return;
  watched.add(tag);
  const { settings } = tag;
  const endpoint = settings.endpoint ?? "";
  // Asked for by data-extras="debug" alone, the console alone tells, and of mistakes only.
  const overlay = settings.debug == null ? undefined : openOverlay(() => clearInterval(looking));
  /** @type {Map<string, {title: string, lines: string[], body: string}>} */
  const rows = new Map();
  const told = new Set();
  let csp = false;
  let probing = false;
  let dropped = 0;

  /** @param {string} text */
  const notice = (text) => {
    if (!text) return;
    if (!told.has(text)) console.warn(`footfall: ${text}`);
    if (told.size >= TOLD_MAX) told.clear();
    told.add(text);
    overlay?.notice(text);
  };

  /** @param {string} id @param {string} outcome @param {string[]} [more] */
  const show = (id, outcome, more = []) => {
    const row = rows.get(id);
    if (!row) return;
    const lines = [...row.lines, ...more];
    overlay?.entry(id, { ...row, outcome, lines });
    if (overlay || more.length) console[more.length ? "warn" : "info"](`footfall: ${row.title}: ${outcome}`, ...lines);
  };

  /** @type {{name: unknown, lost: ReturnType<typeof findLost>} | undefined} the call that is being carried out */
  let calling;

  /** @param {any[]} call as the page made it; hooks see an event when it is clean already */
  const called = ([call, first, ...rest]) => {
    if (call === "status") return;
    if (typeof (/** @type {any} */ (tag)[call]) !== "function") {
      notice(
        `There is no call "${shown(call)}": nothing was done. The calls are page, track, identify, group, consent …`,
      );
    }
    const given = typeof first === "object" ? first : rest[0];
    calling = { name: call === "track" ? `${first}` : call, lost: findLost(given) };
  };

  /** @param {WireEvent} event */
  const queued = (event) => {
    const id = event.messageId ?? "";
    const plan = /** @type {any} */ (window).footfallPlan?.check?.(event);
    // A page view that was due may come first, out of the same call.
    const ours = calling?.name === (event.type === "track" ? event.event : event.type);
    const root = event.traits ? "/traits" : "/properties";
    const lines = [
      ...((ours && calling?.lost) || []).map(({ pointer, problem }) => `${root}${pointer} ${problem}`),
      ...(Array.isArray(plan) ? plan.map((violation) => `plan: ${said(violation)}`) : []),
    ];
    if (ours) calling = undefined;
    const title = event.event ?? `${event.type} ${event.properties?.path ?? ""}`.trim();
    const body = overlay ? bodyOf(event) : "";
    rows.set(id, { title, lines, body });
    const [oldest] = rows.keys();
    if (rows.size > WAITING_MAX && oldest !== undefined) rows.delete(oldest);
    overlay?.entry(id, { title, lines, body, outcome: "waiting" });
    if (lines.length) console.warn(`footfall: ${title}`, ...lines);
  };

  /** @param {{response: any, events: string}} told what fetch gave, or {error}, and the events that were sent */
  const answered = async ({ response, events: sent }) => {
    const { status: code = 0, error: thrown } = response;
    const body = await response
      .clone?.()
      .json()
      .catch(() => {});
    /** @type {import("./types.d.ts").Answer} */
    const answer = { status: code, error: thrown, events: JSON.parse(sent), ...body };
    const { events, verdicts, rejected = [], status, received_at: received } = answer;
    if (received) notice(explainClock(new Date(received).getTime(), Date.now()));
    if (status && status < 300) {
      csp = false;
      const known =
        verdicts ?? rejected.map(({ index, ...why }) => ({ index, outcome: "rejected", violations: [why] }));
      events.forEach((event, at) => {
        const { messageId = "" } = event;
        if (!rows.has(messageId)) queued(event); // of a page before this one, or of another tab
        const verdict = known.find(({ index }) => index === at);
        const outcome = /** @type {keyof typeof WORDS} */ (verdict?.outcome ?? "accepted");
        show(messageId, WORDS[outcome] ?? outcome, verdict?.violations?.map(said));
        rows.delete(messageId);
      });
      return;
    }
    for (const event of events) {
      if (!rows.has(event.messageId ?? "")) queued(event);
      show(event.messageId ?? "", status ? `refused, status ${status}` : "not delivered");
    }
    if (probing) return;
    probing = true;
    const reachable = !status && !csp && navigator.onLine && (await reaches(`${endpoint}/v1/b`));
    probing = false;
    const facts = { writeKey: settings.writeKey ?? "", endpoint, origin: location.origin, online: navigator.onLine };
    notice(explainAnswer(answer, { ...facts, csp, reachable }));
  };

  const look = () => {
    const status = tag.status();
    if (!status?.consent) return; // the tag has not begun
    const { globalPrivacyControl: gpc } = /** @type {any} */ (navigator);
    notice(
      explainConsent(status.consent, {
        gpc: !!gpc && settings.gpc !== "off",
        dnt: settings.dnt === "on" && navigator.doNotTrack === "1",
        attribute: settings.consent,
      }),
    );
    if (status.consent === "denied") {
      for (const id of rows.keys()) show(id, "forgotten, as consent is denied");
      rows.clear();
    }
    if (status.dropped > dropped) {
      notice(
        `${status.dropped} events were dropped on this page: the queue was full, an event was too large, or a hook said no.`,
      );
    }
    dropped = status.dropped;
    const wait = status.waitsUntil - Date.now();
    overlay?.state(
      [
        `Key ${status.writeKey || "missing"}`,
        `to ${status.endpoint}`,
        `consent ${status.consent}`,
        `visitor ${status.visitor || "none"}`,
        `${status.sent} sent, ${status.queued} waiting, ${status.dropped} dropped`,
        ...(wait > 0 ? [`next attempt in ${Math.ceil(wait / 1000)} s`] : []),
      ].join(" · "),
    );
  };

  /** @param {string} blocked */
  const violated = (blocked) => {
    if (!endpoint || !blocked.startsWith(endpoint)) return;
    csp = true;
    notice(explainAnswer({}, { writeKey: "", endpoint, origin: "", online: true, csp }));
  };

  document.addEventListener(
    "securitypolicyviolation",
    safely(tag, ({ blockedURI }) => violated(blockedURI)),
  );
  const { ReportingObserver } = /** @type {any} */ (window);
  if (ReportingObserver) {
    const report = safely(tag, (/** @type {any[]} */ reports) =>
      reports.map(({ body }) => violated(`${body?.blockedURL}`)),
    );
    new ReportingObserver(report, { types: ["csp-violation"], buffered: true }).observe(); // those before us as well
  }
  // The collector gives its verdicts where they are asked for.
  if (settings.debug != null) {
    /** @type {any} */ (tag).hooks.push((/** @type {string} */ kind, /** @type {any} */ what) => {
      if (kind === "request") what[0] += `${/\?/.test(what[0]) ? "&" : "?"}debug=1`;
    });
  }
  if (!settings.writeKey) notice("data-write-key is missing: without it the collector takes nothing.");
  if (navigator.webdriver) notice("This browser is driven by a program: its events are flagged as a bot's.");
  tag.watch((/** @type {string} */ what, /** @type {any} */ detail) => {
    if (what === "call") {
      called(detail);
      return; // without a look at the tag's state, which is a call itself
    }
    if (what === "event") queued(detail);
    else if (what === "answer") answered(detail).catch(tag.warn);
    else if (what === "warning") notice(detail.map(shown).join(" "));
    look();
  });
  const looking = setInterval(safely(tag, look), LOOK_MS);
  look();
};

/** @param {WireEvent} event */
const bodyOf = (event) => JSON.stringify(JSON.parse(toJson(event)), null, 2);

/** @param {string} url @returns {Promise<boolean>} whether a request that cannot read the answer gets one */
const reaches = (url) =>
  fetch(url, { mode: "no-cors", credentials: "omit", signal: AbortSignal.timeout?.(PROBE_MS_MAX) }).then(
    () => true,
    () => false,
  );
