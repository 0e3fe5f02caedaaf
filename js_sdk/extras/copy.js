/**
 * That something was copied, and that the page was printed. How much text, never which: `copy` {length}, `print` {}.
 * What is copied out of an input, or out of a part marked data-footfall-private, is nobody's business.
 */
import { safely } from "./lib/safe.js";

const PRIVATE = "input,textarea,select,[contenteditable],[data-footfall-private]";

/** @param {import("./types.d.ts").Tag} tag */
export default (tag) => {
  const copied = safely(tag, (/** @type {Event} */ event) => {
    if (event.composedPath().some((node) => node instanceof Element && node.matches(PRIVATE))) return;
    const selection = getSelection();
    // A range's text is read from the tree; the selection's own text would have the page laid out for it.
    const length = selection?.rangeCount ? selection.getRangeAt(0).toString().length : 0;
    if (length) tag.track("copy", { length });
  });
  document.addEventListener("copy", copied, { capture: true, passive: true });
  addEventListener(
    "beforeprint",
    safely(tag, () => tag.track("print", {})),
  );
};
