/**
 * The small window of the debug extra: a line of state, notices, and the last events. Knows nothing of the tag.
 *
 * In a shadow root, so that page and overlay cannot restyle each other; styled by a constructed sheet and built node by
 * node, which the strictest Content-Security-Policy and Trusted Types allow. It takes no focus; Tab reaches it, Enter folds
 * it, Escape in it closes it.
 */

const ENTRIES_MAX = 50;
const NOTICES_MAX = 20;

const STYLE = `
  :host { all: initial; color-scheme: light dark; }
  section { position: fixed; right: 8px; bottom: 8px; z-index: 2147483647; width: min(420px, calc(100vw - 16px));
    max-height: 60vh; overflow: auto; box-sizing: border-box; padding: 8px 12px; font: 13px/1.45 system-ui, sans-serif;
    color: light-dark(#1a1a1a, #f2f2f2); background: light-dark(#fff, #1c1c1e); border: 1px solid #767676;
    border-radius: 6px; }
  summary { cursor: pointer; }
  h2 { display: inline; font-size: 1em; margin: 0; }
  button { font: inherit; float: right; }
  :focus-visible { outline: 2px solid light-dark(#0b57d0, #a8c7fa); outline-offset: 2px; }
  p, ul, ol { margin: 6px 0; padding: 0; list-style: none; overflow-wrap: anywhere; }
  li { padding: 4px 0; border-top: 1px solid #8884; }
  .problem { border-left: 3px solid light-dark(#b3261e, #f2b8b5); padding-left: 8px; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; font: 12px/1.4 ui-monospace, monospace; margin: 4px 0; }
`;

/** @param {string} name @param {Record<string, string>} attributes @param {...(Node | string)} children */
const make = (name, attributes, ...children) => {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  element.append(...children);
  return element;
};

/**
 * @typedef {{title: string, outcome: string, lines: string[], body: string}} Entry
 *   outcome: one word; lines: what is wrong with it, shown at once; body: shown when unfolded
 */

/** @param {() => void} closed */
export const openOverlay = (closed) => {
  const state = make("p", { role: "status" });
  const notices = make("ul", { role: "log", "aria-label": "Notices" });
  const list = make("ol", { "aria-label": "Events, newest first" });
  const close = make("button", { type: "button" }, "Close");
  const clear = make("button", { type: "button" }, "Clear");
  const title = make("h2", {}, "Footfall debug");
  const panel = make("details", { open: "" }, make("summary", {}, title), close, clear, state, notices, list);
  const section = make("section", { "aria-label": "Footfall debug" }, panel);
  // Marked private: clicks in here are none of the visitor's.
  const host = make("footfall-debug", { "data-footfall-private": "" });
  const sheet = new CSSStyleSheet();
  // Several tags on a page have a window each, side by side.
  const others = document.querySelectorAll(host.localName).length;
  sheet.replaceSync(`${STYLE} section { right: ${8 + others * 436}px; }`);
  const root = host.attachShadow({ mode: "open" });
  root.adoptedStyleSheets = [sheet];
  root.append(section);
  document.documentElement.append(host); // not the body, whose frameworks may render it anew

  const shut = () => {
    host.remove();
    closed();
  };
  close.addEventListener("click", shut);
  clear.addEventListener("click", () => {
    list.replaceChildren();
    notices.replaceChildren();
    rows.clear();
  });
  section.addEventListener("keydown", (event) => {
    if (event.key === "Escape") shut();
  });

  /** @type {Map<string, Element>} the oldest first */
  const rows = new Map();

  return {
    /** @param {string} text */
    state: (text) => {
      if (state.textContent !== text) state.textContent = text;
    },
    /** @param {string} text the same one is not shown twice */
    notice: (text) => {
      if ([...notices.children].some((shown) => shown.textContent === text)) return;
      notices.prepend(make("li", { class: "problem" }, text));
      while (notices.children.length > NOTICES_MAX) notices.lastChild?.remove();
    },
    /** @param {string} id a known one is shown anew in its place @param {Entry} entry */
    entry: (id, { title, outcome, lines, body }) => {
      const open = rows.get(id)?.querySelector("details")?.open;
      const row = make("li", lines.length ? { class: "problem" } : {});
      const facts = make("details", open ? { open: "" } : {}, make("summary", {}, `${title}: ${outcome}`));
      facts.append(make("pre", {}, body));
      row.append(facts, ...lines.map((line) => make("p", {}, line)));
      const shown = rows.get(id);
      if (shown) shown.replaceWith(row);
      else list.prepend(row);
      rows.set(id, row);
      const [oldest] = rows.keys();
      if (rows.size > ENTRIES_MAX && oldest !== undefined) {
        rows.get(oldest)?.remove();
        rows.delete(oldest);
      }
    },
  };
};
