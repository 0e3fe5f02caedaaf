"use client";

// wrappers/next.js
import { createElement } from "react";
var CALLS = [
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
  "status"
], OWN = /* @__PURE__ */ new Set(["nonce", "integrity", "crossOrigin", "src"]), attribute = (name) => `data-${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`, Footfall = (props) => {
  let written = { async: !0, src: `${props.endpoint}/footfall.js` };
  for (let [name, value] of Object.entries(props))
    OWN.has(name) ? written[name] = value : value != null && (written[attribute(name)] = Array.isArray(value) ? value.join(" ") : `${value}`);
  return createElement("script", written);
}, pass = (...call) => {
  if (typeof window > "u") return;
  let scope = (
    /** @type {any} */
    window
  );
  if (!scope.footfall) {
    let stub = (...early) => {
      stub.q.push(early);
    };
    stub.q = /** @type {unknown[][]} */
    [], scope.footfall = stub;
  }
  return scope.footfall(...call);
}, tag = Object.assign(
  pass,
  Object.fromEntries(CALLS.map((name) => [name, (...rest) => pass(name, ...rest)]))
), useFootfall = () => tag;
export {
  Footfall,
  useFootfall
};
