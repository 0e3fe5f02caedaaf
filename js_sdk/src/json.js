/**
 * Any value to JSON text, and never a throw: what JSON cannot hold is left out and the rest is kept. JSON.stringify would
 * throw the whole event away for one BigInt, cycle or throwing getter; it obeys a toJSON that the page put on
 * Array.prototype; and it writes lone surrogates, which strict readers refuse.
 */

// The collector takes events of up to 32,768 bytes.
const BYTES_MAX = 30_000;
// So that one long text does not push out the properties after it.
const STRING_CHARS_MAX = 4096;
const DEPTH_MAX = 16;

const encoder = new TextEncoder();

/** @param {string} text @returns {number} its size in UTF-8 bytes */
export const bytesOf = (text) => encoder.encode(text).length;

/** @param {unknown} value @returns {string} JSON; `{}` for what has none. At the limit text is cut, the rest left out. */
export const toJson = (value) => {
  let left = BYTES_MAX;

  /** @param {string} text @returns {string} lone surrogates, the only ones a /u expression sees, become U+FFFD */
  const quote = (text) => {
    const kept = text.slice(0, Math.min(left / 3, STRING_CHARS_MAX));
    const quoted = JSON.stringify(kept.replace(/[\uD800-\uDFFF]/gu, "\uFFFD"));
    left -= bytesOf(quoted);
    return quoted;
  };

  /** @param {any} value @param {unknown[]} above the objects it stands in @returns {string | undefined} */
  const write = (value, above) => {
    left -= typeof value === "number" ? 24 : 5; // the longest number; `null,` or brackets, a colon and a comma
    if (left < 0) return undefined;
    if (value === null || value === !!value || Number.isFinite(value)) return `${value}`;
    if (/^(str|big)/.test(typeof value)) return quote(`${value}`);
    if (typeof value !== "object" || above.includes(value) || above[DEPTH_MAX]) return undefined;
    if (value.nodeType) return quote(value.nodeName);
    const path = [...above, value];
    const list = Array.isArray(value);
    if (!list && value.toJSON) return write(value.toJSON(), path);
    const parts = [];
    for (const key of Object.keys(value)) {
      if (left < 3 * key.length) break;
      const name = list ? "" : `${quote(key)}:`;
      let text = list ? "null" : undefined;
      try {
        text = write(value[key], path) ?? text;
      } catch {} // a throwing getter: its property is left out
      if (text) parts.push(name + text);
    }
    return list ? `[${parts}]` : `{${parts}}`;
  };

  try {
    return write(value, []) ?? "{}";
  } catch {
    return "{}";
  }
};
