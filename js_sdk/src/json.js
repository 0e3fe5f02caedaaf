/**
 * Any value to JSON text, and never a throw: what JSON cannot hold is left out and the rest is kept. JSON.stringify would
 * throw the whole event away for one BigInt, cycle or throwing getter; it obeys a toJSON that the page put on
 * Array.prototype; and it writes lone surrogates, which strict readers refuse.
 */

// Characters per event: at three UTF-8 bytes each, one event still fits into the 60 KiB a leaving page may send.
const CHARS_MAX = 16_000;
// So that one long text does not push out the properties after it.
const STRING_CHARS_MAX = 4096;
const DEPTH_MAX = 16;

/** @param {unknown} value @returns {string} JSON; `{}` for what has none. At the limit text is cut, the rest left out. */
export const toJson = (value) => {
  let left = CHARS_MAX;

  /** @param {string} text @returns {string} lone surrogates, the only ones a /u expression sees, become U+FFFD */
  const quote = (text) => {
    const kept = text.slice(0, Math.min(left, STRING_CHARS_MAX));
    left -= kept.length;
    return JSON.stringify(kept.replace(/[\uD800-\uDFFF]/gu, "\uFFFD"));
  };

  /** @param {any} value @param {unknown[]} above the objects it stands in @returns {string | undefined} */
  const write = (value, above) => {
    left -= 4;
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
      if (left < key.length) break;
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
