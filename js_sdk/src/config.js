/**
 * What the page's author decided, read once from the script element:
 *
 *     <script defer src="https://collector.example/footfall.js" data-write-key="KEY"></script>
 *
 * data-endpoint      where events go; the origin of the script unless given
 * data-page-views    "off": only footfall('page') counts pages
 * data-clicks        "off": no click events
 * data-debug         tell problems on the console; always so on localhost
 */

const script = /** @type {HTMLScriptElement} */ (
  document.currentScript ?? document.querySelector("script[data-write-key]")
);

export const { writeKey = "", endpoint = new URL(script.src).origin, pageViews, clicks, debug } = script.dataset;

export const talks = debug !== undefined || /^(localhost|127\.|\[::1)/.test(location.hostname);
