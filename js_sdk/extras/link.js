/**
 * One visitor on several domains of one owner: data-link-domains="b.example c.example" on each of them.
 *
 *     a.example   points at, focuses or touches a link or form that leads to b.example   -> a token is asked for
 *                 presses it                                                             -> …?footfall_link=TOKEN
 *     b.example   takes the parameter out of its address, has the collector verify it    -> the visitor's id of a.example
 *
 * The token is signed by the collector, lives for minutes and names no one. The address shown on a link is left alone until
 * the press, so that a copied link carries nothing. No token is asked for, and none is taken, unless consent is granted and
 * there is storage to keep an id in. What cannot be had in time is left out: a link is never held up.
 */
import { domainsOf, isListed, NAME, takeToken, withToken } from "./lib/address.js";
import { safely } from "./lib/safe.js";

const ANSWER_MS_MAX = 5000;
// After a refusal: whoever moves over a row of links must not send a row of requests.
const PAUSE_MS = 30_000;

// The other extras stand beside this one; the collector may be elsewhere, and the same file from there another module.
const BESIDE = "./footfall.";

/** @param {import("./types.d.ts").Tag} tag */
export default (tag) => {
  const { writeKey = "", endpoint = "", storage, linkDomains = "" } = tag.settings;
  const domains = domainsOf(linkDomains);
  const address = `${endpoint}/v1/link`;

  /** Tell developers once the debug extra listens, which may come a moment after this one; begun twice it begins once. */
  const say = async (/** @type {unknown[]} */ ...words) => {
    const listens = tag.settings.debug != null && import(`${BESIDE}debug.js`).then((extra) => extra.default(tag));
    await Promise.resolve(listens).catch(() => {});
    tag.warn(...words);
  };

  const allowed = () => storage !== "none" && tag.status()?.consent === "granted";

  /** @param {string} url @param {RequestInit} [options] @returns {Promise<any>} rejects with the collector's own sentence */
  const ask = async (url, options) => {
    const response = await fetch(url, {
      ...options,
      credentials: "omit",
      signal: AbortSignal.timeout?.(ANSWER_MS_MAX),
    });
    const answer = await response.json().catch(() => ({}));
    if (!response.ok) throw Error(answer.error ?? `the collector answered ${response.status}`);
    return answer;
  };

  let token = "";
  let owner = "";
  // Both on performance.now()'s clock, which nobody sets.
  let renewMs = 0;
  let untilMs = 0;

  const prepare = async () => {
    const now = performance.now();
    const visitor = tag.visitor() ?? "";
    if (now < renewMs && owner === visitor) return;
    renewMs = now + PAUSE_MS; // one request at a time, and none too soon after one that failed
    if (owner !== visitor) token = "";
    owner = visitor;
    try {
      const body = JSON.stringify({ writeKey, anonymousId: visitor });
      const answer = await ask(address, { method: "POST", body });
      if (owner !== visitor) return; // somebody else by now
      token = answer.token;
      // Asked for anew after half of its life; its last tenth is left for the way, as the other page has to load first.
      renewMs = now + answer.expires_in * 500;
      untilMs = now + answer.expires_in * 900;
    } catch (error) {
      say("no token for the link to another domain:", error);
    }
  };

  /** @param {string | null | undefined} written @returns {URL | undefined} where it leads, when that is on the list */
  const target = (written) => {
    if (written == null) return undefined;
    const url = new URL(written, document.baseURI);
    const elsewhere = url.host !== location.host && /^https?:$/.test(url.protocol);
    return elsewhere && isListed(url.hostname, domains) ? url : undefined;
  };

  /** @param {Element} element an attribute of which gets another value until the browser has read it @param {string} name @param {string} value */
  const lend = (element, name, value) => {
    const original = element.getAttribute(name) ?? "";
    element.setAttribute(name, value);
    setTimeout(() => {
      if (element.getAttribute(name) === value) element.setAttribute(name, original);
    });
  };

  /** @param {Event} event @returns {Element | undefined} the link in question, within open shadow roots as well */
  const linkOf = (event) =>
    /** @type {Element | undefined} */ (
      event.composedPath().find((node) => node instanceof Element && node.matches("a[href],area[href]"))
    );

  /** @param {Event} event */
  const approach = (event) => {
    const [first] = event.composedPath();
    const form = first instanceof Element ? first.closest("form") : null;
    const leads = target(linkOf(event)?.getAttribute("href")) || (form && target(form.getAttribute("action")));
    if (leads && allowed()) prepare();
  };

  /** @returns {string} the token to hand over now, if there is one for who is here now */
  const ready = () => (performance.now() < untilMs && allowed() && owner === tag.visitor() ? token : "");

  /** @param {Event} event */
  const press = (event) => {
    const link = linkOf(event);
    const url = target(link?.getAttribute("href"));
    const given = link && url && ready();
    if (given) lend(link, "href", withToken(url.href, given));
  };

  /** @param {SubmitEvent} event */
  const submit = ({ target: form, submitter }) => {
    if (!(form instanceof HTMLFormElement)) return;
    const [holder, name] = submitter?.hasAttribute("formaction") ? [submitter, "formaction"] : [form, "action"];
    const url = target(holder.getAttribute(name));
    const given = url && ready();
    if (!given) return;
    const method = submitter?.getAttribute("formmethod") ?? form.getAttribute("method") ?? "get";
    if (method.toLowerCase() === "post") lend(holder, name, withToken(url.href, given));
    // A GET form's own query is replaced by its fields, so the token becomes one.
    else form.addEventListener("formdata", ({ formData }) => formData.set(NAME, given), { once: true });
  };

  /** @param {string} arrived */
  const admit = async (arrived) => {
    const from = document.referrer && new URL(document.referrer).hostname;
    if (!from || !isListed(from, domains)) {
      say(`footfall_link ignored: the page before is ${from || "not known"}, which data-link-domains does not list`);
      return;
    }
    if (!allowed()) {
      say("footfall_link ignored: without consent and storage no id is taken over");
      return;
    }
    try {
      const query = new URLSearchParams({ writeKey, token: arrived });
      const { anonymousId } = await ask(`${address}?${query}`);
      if (allowed()) tag.visitor(anonymousId);
    } catch (error) {
      say("footfall_link ignored:", error);
    }
  };

  const { token: arrived, rest } = takeToken(location.href);
  if (arrived) {
    // Not the page's own history.replaceState, which the tag listens to: the visitor sees no other page.
    History.prototype.replaceState.call(history, history.state, "", rest);
  }
  const options = { capture: true, passive: true };
  for (const type of ["pointerover", "focusin", "touchstart"]) addEventListener(type, safely(tag, approach), options);
  for (const type of ["click", "auxclick"]) addEventListener(type, safely(tag, press), options);
  addEventListener("submit", safely(tag, /** @type {any} */ (submit)), options);
  return arrived ? admit(arrived) : undefined; // it holds the start
};
