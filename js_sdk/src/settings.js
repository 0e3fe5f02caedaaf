/**
 * What the page's author decided: the data attributes of the script element, or what init was given, by the same names
 * (data-write-key is writeKey). dist/index.d.ts says what each of them means.
 */

/** @type {Record<string, any>} */
export const settings = { global: "footfall" };

/** @param {unknown} setting @returns {boolean} whether it was turned off: data-clicks="off", or init({ clicks: false }) */
export const isOff = (setting) => /^f|ff/.test(/** @type {string} */ (setting));
