/**
 * The wrappers for React, Vue and Next with the real frameworks: rendered on a server (this process, which has no window),
 * then hydrated in a real Chromium, played by driver.mjs.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { fileURLToPath, pathToFileURL } from "node:url";
import { named, stored } from "./extras_stored.mjs";

const SDK = new URL("../../js_sdk/", import.meta.url);
const DIST = new URL("dist/", SDK);
const APPS = new URL("wrappers/", import.meta.url);
const require = createRequire(new URL("package.json", SDK));
const { build } = require("esbuild");

/** A module of wrappers/ with all it imports, as text, for a browser or for this process. */
async function bundle(name, platform) {
  const entry = (file) => fileURLToPath(new URL(file, DIST));
  const result = await build({
    entryPoints: [fileURLToPath(new URL(name, APPS))],
    bundle: true,
    write: false,
    platform,
    format: platform === "node" ? "cjs" : "iife",
    define: { "process.env.NODE_ENV": '"development"', __VUE_OPTIONS_API__: "true", __VUE_PROD_DEVTOOLS__: "false" },
    nodePaths: [fileURLToPath(new URL("node_modules/", SDK))],
    alias: {
      "footfall/react": entry("react.js"),
      "footfall/vue": entry("vue.js"),
      "footfall/next": entry("next.js"),
      footfall: entry("index.js"),
    },
    external: platform === "node" ? ["react", "react-dom", "vue"] : [],
    logLevel: "error",
  });
  return result.outputFiles[0].text;
}

/** The app of wrappers/NAME_app.js in this process, sharing react and vue with what renders it. */
async function onServer(name) {
  assert.equal(typeof window, "undefined");
  const module = { exports: {} };
  new Function("module", "exports", "require", await bundle(`${name}_app.js`, "node"))(module, module.exports, require);
  return module.exports.app;
}

async function serve(site, { name, html, settings }) {
  const script = await bundle(`${name}_page.js`, "browser");
  site.scripts = 0;
  site.holds["/page.js"] = (response) => {
    response.writeHead(200, { "Content-Type": "text/javascript; charset=utf-8" }).end(script);
  };
  const given = `<script>window.settings = ${JSON.stringify(settings)}</script>`;
  const loader = '<script defer src="/page.js"></script><link rel="icon" href="data:,">';
  if (html.startsWith("<html")) {
    site.holds["/"] = (response) => {
      response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" });
      response.end(`<!doctype html>${html.replace("</head>", `${given}${loader}</head>`)}`);
    };
  } else {
    site.head = given + loader;
    site.bodies["/"] = `<div id="app">${html}</div>`;
  }
}

/** A framework tells on the console that what the server rendered is not what the browser did. */
export const silent = true;

/** The page as it is before the tag has come. */
const opened = async (context, site) => {
  const page = await context.newPage();
  await page.goto(site.origin, { waitUntil: "domcontentloaded" });
  return page;
};

export const scenarios = {
  "React: rendered on a server, hydrated, one view for each page with its own properties": async ({
    collector,
    site,
    context,
  }) => {
    const settings = { writeKey: "key", endpoint: collector.origin };
    const app = await onServer("react");
    const html = require("react-dom/server").renderToString(app(settings));
    assert.match(html, /<button id="buy" type="button">Buy<\/button>/);
    await serve(site, { name: "react", html, settings });
    const page = await opened(context, site);
    await page.click("#buy");
    await page.click("#go");
    await page.click("#buy");
    await collector.until(() => named(collector, "bought").length === 2, "both purchases");
    const views = named(collector, "page").map(({ name, properties }) => [name, properties.page_type, properties.path]);
    assert.deepEqual(views, [
      ["/", "home", "/"],
      ["/product", "product", "/product"],
    ]);
    assert.deepEqual(
      named(collector, "bought").map(({ properties }) => properties),
      [{ path: "/" }, { path: "/product" }],
    );
  },

  "Vue: rendered on a server, hydrated, the tag by injection and in templates": async ({
    collector,
    site,
    context,
  }) => {
    const settings = { writeKey: "key", endpoint: collector.origin };
    const app = await onServer("vue");
    const html = await require("vue/server-renderer").renderToString(app(settings));
    assert.match(html, /<button id="buy" type="button">Buy<\/button>/);
    await serve(site, { name: "vue", html, settings });
    const page = await opened(context, site);
    await page.click("#go");
    await page.click("#buy");
    await collector.until(() => named(collector, "bought").length, "the purchase");
    assert.equal(named(collector, "went").length, 1);
    assert.equal(named(collector, "page").length, 1);
  },

  "Next: the script is in the server's HTML once, with its settings; what is clicked before it comes is kept": async ({
    collector,
    site,
    context,
  }) => {
    const settings = {
      writeKey: "key",
      endpoint: collector.origin,
      src: "/tag.js",
      nonce: "n1",
      linkDomains: undefined,
      clicks: "off",
    };
    const app = await onServer("next");
    const html = require("react-dom/server").renderToString(app(settings));
    const [script, ...more] = html.match(/<script[^>]*>/g);
    assert.deepEqual(more, []);
    for (const attribute of ['src="/tag.js"', "async", 'nonce="n1"', 'data-write-key="key"', 'data-clicks="off"']) {
      assert.ok(script.includes(attribute), `${attribute} in ${script}`);
    }
    assert.ok(!script.includes("link-domains"));
    let come;
    const wanted = new Promise((done) => {
      come = done;
    });
    site.holds["/tag.js"] = async (response) => {
      await wanted;
      response.writeHead(200, { "Content-Type": "text/javascript; charset=utf-8" });
      response.end(readFileSync(new URL("footfall.js", DIST)));
    };
    // What the tag fetches itself stands beside it.
    site.holds["/footfall.more.js"] = (response) => {
      response.writeHead(200, { "Content-Type": "text/javascript; charset=utf-8" });
      response.end(readFileSync(new URL("footfall.more.js", DIST)));
    };
    await serve(site, { name: "next", html, settings });
    const page = await opened(context, site);
    await page.waitForFunction(() => window.hydrated);
    await page.waitForFunction(() =>
      Object.keys(document.querySelector("#buy")).some((key) => key.startsWith("__react")),
    );
    await page.click("#buy");
    assert.equal(await page.evaluate(() => window.footfall.q.length), 1);
    come();
    await collector.until(() => named(collector, "bought").length, "the purchase");
    assert.deepEqual(
      stored(collector).map(({ type, event }) => event ?? type),
      ["page", "bought"],
    );
    assert.equal(await page.evaluate(() => document.querySelectorAll("script[data-write-key]").length), 1);
  },

  "on a server every call does nothing": async () => {
    for (const name of ["react", "vue", "next"]) {
      const module = { exports: {} };
      new Function("module", "exports", "require", await bundle(pathOf(name), "node"))(module, module.exports, require);
      const hook = module.exports.useFootfall;
      const inside = name === "vue" ? (run) => require("vue").createSSRApp({}).runWithContext(run) : rendered;
      inside(() => {
        const tag = hook();
        tag.track("bought", { value: 3 });
        tag("track", "bought");
        tag.consent("granted");
      });
    }
    assert.equal(typeof window, "undefined");
  },
};

const pathOf = (name) => pathToFileURL(fileURLToPath(new URL(`${name}.js`, DIST))).href;

/** Run within a React component, where hooks may be called. */
const rendered = (run) => {
  const { createElement } = require("react");
  const Component = () => {
    run();
    return null;
  };
  require("react-dom/server").renderToString(createElement(Component));
};
