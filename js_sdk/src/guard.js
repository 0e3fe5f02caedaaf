/**
 * Nothing the tag does may break the page: every call and listener runs inside a guard. A developer is told what went
 * wrong, on localhost or with data-debug; visitors never are.
 */
import { talks } from "./config.js";

/** @param {unknown[]} words */
export const warn = (...words) => {
  if (talks) console.warn("footfall:", ...words);
};

/** @template {any[]} A @param {(...args: A) => unknown} run @returns {(...args: A) => void} */
export const guard =
  (run) =>
  (...args) => {
    try {
      run(...args);
    } catch (error) {
      warn(error);
    }
  };

/** @param {EventTarget} target @param {string} type @param {(event: any) => unknown} listener @param {boolean} [capture] */
export const on = (target, type, listener, capture) => target.addEventListener(type, guard(listener), capture);
