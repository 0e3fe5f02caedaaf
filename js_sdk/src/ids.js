/**
 * UUID version 7 (RFC 9562): 48 bits of milliseconds, then random bits, so that ids made one after another sort together.
 * Not crypto.randomUUID, which browsers offer on https pages only.
 */

/**
 * @param {number} nowMs milliseconds since the epoch
 * @param {Uint8Array} random 10 bytes
 * @returns {string} 36 characters, lower case
 */
export const uuidv7 = (nowMs, random) => {
  let hex = nowMs.toString(16).padStart(12, "0");
  for (const byte of random) hex += (byte + 256).toString(16).slice(1);
  const variant = "89ab"[(random[2] ?? 0) >> 6];
  return hex.replace(/(.{8})(.{4}).(...).(...)/, `$1-$2-7$3-${variant}$4-`);
};

/** @returns {string} */
export const newId = () => uuidv7(Date.now(), crypto.getRandomValues(new Uint8Array(10)));
