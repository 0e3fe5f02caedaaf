/**
 * UUID version 7 (RFC 9562): 48 bits of milliseconds, a counter, then random digits, so that ids made one after another sort
 * so (section 6.2, method 1). Not crypto.randomUUID, which browsers offer on https pages only. Whoever guesses an id gains
 * nothing, so Math.random does: 49 bits beside the millisecond and the counter. Cut by slices: a page's first regular
 * expression costs it a tenth of a millisecond.
 */

// Decimal digits are hexadecimal ones too. From 2^52 to 2^53, where 8e15 to 9e15 lie, every number is a whole one.
let counter = 0;

/**
 * @param {number} [nowMs] milliseconds since the epoch, of the years 2004 to 2527
 * @param {number} [count] tells apart ids of one millisecond; its last three digits count
 * @param {number} [random] 0 to 1
 * @returns {string} 36 characters, lower case
 */
export const newId = (nowMs = Date.now(), count = counter++, random = Math.random()) => {
  const hex = nowMs.toString(16);
  const digits = `${8e15 + random * 1e15}`;
  return `0${hex.slice(0, 7)}-${hex.slice(7)}-${7000 + (count % 1000)}-${digits.slice(0, 4)}-${digits.slice(4)}`;
};
