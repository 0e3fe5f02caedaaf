/** The one parameter by which a visitor is handed from one listed domain to another. Pure. */

export const NAME = "footfall_link";
const PARAMETER = new RegExp(`([?&])${NAME}=([^&#]*)(&?)`);

/** @param {string} host @param {string[]} domains @returns {boolean} whether it is one of them, or below one */
export const isListed = (host, domains) => domains.some((domain) => host === domain || host.endsWith(`.${domain}`));

/** @param {string} text what data-link-domains says @returns {string[]} */
export const domainsOf = (text) =>
  text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean);

/** @param {string} href @returns {{token: string, rest: string}} the rest is left as it was written, letter by letter */
export const takeToken = (href) => {
  const [, before = "", token = "", after] = PARAMETER.exec(href) ?? [];
  return {
    token: new URLSearchParams(`token=${token}`).get("token") ?? "",
    rest: href.replace(PARAMETER, after ? before : ""),
  };
};

/** @param {string} href absolute @param {string} token @returns {string} one token, whatever there was before */
export const withToken = (href, token) => {
  const [, address = "", fragment = ""] = /^([^#]*)(.*)$/s.exec(takeToken(href).rest) ?? [];
  return `${address}${address.includes("?") ? "&" : "?"}${NAME}=${encodeURIComponent(token)}${fragment}`;
};
