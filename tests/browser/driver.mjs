/**
 * Plays scenarios for pytest: a JSON line {name, …} on standard input, a JSON verdict {name, ok, error, result} on standard
 * output when it is over. A fresh profile and fresh servers for each, a few at a time: most of a scenario is waiting.
 * What else stands in the line is given to the scenario.
 *
 * `driver.mjs [--list] FILE`: `--list` prints the scenarios' names. FILE is a module of this folder that exports
 *
 *     scenarios   {name: async (stage) => result}
 *     whole       names of those that need the whole Chromium, see chromium.mjs
 *     silent      whether the page's console may hold no error either
 */
import { createInterface } from "node:readline";
import { launch } from "./chromium.mjs";
import { Collector, Site } from "./recorder.mjs";

const AT_ONCE = 4;
const [, , file] = process.argv.filter((word) => word !== "--list");
const { scenarios, whole = [], silent = false } = await import(`./${file}`);

const launched = {};
/** The whole Chromium for scenarios that its headless shell cannot play, the shell for others. */
const browserOf = (name) => {
  const kind = whole.includes(name) ? "whole" : "shell";
  launched[kind] ??= launch(kind === "shell");
  return launched[kind];
};

async function run(name, known) {
  const browser = await browserOf(name);
  const collector = await new Collector().start();
  const site = await new Site(collector).start();
  const elsewhere = await new Site(collector).start();
  const context = await browser.newContext();
  const errors = [];
  let expected = [];
  context.on("weberror", (error) => errors.push(String(error.error())));
  if (silent) context.on("console", (message) => message.type() === "error" && errors.push(message.text()));
  try {
    const result = await scenarios[name]({
      ...known,
      collector,
      site,
      elsewhere,
      context,
      browser,
      /** Errors of the page that are the scenario's own. */
      expect: (...patterns) => {
        expected = patterns;
      },
      /** Open a tab at a path of the site and wait until the tag runs. */
      open: async (path = "/") => {
        const page = await context.newPage();
        await page.goto(site.origin + path);
        await page.waitForFunction(() => window.footfall?.version);
        return page;
      },
    });
    const unexpected = errors.filter((text) => !expected.some((pattern) => pattern.test(text)));
    if (unexpected.length) throw new Error(`the page saw errors: ${unexpected.join("; ")}`);
    return { ok: true, result };
  } catch (error) {
    return { ok: false, error: error.stack };
  } finally {
    await context.close();
    for (const server of [collector, site, elsewhere]) server.stop();
  }
}

if (process.argv.includes("--list")) {
  console.log(Object.keys(scenarios).join("\n"));
} else {
  const lines = createInterface({ input: process.stdin })[Symbol.asyncIterator]();
  // Each of these takes the next scenario when it is done with one.
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (let next = await lines.next(); !next.done; next = await lines.next()) {
        const { name, ...known } = JSON.parse(next.value);
        console.log(JSON.stringify({ name, ...(await run(name, known)) }));
      }
    }),
  );
  for (const browser of Object.values(launched)) await (await browser).close();
}
