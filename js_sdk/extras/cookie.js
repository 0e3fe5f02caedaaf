/**
 * Loaded with data-cookie-domain=".shop.example": the visitor's id in a cookie as well, so that subdomains share it. A cookie
 * that is there, be it the collector's, counts for more than storage. None without consent, none with data-storage="none".
 * With data-cookie="collector" the collector sets it: a cookie that a server sets lives longer than a week in every browser.
 * Of a visitor who has opted out at the collector there is none, and nothing is sent.
 */

// 400 days, the longest a browser keeps one.
const COOKIE_AGE_S = 34_560_000;
const ID = "[\\da-f]{8}(?:-[\\da-f]{4}){3}-[\\da-f]{12}";

/** @param {any} tag */
export default (tag) => {
  const { cookie, cookieDomain, global = "footfall", storage, writeKey } = tag.settings;
  const name = `${global}_id`;
  const read = () => document.cookie.match(new RegExp(`(?:^|; )${name}=(${ID})(?:;|$)`))?.[1];
  const allowed = () => storage !== "none" && tag.status().consent === "granted";
  let baked = "";

  /** @param {string} id empty: forget it */
  const bake = (id) => {
    baked = id;
    // The collector's own is for a domain that it knows: one of those that this host is under. The others are refused.
    const labels = location.hostname.split(".");
    const domains = cookieDomain ? [cookieDomain] : id ? [] : labels.map((_, at) => labels.slice(at).join("."));
    for (const domain of domains) {
      // biome-ignore lint/suspicious/noDocumentCookie: not every browser has the Cookie Store, and it has no synchronous read
      document.cookie =
        `${name}=${id}; Path=/; Domain=${domain}; SameSite=Lax; Max-Age=${id ? COOKIE_AGE_S : 0}` +
        (location.protocol === "https:" ? "; Secure" : "");
    }
  };

  // Whoever opted out at the collector, for as long as its cookie is there: nothing is kept of the visitor, not even an
  // answer, so that taking it back on that page is enough.
  if (/(?:^|; )footfall_optout=1/.test(document.cookie)) {
    tag.settings.consent = "denied";
    tag("consent", "denied");
    tag("consent", "pending");
    bake("");
    return;
  }

  const agree = () => {
    if (allowed()) bake(tag.visitor(read()));
    else if (tag.status().consent === "denied") bake("");
  };

  agree();
  if (cookie === "collector") {
    // Credentials go only where the collector knows the key's own pages, before it reads the request.
    tag.hooks.push((/** @type {string} */ kind, /** @type {any} */ what) => {
      if (kind !== "request" || !allowed()) return;
      what[0] += `?writeKey=${writeKey}`;
      what[1].credentials = "include";
    });
  }
  tag.watch((/** @type {string} */ kind, /** @type {any} */ what) => {
    if (kind === "consent") agree();
    // Another id than before: after reset(), or because the visitor was recognised.
    if (kind === "event" && what.anonymousId && what.anonymousId !== baked && allowed()) bake(what.anonymousId);
  });
};
