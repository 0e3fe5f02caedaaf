/**
 * The tag as a script element, whose data attributes are its settings:
 *
 *     <script defer src="https://collector.example/footfall.js" data-write-key="KEY"></script>
 *
 * Without a write key it waits for footfall('init', {…}). Takes over from the snippet's stub: what was called before this
 * script came waits in the stub's queue, and a stub the page still holds afterwards passes its calls on.
 */
import { settings } from "./settings.js";
import { run, tag } from "./tag.js";

/** Where the script came from, without a slash at the end; its other parts are there too. @type {string} */
export let folder;

/** Run once, while the script element is the current one. */
export const begin = () => {
  const { dataset, src } = /** @type {HTMLScriptElement} */ (document.currentScript);
  const name = dataset.global ?? settings.global;
  const stub = /** @type {any} */ (window)[name];
  if (stub?.version) return; // a second copy of the script stays out
  /** @type {any} */ (window)[name] = tag;
  folder = src.slice(0, src.lastIndexOf("/"));
  tag.init({ endpoint: folder, ...dataset });
  stub?.q?.forEach(run);
};
