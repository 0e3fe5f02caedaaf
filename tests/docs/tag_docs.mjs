/**
 * The examples of the tag's pages in a real Chromium, against a real collector. Standard input is one JSON line
 * {collector, key, pages: {path: html}, scripts: {path: code}}; standard output one of what each did: {path: {…}}.
 *
 * The names of the pages are kept: requests to https://t.example and its like are carried to the collector by the driver.
 */
import { text } from "node:stream/consumers";
import { launch } from "../browser/chromium.mjs";

const SITE = "https://shop.example";
const COLLECTORS = /^https:\/\/(t\.example|t\.shop\.example|shop\.example\/t)(?=\/(v1|footfall))/;

const { collector, key, pages, scripts } = JSON.parse(await text(process.stdin));
const browser = await launch(true);
const AT_ONCE = 4;

const wrapped = (html) =>
  `<!doctype html><html lang="en"><head><title>Example</title></head><body>${html}</body></html>`;
const carry = async (route) => {
  const url = route.request().url();
  if (COLLECTORS.test(url)) {
    const response = await route.fetch({ url: url.replace(COLLECTORS, collector) });
    await route.fulfill({ response });
    return;
  }
  const html = pages[new URL(url).pathname];
  await route.fulfill(html ? { contentType: "text/html; charset=utf-8", body: wrapped(html) } : { status: 404 });
};

/** Until the collector took all that the page had to send. */
const settled = async (page, count = 1) => {
  await page.waitForFunction((least) => {
    const { queued, sent } = window.footfall.status();
    if (queued) window.footfall.flush();
    return sent >= least && !queued;
  }, count);
};

/** A visitor of their own looks at a page. @returns what it did, with the errors that the page saw */
const look = async (path, visit) => {
  const context = await browser.newContext();
  /** @type {string[]} */
  const errors = [];
  context.on("weberror", (error) => errors.push(String(error.error())));
  await context.route(/.*/, carry);
  const page = await context.newPage();
  page.setDefaultTimeout(90_000); // of a machine that is busy otherwise
  await page.goto(SITE + path);
  await page.waitForFunction(() => window.footfall?.version);
  const told = await visit?.(page);
  await context.unrouteAll({ behavior: "ignoreErrors" });
  await context.close();
  return { ...told, errors };
};

/** What a visitor does on an example that waits for one. */
const visits = {
  async banner(page) {
    await page.waitForSelector("#banner:not([hidden])");
    const before = await page.evaluate(() => ({ ...window.footfall.status(), kept: localStorage.length }));
    await page.click("#yes");
    await settled(page);
    await page.reload();
    await page.waitForFunction(() => window.footfall?.status().sent);
    await settled(page);
    const asked = await page.isVisible("#banner");
    return { consent: before.consent, sent: before.sent, kept: before.kept, asked };
  },
  async pending(page) {
    await page.waitForFunction(() => window.footfall.status().queued);
    const { consent, sent } = await page.evaluate(() => window.footfall.status());
    return { consent, sent };
  },
  async marked(page) {
    await settled(page);
    await page.click("[data-footfall-event]:not(form)");
    await settled(page, 2);
    return {};
  },
  async plain(page) {
    await settled(page);
    // A page sees a cookie that an answer sets a moment after the answer.
    if (await page.$('[data-cookie="collector"]')) await page.waitForFunction(() => document.cookie);
    return await page.evaluate(() => ({ consent: window.footfall.status().consent, cookie: document.cookie }));
  },
};

const kindOf = (html) =>
  (html.includes('id="banner"') && "banner") ||
  (html.includes('data-consent="pending"') && "pending") ||
  (html.includes("data-footfall-event") && "marked") ||
  (/data-page-views="off"/.test(html) ? "silent" : "plain");

/** Run all scripts one after another on one page: what each of them had the tag warn of, and the page throw. */
const runAll = async (page) => {
  await page.evaluate(() => {
    window.warnings = [];
    window.footfall.watch((kind, what) => kind === "warning" && window.warnings.push(String(what)));
    addEventListener("error", ({ message }) => window.warnings.push(message));
  });
  await page.waitForFunction(() => window.footfall.status().consent); // it has begun: calls are carried out at once
  for (const [path, code] of Object.entries(scripts)) {
    await page.addScriptTag({ content: `{${code}}` });
    done[path] = { errors: await page.evaluate(() => window.warnings.splice(0)) };
  }
};

const tasks = Object.entries(pages).map(([path, html]) => async () => {
  const kind = kindOf(html);
  return [path, { kind, ...(await look(path, visits[kind])) }];
});
pages["/script"] = `<script defer src="https://t.example/footfall.js" data-write-key="${key}"></script>`;
tasks.push(async () => ["/script", await look("/script", runAll)]);

const done = {};
const work = async () => {
  for (let task = tasks.shift(); task; task = tasks.shift()) {
    const [path, told] = await task();
    done[path] = told;
  }
};
await Promise.all(Array.from({ length: AT_ONCE }, work));
await browser.close();
console.log(JSON.stringify(done));
