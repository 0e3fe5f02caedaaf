/**
 * The tags that are measured side by side, built from what their makers publish on npm, each set to send page views of
 * single-page apps and custom events to one recording server. An adapter says how a page loads the tag, how it tracks an
 * event, and what a recorded request holds.
 */
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";
import { brotliCompressSync, gunzipSync, gzipSync } from "node:zlib";

const here = new URL("./", import.meta.url);
const require = createRequire(new URL("../../js_sdk/package.json", import.meta.url));
const { build } = require("esbuild");

const KEY = "key"; // what a peer calls its site or project

/** @param {string} code an entry module, its imports looked up here @returns {Promise<string>} one minified script */
const bundle = async (code, define = {}) => {
  const result = await build({
    stdin: { contents: code, resolveDir: new URL(".", here).pathname, loader: "js" },
    bundle: true,
    write: false,
    format: "iife",
    minify: true,
    target: "es2020",
    define,
    logLevel: "error",
  });
  return result.outputFiles[0].text;
};

const versionOf = (name) => JSON.parse(readFileSync(new URL(`node_modules/${name}/package.json`, here))).version;

// Umami's package is its whole server; only the tracker's file is taken out of it.
const UMAMI = {
  version: "2.10.0",
  integrity: "sha512-+lmrnV0751R6U2rkIgVAlE1nWI7yZawlMlJDguW9tlFacCKhnGeCyc7tCMIhNNYIiGIQy4DEX5IzJhm4b3+dPA==",
};

const umamiSource = () => {
  const folder = new URL("node_modules/.umami/", here);
  const file = new URL("package/src/tracker/index.js", folder);
  if (!existsSync(file)) {
    mkdirSync(folder, { recursive: true });
    execFileSync("npm", ["pack", `umami@${UMAMI.version}`, "--silent"], { cwd: folder, stdio: "pipe" });
    const tarball = new URL(`umami-${UMAMI.version}.tgz`, folder);
    const found = `sha512-${createHash("sha512").update(readFileSync(tarball)).digest("base64")}`;
    if (found !== UMAMI.integrity) throw new Error(`umami@${UMAMI.version} has integrity ${found}, not the pinned one`);
    execFileSync("tar", ["xzf", tarball.pathname, "package/src/tracker/index.js"], { cwd: folder });
  }
  return readFileSync(file, "utf8");
};

const json = (request) => {
  try {
    return JSON.parse(request.text);
  } catch {
    return undefined;
  }
};

const view = (url) => ({ kind: "view", url });
const custom = (name, id) => ({ kind: "event", name, id });

/** PostHog compresses unless told not to, and wraps what it then sends in a form field. */
const posthogEvents = (request) => {
  let text = request.text;
  try {
    if (request.raw[0] === 0x1f) text = gunzipSync(request.raw).toString();
    else if (text.startsWith("data=")) text = Buffer.from(decodeURIComponent(text.slice(5)), "base64").toString();
    const found = JSON.parse(text);
    return Array.isArray(found) ? found : (found.batch ?? [found]);
  } catch {
    return [];
  }
};

/** @param {URL} dist a folder as js_sdk/dist, of this build or of another one */
const footfall = (dist, version) => ({
  name: "Footfall",
  version,
  script: readFileSync(new URL("footfall.js", dist), "utf8"),
  later: { "/footfall.more.js": readFileSync(new URL("footfall.more.js", dist), "utf8") },
  head: (origin) =>
    "<script>window.footfall=window.footfall||function(){(footfall.q=footfall.q||[]).push(arguments)}</script>" +
    `<script defer src="${origin}/tag.js" data-write-key="${KEY}"></script>`,
  track: (name) => `footfall("track", ${JSON.stringify(name)})`,
  read: (request) =>
    (json(request)?.batch ?? []).flatMap((event) => {
      if (event.type === "page") return [view(event.context.page.url)];
      return event.type === "track" ? [custom(event.event, event.messageId)] : [];
    }),
});

/**
 * A peer: its name and version; `script`, served at /tag.js of the recording server; `later`, what that fetches by itself,
 * by path; `head(origin)`, what a page carries;
 * `track(name)`, JavaScript that tracks one event; `read(request)`, the page views and custom events of one request.
 *
 * @param {string} [beside] a folder as js_sdk/dist, of another build @param {string[]} [chosen] names beside Footfall; all
 */
export async function peers(beside, chosen) {
  const tag = (attributes = "") => (origin) => `<script defer src="${origin}/tag.js" ${attributes}></script>`;
  const options = (origin) => `<script>window.benchOrigin=${JSON.stringify(origin)}</script>`;
  const made = [
    footfall(new URL("../../js_sdk/dist/", here), JSON.parse(readFileSync(new URL("../../js_sdk/package.json", here))).version),
    ...(beside ? [footfall(pathToFileURL(`${beside}/`), beside)] : []),
    {
      name: "Plausible",
      version: versionOf("@plausible-analytics/tracker"),
      script: await bundle(
        'import { init, track } from "@plausible-analytics/tracker";' +
          'init({ domain: "key", endpoint: window.benchOrigin + "/api/event", captureOnLocalhost: true,' +
          " outboundLinks: true, fileDownloads: true, formSubmissions: true, autoCapturePageviews: true });" +
          "window.benchTrack = (name) => track(name, {});",
      ),
      head: (origin) => options(origin) + tag()(origin),
      track: (name) => `benchTrack(${JSON.stringify(name)})`,
      read: (request) => {
        const event = json(request);
        if (!event?.n || event.n === "engagement") return [];
        return [event.n === "pageview" ? view(event.u) : custom(event.n)];
      },
    },
    {
      name: "Umami",
      version: UMAMI.version,
      script: await bundle(umamiSource()),
      head: (origin) => `<script defer src="${origin}/tag.js" data-website-id="${KEY}" data-host-url="${origin}"></script>`,
      track: (name) => `umami.track(${JSON.stringify(name)})`,
      read: (request) => {
        const payload = json(request)?.payload;
        if (!payload?.url) return [];
        return [payload.name ? custom(payload.name) : view(payload.url)];
      },
    },
    {
      name: "Snowplow",
      version: versionOf("@snowplow/browser-tracker"),
      script: await bundle(
        'import { newTracker, enableActivityTracking, trackPageView, trackStructEvent } from "@snowplow/browser-tracker";' +
          'newTracker("sp", window.benchOrigin, { appId: "key", contexts: { session: true } });' +
          "enableActivityTracking({ minimumVisitLength: 10, heartbeatDelay: 10 }); trackPageView();" +
          'window.benchTrack = (name) => trackStructEvent({ category: "bench", action: name });',
      ),
      head: (origin) => options(origin) + tag()(origin),
      track: (name) => `benchTrack(${JSON.stringify(name)})`,
      read: (request) =>
        (json(request)?.data ?? []).flatMap((event) => {
          if (event.e === "pv") return [view(event.url)];
          return event.e === "se" ? [custom(event.se_ac, event.eid)] : [];
        }),
    },
    {
      name: "Segment",
      version: versionOf("@segment/analytics-next"),
      script: await bundle(
        'import { AnalyticsBrowser } from "@segment/analytics-next";' +
          'const api = window.benchOrigin.replace("http://", "") + "/v1";' +
          'const settings = { integrations: { "Segment.io": { apiKey: "key", apiHost: api, protocol: "http" } } };' +
          'const analytics = AnalyticsBrowser.load({ writeKey: "key", cdnSettings: settings });' +
          "analytics.page(); window.benchTrack = (name) => analytics.track(name);",
        { "process.env.NODE_ENV": '"production"', "process.env": "{}" },
      ),
      head: (origin) => options(origin) + tag()(origin),
      track: (name) => `benchTrack(${JSON.stringify(name)})`,
      read: (request) => {
        const event = json(request);
        if (event?.type === "page") return [view(event.context?.page?.url)];
        return event?.type === "track" ? [custom(event.event, event.messageId)] : [];
      },
    },
    {
      name: "PostHog",
      version: versionOf("posthog-js"),
      script: await bundle(
        'import posthog from "posthog-js";' +
          'posthog.init("key", { api_host: window.benchOrigin, defaults: "2025-05-24",' +
          ' capture_pageview: "history_change", disable_session_recording: true, disable_surveys: true,' +
          " opt_out_useragent_filter: true });" +
          "window.benchTrack = (name) => posthog.capture(name);",
      ),
      head: (origin) => options(origin) + tag()(origin),
      track: (name) => `benchTrack(${JSON.stringify(name)})`,
      read: (request) =>
        posthogEvents(request).flatMap((event) => {
          if (event?.event === "$pageview") return [view(event.properties.$current_url)];
          return event?.event && !event.event.startsWith("$") ? [custom(event.event, event.uuid)] : [];
        }),
    },
  ];
  const unknown = chosen?.filter((name) => !made.some((peer) => peer.name === name)) ?? [];
  if (unknown.length) {
    const known = [...new Set(made.map(({ name }) => name))].join(", ");
    throw new Error(`no peer is called ${unknown.join(" or ")}; there are ${known}`);
  }
  return made
    .filter(({ name }) => name === "Footfall" || !chosen || chosen.includes(name))
    .map((peer) => ({ ...peer, bytes: sizes(peer.script) }));
}

const sizes = (text) => ({
  min: Buffer.byteLength(text),
  gzip: gzipSync(text, { level: 9 }).length,
  brotli: brotliCompressSync(text).length,
});
