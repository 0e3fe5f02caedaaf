/**
 * Any value to JSON text, and never a throw: what JSON cannot hold is left out and the rest is kept. JSON.stringify would
 * throw the whole event away for one BigInt, cycle or throwing getter; it obeys a toJSON that the page put on
 * Array.prototype; and it writes lone surrogates, which strict readers refuse.
 */

// The collector takes events of up to 32,768 bytes.
const BYTES_MAX = 30_000;
// One text may take this part of the room that is left, so that it does not push out what comes after it. Even if each
// character of it needs six bytes it fits.
const SHARE = 8;
const DEPTH_MAX = 16;

const { parse, stringify } = JSON; // before the page puts others in their place

/** @param {string} text @returns {number} its size in UTF-8 bytes */
export const bytesOf = (text) => new TextEncoder().encode(text).length;

/** @param {unknown} value @returns {string} JSON; `{}` for what has none. At the limit text is cut, the rest left out. */
export const toJson = (value) => {
  let left = BYTES_MAX;

  /** @param {string} text @returns {string} lone surrogates, the only ones a /u expression sees, become U+FFFD */
  const quote = (text) => {
    const quoted = stringify(text.slice(0, left / SHARE).replace(/[\uD800-\uDFFF]/gu, "\uFFFD"));
    left -= bytesOf(quoted);
    return quoted;
  };

  /** @param {any} value @param {unknown[]} above the objects it stands in @returns {string | undefined} */
  const write = (value, above) => {
    left -= 25; // the longest number and a comma
    if (left < 0 || above.includes(value) || above[DEPTH_MAX]) return;
    if (value?.nodeType) return quote(value.nodeName);
    if (/^(str|big)/.test(typeof value)) return quote(`${value}`);
    if (Object(value) !== value) return value - value === 0 ? `${value}` : undefined; // no NaN, Infinity, undefined
    if (typeof value === "function") return;
    const path = [...above, value];
    const list = Array.isArray(value);
    if (!list && value.toJSON !== /** @type {any} */ (Object.prototype).toJSON) return write(value.toJSON(), path);
    const parts = [];
    for (const key of Object.keys(value)) {
      if (left < 0) break;
      const name = list ? "" : `${quote(key)}:`;
      let text;
      try {
        text = write(value[key], path);
      } catch {} // a throwing getter: its property is left out
      if (text || list) parts.push(name + (text ?? null));
    }
    return list ? `[${parts}]` : `{${parts}}`;
  };

  try {
    return write(value, []) ?? "{}";
  } catch {
    return "{}";
  }
};

/** @param {unknown} value @returns {any} a copy of what can be kept of it; `{}` for what is nothing */
export const clean = (value) => parse(toJson(value));
