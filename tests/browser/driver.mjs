/**
 * Runs scenarios for pytest: a name per line on standard input, a JSON verdict per line on standard output. One browser
 * for all, a fresh profile and fresh servers for each. `driver.mjs [--list] [FILE]`: FILE is a module of this folder that
 * exports scenarios, scenarios.mjs unless given; `--list` prints their names.
 */
import { createInterface } from "node:readline";
import { launch } from "./chromium.mjs";
import { Collector, Site } from "./recorder.mjs";

const [, , file = "scenarios.mjs"] = process.argv.filter((word) => word !== "--list");
const { scenarios } = await import(`./${file}`);

async function run(browser, scenario) {
  const collector = await new Collector().start();
  const site = await new Site(collector).start();
  const context = await browser.newContext();
  const errors = [];
  context.on("weberror", (error) => errors.push(String(error.error())));
  try {
    await scenario({
      collector,
      site,
      context,
      browser,
      /** Open a tab at a path of the site and wait until the tag runs. */
      open: async (path = "/") => {
        const page = await context.newPage();
        await page.goto(site.origin + path);
        await page.waitForFunction(() => window.footfall?.version);
        return page;
      },
    });
    if (errors.length) throw new Error(`the page saw errors: ${errors.join("; ")}`);
    return { ok: true };
  } catch (error) {
    return { ok: false, error: error.stack };
  } finally {
    await context.close();
    collector.stop();
    site.stop();
  }
}

if (process.argv.includes("--list")) {
  console.log(Object.keys(scenarios).join("\n"));
} else {
  const browser = await launch();
  for await (const name of createInterface({ input: process.stdin })) {
    console.log(JSON.stringify(await run(browser, scenarios[name])));
  }
  await browser.close();
}
