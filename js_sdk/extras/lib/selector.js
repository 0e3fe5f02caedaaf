/** A short CSS selector of an element, for developers who look for it. Ids that frameworks number anew are passed over. */

const STEPS_MAX = 5;
const CHARS_MAX = 200;
const STABLE_ID = /^(?!.*\d{3})[A-Za-z][\w-]*$/;

/** @param {Node | null | undefined} node @returns {string} empty for none */
export const selectorOf = (node) => {
  const steps = [];
  let at = node instanceof Element ? node : node?.parentElement;
  for (; at && steps.length < STEPS_MAX; at = at.parentElement) {
    if (STABLE_ID.test(at.id)) {
      steps.unshift(`#${at.id}`);
      break;
    }
    const { localName } = at;
    const twins = [...(at.parentElement?.children ?? [])].filter((child) => child.localName === localName);
    steps.unshift(twins.length > 1 ? `${localName}:nth-of-type(${twins.indexOf(at) + 1})` : localName);
  }
  return steps.join(" > ").slice(0, CHARS_MAX);
};
