/** Nothing an extra does may reach the page: what fails is told to developers and forgotten. */

/**
 * @template {any[]} A @template R
 * @param {import("../types.d.ts").Tag} tag
 * @param {(...args: A) => R} run
 * @returns {(...args: A) => R | undefined}
 */
export const safely =
  (tag, run) =>
  (...args) => {
    try {
      return run(...args);
    } catch (error) {
      tag.warn(error);
      return undefined;
    }
  };
