/**
 * What of an event cannot be sent as it was given, found by laying what is sent beside it. Pure.
 */
import { toJson } from "../../src/json.js";

const FOUND_MAX = 20;
// A list of a million things is told by its beginning.
const LOOKS_MAX = 2000;

/**
 * @param {unknown} given
 * @returns {{pointer: string, problem: string}[]} JSON pointers into `given`, RFC 6901
 */
export const findLost = (given) => {
  /** @type {{pointer: string, problem: string}[]} */
  const found = [];
  let looks = 0;

  /** @param {any} value @param {any} sent @param {string} pointer @param {unknown[]} above */
  const compare = (value, sent, pointer, above) => {
    if (found.length >= FOUND_MAX || looks++ >= LOOKS_MAX || value === undefined || value === null) return;
    const problem = problemOf(value, sent, above);
    if (problem) found.push({ pointer, problem });
    else if (typeof value === "object" && sent && !value.toJSON) {
      for (const key of Object.keys(value)) {
        const place = `${pointer}/${key.replace(/~/g, "~0").replace(/\//g, "~1")}`;
        try {
          compare(value[key], sent[key], place, [...above, value]);
        } catch {
          found.push({ pointer: place, problem: "left out: reading it throws" });
        }
      }
    }
  };
  compare(given, JSON.parse(toJson(given)), "", []);
  return found;
};

/** @param {any} value @param {any} sent @param {unknown[]} above the objects it stands in @returns {string} empty for none */
const problemOf = (value, sent, above) => {
  const type = typeof value;
  if (type === "function" || type === "symbol") return `left out: a ${type} cannot be sent`;
  if (type === "bigint") return "sent as text: JSON has no BigInt";
  if (type === "number" && !Number.isFinite(value)) return `left out: ${value} is no number in JSON`;
  if (value.nodeType) return `sent as "${sent}": a DOM node has no content that could be sent`;
  if (value instanceof Map || value instanceof Set) return "sent as {}: give an object or an array instead of it";
  if (above.includes(value)) return "left out: it contains itself";
  if (sent === undefined || (sent === null && type === "object")) return "left out: the event is too large or too deep";
  if (type !== "string" || value === sent) return "";
  if (value.length > sent.length) return `cut to ${sent.length} of its ${value.length} characters`;
  return "half a character (a lone surrogate) was replaced";
};
