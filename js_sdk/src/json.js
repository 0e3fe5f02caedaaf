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

export const { parse, stringify } = JSON; // before the page puts others in their place

/** @param {string} text without lone surrogates @returns {number} at least its bytes in UTF-8; some more for quotes and blanks */
export const bytesOf = (text) => encodeURI(text).length;

/** @param {unknown} value @returns {string} JSON; `{}` for what has none. At the limit text is cut, the rest left out. */
export const toJson = (value) => {
  let left = BYTES_MAX;

  /**
   * One property; what it stands in is not touched outside of the try, as a getter may throw: that property is left out.
   *
   * @param {any} holder @param {string | number} key @param {...unknown} above the objects it stands in
   * @returns {string | undefined}
   */
  const write = (holder, key, ...above) => {
    try {
      let value = holder[key];
      left -= 25; // the longest number and a comma
      if (left < 0 || above.includes(value) || above[DEPTH_MAX]) return;
      value = value?.nodeType ? value.nodeName : value;
      // "string" and "bigint", and no other type, have a g.
      if (/g/.test(typeof value)) {
        // Lone surrogates, the only ones a /u expression sees, become U+FFFD.
        value = stringify(`${value}`.slice(0, left / SHARE).replace(/\p{Cs}/gu, "\uFFFD"));
        left -= bytesOf(value);
        return value;
      }
      if (!value || typeof value !== "object") return value - value === 0 ? `${value}` : undefined; // no NaN, no function
      const list = Array.isArray(value);
      if (!list && value.toJSON !== /** @type {any} */ (Object.prototype).toJSON) {
        return write([value.toJSON()], 0, value, ...above);
      }
      const parts = [];
      for (const name of Object.keys(value)) {
        const start = list ? "" : `${write([name], 0)}:`;
        const text = write(value, name, value, ...above);
        if (list ? left > 0 : text) parts.push(start + (text ?? null));
      }
      return list ? `[${parts}]` : `{${parts}}`;
    } catch {}
    return undefined;
  };

  return write([value], 0) ?? "{}";
};

/** @param {unknown} value @returns {any} a copy of what can be kept of it; `{}` for what is nothing */
export const clean = (value) => parse(toJson(value));
