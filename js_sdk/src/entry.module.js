/**
 * dist/index.js: the tag for an application with a bundler.
 *
 *     import { autocapture, init, track } from "footfall";
 *     init({ writeKey: "KEY", endpoint: "https://collector.example", plugins: [autocapture] });
 *
 * Importing does nothing by itself, and on a server, which has no page, the calls do nothing either.
 */
import { assist } from "./requests.js";
import { tag } from "./tag.js";
import { when } from "./whole.js";

export { autocapture } from "./autocapture.js";

when({ request: assist });

const { init, page, track, identify, alias, group, reset, consent, set, plugin, flush, status } = tag;

export { alias, consent, flush, group, identify, init, page, plugin, reset, set, status, tag as footfall, track };
