/**
 * UUID version 7 (RFC 9562): 48 bits of milliseconds, a counter, then random digits, so that ids made one after another sort
 * so (section 6.2, method 1). Not crypto.randomUUID, which browsers offer on https pages only.
 */

let counter = 4096;

/**
 * @param {number} nowMs milliseconds since the epoch, of the years 2004 to 2527
 * @param {number} counter tells apart ids of one millisecond; its last 12 bits count
 * @param {string} random at least 15 digits
 * @returns {string} 36 characters, lower case
 */
export const uuidv7 = (nowMs, counter, random) =>
  `0${nowMs.toString(16)}7${(counter | 4096).toString(16).slice(-3)}8${random}`.replace(
    /(.{8})(.{4})(.{4})(.{4})(.{12}).*/,
    "$1-$2-$3-$4-$5",
  );

/** @returns {string} */
export const newId = () => uuidv7(Date.now(), counter++, crypto.getRandomValues(new Uint32Array(4)).join("7"));
