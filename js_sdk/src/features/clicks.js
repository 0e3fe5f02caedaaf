/**
 * Clicks. An element marked data-footfall-event="name" sends that event with its data-footfall-prop-* attributes; other
 * links and buttons send `click`. One click, one event; the click itself is never touched. Clicks that tell of trouble
 * are told besides, see trouble.js.
 */
import { isOff } from "../settings.js";
import { CLICKABLE, LINK } from "./clickable.js";
import { describe } from "./element.js";
import { MARK, markOf } from "./marks.js";
import { PRIVATE, within } from "./within.js";

const FILE = /\.(pdf|zip|gz|7z|rar|dmg|exe|msi|apk|csv|txt|rtf|epub|mp[34]|(doc|xls|ppt)x?)$/i;
/** @type {Record<string, string>} */
const KINDS = { "mailto:": "email", "tel:": "phone" };

/** @param {any} link @returns {object} where it leads; of what is not on the web, as an address of mail, the scheme only */
const linkFacts = (link) => {
  // An SVG link has no parts; a fresh HTML link has them, and takes any text.
  const { protocol, host, pathname, href } = Object.assign(document.createElement("a"), {
    href: link.href.baseVal ?? link.href,
  });
  const web = /^http/.test(protocol);
  const file = link.hasAttribute("download") || FILE.test(pathname);
  return {
    href: web ? href.replace(/#.*/, "") : protocol,
    link_kind: web && host !== location.host ? "outbound" : file ? "download" : KINDS[protocol],
  };
};

/** @param {any} event @returns {object} where it was on the page, in CSS pixels; a key's click (detail 0) was nowhere */
const position = ({ detail, pageX, pageY }) =>
  detail ? { x: Math.max(0, Math.round(pageX)), y: Math.max(0, Math.round(pageY)) } : {};

/** @param {any} tag @returns {(event: any, path: EventTarget[]) => void} told of clicks */
export const watchClicks = (tag) => (event, path) => {
  if (!/click/.test(event.type) || isOff(tag.settings.clicks)) return;
  const link = within(path, LINK);
  // The middle button opens links and does nothing else; the right one and the ones at the side never click.
  if (event.button > (link ? 1 : 0) || within(path, `${PRIVATE},button:disabled,[aria-disabled=true]`)) return;
  const clicked = within(path, CLICKABLE);
  const marked = within(path, `[${MARK}]:not(form)`);
  /** @type {false | [string, object] | undefined} */
  const told = marked
    ? markOf(marked)
    : !!clicked && ["click", { ...describe(clicked), ...position(event), ...(link && linkFacts(link)) }];
  if (told) tag.track(...told);
};
