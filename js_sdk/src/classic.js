/**
 * The tag as a script element, whose data attributes are its settings:
 *
 *     <script defer src="https://collector.example/footfall.js" data-write-key="KEY"></script>
 *
 * Without a write key it waits for footfall('init', {…}). Takes over from the snippet's stub: what was called before this
 * script came waits in the stub's queue, and a stub the page still holds afterwards passes its calls on.
 */
import { tag } from "./start.js";

/** @param {(tag: any) => void} [plugin] */
export const run = (plugin) => {
  const { dataset, src } = /** @type {HTMLScriptElement} */ (document.currentScript);
  const name = dataset.global ?? "footfall";
  const scope = /** @type {any} */ (window);
  const stub = scope[name];
  if (stub?.version) return; // a second copy of the script stays out
  scope[name] = tag;
  tag.init({ endpoint: new URL(src).origin, plugins: plugin && [plugin], ...dataset });
  stub?.q?.forEach(tag.q.push);
};
