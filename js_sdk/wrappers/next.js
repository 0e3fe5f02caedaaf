"use client";
/**
 * Footfall for Next.js (app or pages router): `<Footfall writeKey="…" endpoint="https://…" />` in the root layout puts the
 * collector's own script into the page, once, from the server's first HTML on; React hoists and deduplicates it. With a
 * Content-Security-Policy give it the request's `nonce`. `useFootfall()` gives the tag in client components; what is called
 * before the script has come waits. For the tag as a part of the bundle, use footfall/react.
 */
import { createElement } from "react";

const CALLS = [
  "init",
  "page",
  "track",
  "identify",
  "alias",
  "group",
  "reset",
  "consent",
  "set",
  "plugin",
  "flush",
  "status",
];
// What the script's own attributes are; all else is a setting, and so a data attribute.
const OWN = new Set(["nonce", "integrity", "crossOrigin", "src"]);

/** @param {string} name @returns {string} writeKey becomes data-write-key, as dataset has it */
const attribute = (name) => `data-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;

/** @param {Record<string, any>} props the tag's settings, and src, nonce, integrity, crossOrigin of the script */
export const Footfall = (props) => {
  /** @type {Record<string, unknown>} */
  const written = { async: true, src: `${props.endpoint}/footfall.js` };
  for (const [name, value] of Object.entries(props)) {
    if (OWN.has(name)) written[name] = value;
    else if (value != null) written[attribute(name)] = Array.isArray(value) ? value.join(" ") : `${value}`;
  }
  return createElement("script", written);
};

/** @param {unknown[]} call to the tag, or to a stub that waits for it as the snippet's does; to nothing on a server */
const pass = (...call) => {
  if (typeof window === "undefined") return undefined;
  const scope = /** @type {any} */ (window);
  if (!scope.footfall) {
    const stub = (/** @type {unknown[]} */ ...early) => void stub.q.push(early);
    stub.q = /** @type {unknown[][]} */ ([]);
    scope.footfall = stub;
  }
  return scope.footfall(...call);
};

const tag = Object.assign(
  pass,
  Object.fromEntries(CALLS.map((name) => [name, (/** @type {unknown[]} */ ...rest) => pass(name, ...rest)])),
);

/** The tag of this page. */
export const useFootfall = () => tag;
