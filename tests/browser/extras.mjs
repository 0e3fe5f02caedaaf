/**
 * The extras in a real Chromium, played by driver.mjs. Most scenarios talk to a collector that records what it is sent and
 * answers as told; those that need the real one's word find it in `real`: {url, key}.
 */
import assert from "node:assert/strict";
import { named, stored } from "./extras_stored.mjs";

const STRICT =
  "default-src 'none'; script-src 'nonce-n1' 'strict-dynamic'; style-src 'none'; " +
  "require-trusted-types-for 'script'; trusted-types 'none'";

/** Put a tag with these attributes into the pages of a site. */
function dress(site, { endpoint, key = "key", ...attributes }) {
  const written = Object.entries({ "write-key": key, ...attributes }).map(([name, value]) => `data-${name}="${value}"`);
  const script = `<script defer nonce="n1" src="${endpoint}/footfall.js" ${written.join(" ")}></script>`;
  site.scripts = 0;
  site.head = `<link rel="icon" href="data:,">${script}`;
}

const facts = (collector, name) => named(collector, name).map(({ properties }) => properties);
const has = (collector, name) => () => facts(collector, name).length;

/** Ends a scenario that promises silence: whatever was to be sent before this event has arrived when it has. */
async function last(page, collector) {
  await page.evaluate(() => window.footfall.track("the_last"));
  await collector.until(has(collector, "the_last"), "the last event");
}

/** What the overlay shows, as one text. */
const overlay = (page) =>
  page.evaluate(() => document.querySelector("footfall-debug")?.shadowRoot.querySelector("section").innerText ?? "");
const saying = (page, text) =>
  page
    .waitForFunction(
      (wanted) =>
        document
          .querySelector("footfall-debug")
          ?.shadowRoot.querySelector("section")
          .textContent.replace(/\s+/g, " ")
          .includes(wanted),
      text,
      { timeout: 15_000 },
    )
    .catch(async () => {
      throw new Error(`the overlay does not say "${text}" but: ${await overlay(page)}`);
    });

export const whole = ["a page brought back from the back/forward cache is measured anew"];

export const scenarios = {
  // Web vitals

  "web vitals are told once each, with rating and target, and belong to the page that was loaded": async (world) => {
    const { collector, context, open, site } = world;
    dress(site, { endpoint: collector.origin, extras: "vitals" });
    site.bodies["/first"] =
      '<main><h1 id="hero" style="font-size:80px">A large headline, painted last</h1><button id="slow">Slow</button></main>';
    const page = await open("/first");
    await page.evaluate(() => {
      document.querySelector("#slow").addEventListener("click", () => {
        const until = performance.now() + 120;
        while (performance.now() < until);
      });
    });
    await collector.until(has(collector, "web_vital"), "the first vital");
    await page.click("#slow");
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50))));
    await page.evaluate(() => history.pushState({}, "", "/second"));
    await page.goto("about:blank");
    await collector.until(() => facts(collector, "web_vital").length >= 5, "all five vitals");
    const told = facts(collector, "web_vital");
    assert.deepEqual(told.map(({ name }) => name).sort(), ["CLS", "FCP", "INP", "LCP", "TTFB"]);
    const by = Object.fromEntries(told.map((vital) => [vital.name, vital]));
    assert.equal(by.LCP.target, "#hero");
    assert.equal(by.INP.target, "#slow");
    assert.ok(by.INP.value >= 100, `INP is ${by.INP.value}`);
    assert.ok(told.every(({ rating }) => /^(good|needs-improvement|poor)$/.test(rating)));
    assert.ok(told.every(({ navigation_type }) => navigation_type === "navigate"));
    const paths = named(collector, "web_vital").map(({ context: c }) => c.page.path);
    assert.deepEqual([...new Set(paths)], ["/first"]);
    assert.equal(context.pages().length, 1);
  },

  "a page brought back from the back/forward cache is measured anew": async ({ collector, open, site }) => {
    dress(site, { endpoint: collector.origin, extras: "vitals" });
    const page = await open("/first");
    await collector.until(has(collector, "web_vital"), "the first vital");
    await page.goto(`${site.origin}/second`);
    await page.evaluate(() => setTimeout(() => history.back()));
    const returned = () =>
      facts(collector, "web_vital").some(({ navigation_type }) => navigation_type === "back-forward-cache");
    await collector.until(returned, "a vital of the return");
  },

  // Errors

  "errors and rejections are told once each, without what stands in inputs": async ({
    collector,
    open,
    site,
    expect,
  }) => {
    dress(site, { endpoint: collector.origin, extras: "errors" });
    site.bodies["/first"] = '<input id="mail" value="ada@example.com"><textarea>my secret story</textarea>';
    expect(/cannot find|rejected softly|one more/);
    const page = await open("/first?token=abc");
    await loaded(page, "errors");
    await page.evaluate(() => {
      const fail = () => {
        throw new TypeError("cannot find ada@example.com in my secret story");
      };
      setTimeout(fail);
      setTimeout(fail);
      setTimeout(() => Promise.reject(new RangeError("rejected softly")));
      setTimeout(() => Promise.reject("rejected softly, a text"));
    });
    await collector.until(() => facts(collector, "error").length >= 3, "the errors");
    await last(page, collector);
    const told = facts(collector, "error");
    assert.equal(told.length, 3);
    const [first, second, third] = told;
    assert.equal(first.message, "Uncaught TypeError: cannot find [input] in [input]");
    assert.equal(first.kind, "error");
    assert.ok(first.line > 0 && first.column > 0);
    assert.ok(!/token=abc|ada@|secret/.test(JSON.stringify(told)), JSON.stringify(told));
    assert.match(first.stack, /TypeError/);
    assert.equal(second.message, "RangeError: rejected softly");
    assert.equal(second.kind, "unhandledrejection");
    assert.equal(third.message, "rejected softly, a text");
  },

  "at most ten errors a page view; the next view may tell ten more": async ({ collector, open, site, expect }) => {
    dress(site, { endpoint: collector.origin, extras: "errors" });
    expect(/number \d+/);
    const page = await open("/first");
    await loaded(page, "errors");
    const fail = (from) =>
      page.evaluate(async (start) => {
        for (let i = start; i < start + 30; i++) {
          setTimeout(() => {
            throw new Error(`number ${i}`);
          });
        }
        await new Promise((done) => setTimeout(done, 50));
      }, from);
    await fail(0);
    await page.evaluate(() => history.pushState({}, "", "/second"));
    await page.evaluate(() => new Promise((done) => setTimeout(done, 50)));
    await fail(100);
    await last(page, collector);
    const numbers = facts(collector, "error").map(({ message }) => Number(/\d+/.exec(message)[0]));
    assert.deepEqual(
      numbers.sort((a, b) => a - b), // those of one moment have no order
      [0, 100].flatMap((from) => Array.from({ length: 10 }, (_, i) => from + i)),
    );
  },

  "a script from elsewhere is marked as such; the tag's own failure makes no event": async (world) => {
    const { collector, open, site, elsewhere, expect } = world;
    dress(site, { endpoint: collector.origin, extras: "errors" });
    elsewhere.holds["/foreign.js"] = (response) => {
      response.writeHead(200, { "Content-Type": "text/javascript" }).end("throw new Error('secret of elsewhere')");
    };
    collector.answer = (number) => (number === 1 ? { status: 500 } : { status: 200 });
    expect(/Script error/i, /secret of elsewhere/);
    const page = await open("/first");
    await loaded(page, "errors");
    await page.evaluate((src) => {
      window.footfall.plugin((tag) =>
        tag.before(() => {
          throw new Error("a hook that throws");
        }),
      );
      window.footfall.plugin(() => {
        throw new Error("a plugin that throws");
      });
      document.body.append(Object.assign(document.createElement("script"), { src }));
    }, `${elsewhere.origin}/foreign.js`);
    await collector.until(has(collector, "error"), "the error");
    await last(page, collector);
    const told = facts(collector, "error");
    assert.equal(told.length, 1);
    assert.equal(told[0].kind, "cross_origin");
    assert.ok(!JSON.stringify(told).includes("secret"));
  },

  // Copy, print, hints

  "a copy is told by its length alone, and not from inputs or private parts; a print is told": async (world) => {
    const { collector, open, site } = world;
    dress(site, { endpoint: collector.origin, extras: "copy" });
    site.bodies["/first"] =
      '<p id="open">twelve chars</p><p id="private" data-footfall-private>hush</p><input id="field" value="typed words">';
    const page = await open("/first");
    await loaded(page, "copy");
    const copy = (id) =>
      page.evaluate((name) => {
        const element = document.getElementById(name);
        if (element.select) element.select();
        else getSelection().selectAllChildren(element);
        document.execCommand("copy");
      }, id);
    await copy("private");
    await copy("field");
    await copy("open");
    await page.evaluate(() => dispatchEvent(new Event("beforeprint")));
    await collector.until(has(collector, "print"), "the print");
    assert.deepEqual(facts(collector, "copy"), [{ length: 12 }]);
    assert.ok(!JSON.stringify(facts(collector, "copy")).includes("twelve"));
  },

  "client hints are on every event, the first page view included": async ({ collector, open, site }) => {
    dress(site, { endpoint: collector.origin, extras: "hints" });
    const page = await open("/first");
    await last(page, collector);
    const hinted = stored(collector).map(({ type, context }) => [
      type,
      Array.isArray(context.userAgentData?.fullVersionList),
    ]);
    assert.equal(hinted[0][0], "page");
    assert.ok(
      hinted.every(([, known]) => known),
      JSON.stringify(hinted),
    );
  },

  // Debug

  "the overlay opens under a strict policy and Trusted Types, and shows verdicts with reason, pointer and fix": async (
    world,
  ) => {
    const { collector, open, site } = world;
    dress(site, { endpoint: collector.origin });
    site.headers["Content-Security-Policy"] = `${STRICT}; connect-src ${collector.origin}`;
    const fix = "add currency, as in EUR";
    const missing = { reason: "missing_required", pointer: "/properties/currency", fix };
    collector.answer = (_, { body }) => {
      const verdicts = JSON.parse(body).batch.map(({ event }, index) =>
        event === "purchase"
          ? { index, event, outcome: "flagged", violations: [missing] }
          : { index, event, outcome: "accepted", violations: [] },
      );
      collector.reply = { accepted: verdicts.length, rejected: [], verdicts };
      return { status: 200 };
    };
    const page = await open("/first?footfall-debug");
    const said = [];
    page.on("console", (message) => said.push(message.text()));
    await page.evaluate(() => window.footfall.track("purchase", { value: 3 }));
    await saying(page, "purchase: accepted with flags");
    await saying(page, "missing_required: at /properties/currency: add currency, as in EUR");
    await saying(page, "page /first: accepted");
    assert.ok(
      collector.requests.every(({ url }) => url.startsWith("/v1/b?debug=1")),
      JSON.stringify(collector.requests.map(({ url }) => url)),
    );
    assert.ok(said.some((text) => text.includes("purchase: accepted with flags") && text.includes("add currency")));
    assert.equal(await page.evaluate(() => document.querySelectorAll("[style]").length), 0);
  },

  "the overlay is the keyboard's too: Tab, Enter and Escape work, and focus is never taken": async (world) => {
    const { collector, open, site } = world;
    dress(site, { endpoint: collector.origin, debug: "overlay" });
    site.bodies["/first"] = '<input id="field" autofocus>';
    const page = await open("/first");
    await saying(page, "page /first: accepted");
    assert.equal(await page.evaluate(() => document.activeElement.id), "field");
    const inside = () => page.evaluate(() => document.activeElement.shadowRoot?.activeElement?.localName ?? "");
    await page.keyboard.press("Tab");
    assert.equal(await inside(), "summary");
    await page.keyboard.press("Enter");
    const folded = () => page.evaluate(() => document.activeElement.shadowRoot.querySelector("details").open);
    assert.equal(await folded(), false);
    await page.keyboard.press("Enter");
    await page.keyboard.press("Tab");
    assert.equal(await inside(), "button");
    await page.keyboard.press("Escape");
    assert.equal(await page.evaluate(() => document.querySelector("footfall-debug")), null);
    await last(page, collector);
    assert.deepEqual(facts(collector, "click"), []);
  },

  "the overlay keeps fifty events, and a click in it is no event": async ({ collector, open, site }) => {
    dress(site, { endpoint: collector.origin, debug: "overlay" });
    const page = await open("/first");
    await saying(page, "page /first: accepted");
    await page.evaluate(() => {
      for (let i = 0; i < 120; i++) window.footfall.track(`number_${i}`);
    });
    await saying(page, "number_119: accepted");
    const rows = () =>
      page.evaluate(() => document.querySelector("footfall-debug").shadowRoot.querySelectorAll("ol > li").length);
    assert.equal(await rows(), 50);
    await page.locator("footfall-debug button", { hasText: "Clear" }).click();
    assert.equal(await rows(), 0);
    await last(page, collector);
    assert.deepEqual(facts(collector, "click"), []);
  },

  "what cannot be sent as it was given is said, with its place": async ({ collector, open, site }) => {
    dress(site, { endpoint: collector.origin, debug: "overlay" });
    const page = await open("/first");
    await saying(page, "page /first: accepted");
    await page.evaluate(() => {
      const cycle = { name: "c" };
      cycle.self = cycle;
      window.footfall.track("odd", {
        cycle,
        call: () => 1,
        big: 12345678901234567890n,
        long: "x".repeat(5000),
        node: document.body,
        half: "a\uD800b",
        fine: [1, { ok: true }],
        "sl/ash": Number.NaN,
      });
    });
    await saying(page, "odd: accepted");
    const text = (await overlay(page)).replace(/\s+/g, " ");
    for (const wanted of [
      "/properties/cycle/self left out: it contains itself",
      "/properties/call left out: a function cannot be sent",
      "/properties/big sent as text: JSON has no BigInt",
      "of its 5000 characters",
      '/properties/node sent as "BODY"',
      "/properties/half half a character",
      "/properties/sl~1ash left out: NaN",
    ]) {
      assert.ok(text.includes(wanted), `${wanted}\n${text}`);
    }
    assert.ok(!text.includes("/properties/fine"));
    const [odd] = facts(collector, "odd");
    assert.equal(odd.big, "12345678901234567890");
    assert.deepEqual(odd.fine, [1, { ok: true }]);
  },

  "a wrong key, a foreign origin, a wrong address and a busy collector are said in words": async (world) => {
    const { collector, open, site } = world;
    dress(site, { endpoint: collector.origin, debug: "overlay", key: "mistyped" });
    for (const [status, words] of [
      [401, 'The write key "mistyped" is not known to'],
      [403, "may not use the write key"],
      [404, "There is no collector at"],
      [503, "The collector is busy (status 503)"],
    ]) {
      collector.answer = () => ({ status });
      const page = await open("/first");
      await saying(page, words);
      await saying(page, `page /first: refused, status ${status}`);
      await page.evaluate(() => localStorage.clear());
      await page.close();
    }
  },

  "a policy that forbids the endpoint, and a request that fails without any answer, are told apart": async (world) => {
    const { collector, open, site } = world;
    dress(site, { endpoint: collector.origin, debug: "overlay" });
    site.headers["Content-Security-Policy"] = `${STRICT}; connect-src 'self'`;
    let page = await open("/first");
    await saying(
      page,
      `The page's Content-Security-Policy forbids requests to ${collector.origin}: add it to connect-src.`,
    );
    await page.evaluate(() => localStorage.clear());
    await page.close();
    site.headers = {};
    collector.answer = () => "cut";
    page = await open("/first");
    await saying(page, `The request to ${collector.origin} failed before any answer: an ad blocker`);
  },

  "pending and denied consent are said, with why nothing is sent": async ({ collector, open, site }) => {
    dress(site, { endpoint: collector.origin, debug: "overlay", consent: "pending" });
    const page = await open("/first");
    await saying(page, "Consent is pending: events wait in memory");
    await page.evaluate(() => window.footfall.consent("denied"));
    await saying(page, "Consent is denied: nothing is sent, because the visitor said so");
    await saying(page, "page /first: forgotten, as consent is denied");
    await page.evaluate(() => {
      window.footfall.consent("granted");
      window.footfall.track("agreed");
    });
    await saying(page, "agreed: accepted");
  },

  "a call that does not exist, a clock that is wrong and the plan's own verdict are said": async (world) => {
    const { collector, open, site } = world;
    dress(site, { endpoint: collector.origin, debug: "overlay" });
    collector.reply = { accepted: 1, rejected: [], received_at: new Date(Date.now() - 3_600_000).toISOString() };
    const page = await open("/first");
    await saying(page, "This device's clock is 60 minutes ahead");
    await page.evaluate(() => {
      window.footfallPlan = {
        check: ({ event }) =>
          event === "purchase" ? [{ reason: "wrong_type", pointer: "/properties/value", fix: "a number" }] : [],
      };
      window.footfall("track", "purchase", { value: "3" });
      window.footfall("trak", "purchase");
    });
    await saying(page, "plan: wrong_type: at /properties/value: a number");
    await saying(page, 'no call "trak"');
  },

  // Links between domains

  "a press on a link or form to a listed domain carries a token; other links carry none": async (world) => {
    const { collector, open, site, elsewhere } = world;
    const listed = elsewhere.origin.replace("127.0.0.1", "b.localhost");
    dress(site, { endpoint: collector.origin, "link-domains": "localhost" });
    collector.reply = { token: "tok+1/2", expires_in: 120 };
    site.bodies["/first"] =
      `<a id="listed" href="${listed}/landing?a=1#part"><b>there</b></a>` +
      `<a id="other" href="${elsewhere.origin}/other">elsewhere</a>` +
      `<form id="get" action="${listed}/got"><input name="q" value="x"><button>go</button></form>` +
      `<form id="post" method="post" action="${listed}/posted"><input name="q" value="x"><button>go</button></form>`;
    const visited = [];
    elsewhere.server.on("request", (request) => request.url.includes("favicon") || visited.push(request.url));
    const asked = () => collector.requests.filter(({ url }) => url === "/v1/link");
    const page = await open("/first");
    await loaded(page, "link");
    await page.hover("#other");
    await page.click("#other");
    await page.waitForURL(/other/);
    assert.equal(asked().length, 0);
    await page.goto(`${site.origin}/first`);
    await loaded(page, "link");
    for (const [press, url] of [
      ["#listed b", /landing/],
      ["#get button", /got/],
      ["#post button", /posted/],
    ]) {
      const answered = page.waitForResponse(/v1\/link/);
      await page.hover(press);
      await (await answered).finished();
      assert.equal(
        await page.getAttribute("#listed", "href"),
        `${listed}/landing?a=1#part`,
        "untouched before the press",
      );
      await page.click(press);
      await page.waitForURL(url);
      await page.goto(`${site.origin}/first`);
      await loaded(page, "link");
    }
    assert.deepEqual(visited, [
      "/other",
      "/landing?a=1&footfall_link=tok%2B1%2F2",
      "/got?q=x&footfall_link=tok%2B1%2F2",
      "/posted?footfall_link=tok%2B1%2F2",
    ]);
    const body = JSON.parse(asked()[0].body);
    assert.equal(body.writeKey, "key");
    assert.equal(body.anonymousId, stored(collector)[0].anonymousId);
    assert.match(asked()[0].headers["content-type"], /^text\/plain/);
  },

  "one token serves while it is valid; a keyboard's focus asks for it too": async ({
    collector,
    open,
    site,
    elsewhere,
  }) => {
    const listed = elsewhere.origin.replace("127.0.0.1", "b.localhost");
    dress(site, { endpoint: collector.origin, "link-domains": "b.localhost" });
    collector.reply = { token: "tok", expires_in: 120 };
    site.bodies["/first"] = `<a id="one" href="${listed}/one">one</a><a id="two" href="${listed}/two">two</a>`;
    const page = await open("/first");
    await loaded(page, "link");
    const answered = page.waitForResponse(/v1\/link/);
    await page.focus("#one");
    await (await answered).finished();
    for (const id of ["#two", "#one", "#two"]) await page.hover(id);
    await page.focus("#one");
    await page.keyboard.press("Enter");
    await page.waitForURL(/one\?footfall_link=tok/);
    assert.equal(collector.requests.filter(({ url }) => url === "/v1/link").length, 1);
  },

  "the collector's cookie goes when consent is denied; its opt-out silences the tag and keeps nothing": async (
    world,
  ) => {
    const { collector, context, site } = world;
    const here = site.origin.replace("127.0.0.1", "www.a.localhost");
    const id = "0191e0b4-8c3a-7e60-9f5e-0d6b3f1c2a77";
    const bake = (name, value) => context.addCookies([{ name, value, domain: ".a.localhost", path: "/" }]);
    // Asked of the page: what it writes reaches the browser's own list only a moment later.
    const names = () => page.evaluate(() => document.cookie.match(/[^=; ]+(?==)/g) ?? []);
    // As the collector answers the pages of its own origins; without that the tag falls back on the image.
    collector.answer = (_, { headers: { origin } }) => ({
      status: 200,
      headers: { "Access-Control-Allow-Origin": origin, "Access-Control-Allow-Credentials": "true" },
    });
    dress(site, { endpoint: collector.origin, cookie: "collector" });
    await bake("footfall_id", id);
    const page = await context.newPage();
    await page.goto(`${here}/first`);
    await page.waitForFunction((known) => window.footfall.status?.().visitor === known, id);
    await page.evaluate(() => window.footfall.consent("denied"));
    assert.deepEqual(await names(), []);
    await page.evaluate(() => window.footfall.consent("granted"));
    dress(site, { endpoint: collector.origin, "cookie-domain": ".a.localhost" });
    await bake("footfall_optout", "1");
    await page.goto(`${here}/second`);
    await page.waitForFunction(() => window.footfall.status?.().consent === "pending");
    await page.evaluate(() => window.footfall.track("refused"));
    assert.deepEqual(await names(), ["footfall_optout"]);
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
    await context.clearCookies({ name: "footfall_optout" });
    await page.goto(`${here}/third`);
    await page.evaluate(() => window.footfall.track("the_last"));
    await collector.until(has(collector, "the_last"), "the event after the opt-out was taken back");
    assert.deepEqual([collector.tracked.includes("refused"), collector.views.includes("/second")], [false, false]);
    assert.deepEqual(await names(), ["footfall_id"]);
  },

  "without consent, and without storage, no token is asked for": async ({ collector, open, site, elsewhere }) => {
    const listed = elsewhere.origin.replace("127.0.0.1", "b.localhost");
    site.bodies["/first"] = `<a id="listed" href="${listed}/landing">there</a>`;
    for (const attributes of [{ consent: "denied" }, { consent: "pending" }, { storage: "none" }]) {
      dress(site, { endpoint: collector.origin, "link-domains": "b.localhost", ...attributes });
      const page = await open("/first");
      await loaded(page, "link");
      await page.hover("#listed");
      await page.click("#listed");
      await page.waitForURL(`${listed}/landing`);
      await page.close();
    }
    assert.deepEqual(
      collector.requests.filter(({ url }) => url.startsWith("/v1/link")),
      [],
    );
  },

  "real: a visitor followed to another domain keeps the id, and one page view is counted there": async (world) => {
    const { real, site, elsewhere, context } = world;
    const there = elsewhere.origin.replace("127.0.0.1", "b.localhost");
    const here = site.origin.replace("127.0.0.1", "a.localhost");
    const shared = { endpoint: real.url, key: real.key, "link-domains": "a.localhost b.localhost" };
    dress(site, shared);
    dress(elsewhere, shared);
    site.bodies["/first"] = `<a id="listed" href="${there}/landing?a=1">there</a>`;
    const page = await context.newPage();
    await page.goto(`${here}/first`);
    await loaded(page, "link");
    const visitor = await page.evaluate(() => window.footfall.status().visitor);
    const answered = page.waitForResponse(/v1\/link/);
    await page.hover("#listed");
    assert.equal((await answered).status(), 200);
    await (await answered).finished();
    const sent = page.waitForRequest(
      (request) => request.url().includes("/v1/b") && request.postData().includes("/landing"),
    );
    await page.click("#listed");
    await page.waitForURL(`${there}/landing?a=1`);
    const batch = JSON.parse((await sent).postData());
    const arrival = batch.batch.find(({ type }) => type === "page");
    assert.equal(arrival.anonymousId, visitor);
    assert.equal(arrival.properties.url, `${there}/landing?a=1`);
    assert.equal(await page.evaluate(() => window.footfall.status().visitor), visitor);
    await page.evaluate(() => window.footfall.track("the_last"));
    await page.waitForFunction(() => {
      const { queued, sent: count } = window.footfall.status();
      return count >= 2 && !queued;
    });
    assert.equal(batch.batch.filter(({ type }) => type === "page").length, 1);
    return { visitor };
  },

  "real: a forged token, and one from an unlisted page, change no id and leave the address clean": async (world) => {
    const { real, site, elsewhere, context } = world;
    const here = site.origin.replace("127.0.0.1", "a.localhost");
    const there = elsewhere.origin.replace("127.0.0.1", "b.localhost");
    dress(elsewhere, { endpoint: real.url, key: real.key, "link-domains": "a.localhost", debug: "overlay" });
    site.scripts = 0;
    site.bodies["/first"] = `<a id="forged" href="${there}/landing?footfall_link=forged">there</a>`;
    const page = await context.newPage();
    await page.goto(`${here}/first`);
    await page.click("#forged");
    await page.waitForURL(`${there}/landing`);
    await saying(page, "footfall_link ignored: Error:");
    const visitor = await page.evaluate(() => window.footfall.status().visitor);
    await page.goto(`${site.origin}/first`); // 127.0.0.1 is not on the list
    await page.click("#forged");
    await page.waitForURL(`${there}/landing`);
    await saying(page, "footfall_link ignored: the page before is 127.0.0.1");
    assert.equal(await page.evaluate(() => window.footfall.status().visitor), visitor);
  },

  "real: the collector's own verdict, reason and fix are in the overlay": async ({ real, site, open }) => {
    dress(site, { endpoint: real.url, key: real.key, debug: "overlay" });
    const page = await open("/first");
    await page.evaluate(() => window.footfall.track("purchase", { value: "free", currency: "EUR" }));
    await saying(page, "page /first: accepted");
    await saying(page, "/properties/value");
    await saying(page, "wrong_type");
  },

  "real: a wrong key is said in words": async ({ real, site, open }) => {
    dress(site, { endpoint: real.url, key: "mistyped", debug: "overlay" });
    const page = await open("/first");
    await saying(page, 'The write key "mistyped" is not known to');
  },
};

/** Until an extra runs: its module has been fetched, and what it did at once is done. */
async function loaded(page, name) {
  const file = `footfall.${name}.js`;
  const fetched = await page.waitForFunction(
    (end) =>
      performance.getEntriesByType("resource").find((entry) => entry.name.endsWith(end) && entry.responseEnd)?.name,
    file,
  );
  // A module that is already there is given to the next import of it, after the tag's own.
  await page.evaluate((address) => import(address).then(() => {}), await fetched.jsonValue());
}
