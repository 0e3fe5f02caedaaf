/**
 * One behaviour each; the name is the promise. A scenario acts as a visitor or a page would and asserts on what the
 * collector received. Numbers in brackets are those of the checks the project counts for every tag.
 */
import assert from "node:assert/strict";
import { visit } from "./chromium.mjs";

const track = (page, name, properties) => page.evaluate(([n, p]) => window.footfall("track", n, p), [name, properties]);
const has =
  (collector, ...names) =>
  () =>
    names.every((name) => collector.tracked.includes(name));
const numbered = (prefix, count) => Array.from({ length: count }, (_, i) => `${prefix}_${i}`);

/** Ends a scenario that promises silence: whatever was to be sent before this event has arrived when it has. */
async function last(page, collector) {
  await track(page, "the_last");
  await collector.until(has(collector, "the_last"), "the last event");
}

export const whole = ["a page brought back from the back/forward cache counts again (9)"];

export const scenarios = {
  // Navigation

  "one page view on load, promptly and whole (1)": async ({ collector, site, open }) => {
    await open("/first?utm_source=mail#part");
    await collector.until(() => collector.views.length, "the page view", 5000);
    const batch = JSON.parse(collector.requests[0].body);
    const [event] = batch.batch;
    assert.equal(batch.writeKey, "key");
    assert.match(batch.sentAt, /^\d{4}-\d\d-\d\dT[\d:.]+Z$/);
    assert.deepEqual(batch.context.library, { name: "footfall.js", version: "0.1.0" });
    assert.equal(batch.context.locale, "en-US");
    assert.deepEqual(Object.keys(batch.context.screen), ["width", "height", "innerWidth", "innerHeight", "density"]);
    assert.equal(event.type, "page");
    assert.match(event.messageId, /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
    assert.match(event.anonymousId, /^[\da-f-]{36}$/);
    assert.equal(event.sequence, 1);
    assert.ok(Math.abs(Date.parse(event.timestamp) - Date.now()) < 10_000);
    assert.deepEqual(event.properties, {
      url: `${site.origin}/first?utm_source=mail`,
      path: "/first",
      referrer: "",
      search: "?utm_source=mail",
      title: "Page /first",
    });
    assert.deepEqual(event.context.page, event.properties);
  },

  "pushState counts a view with the previous address as referrer (2, 12)": async ({ collector, site, open }) => {
    const page = await open("/first");
    await page.evaluate(() => history.pushState({}, "", "/second"));
    await collector.until(() => collector.views.length === 2, "the second view");
    assert.deepEqual(collector.views, ["/first", "/second"]);
    assert.equal(collector.stored.at(-1).properties.referrer, `${site.origin}/first`);
  },

  "replaceState to another address counts a view (3)": async ({ collector, open }) => {
    const page = await open("/first");
    await page.evaluate(() => history.replaceState({}, "", "/second"));
    await collector.until(() => collector.views.length === 2, "the second view");
    assert.deepEqual(collector.views, ["/first", "/second"]);
  },

  "back and forward within a page count views (4)": async ({ collector, open }) => {
    const page = await open("/first");
    await page.evaluate(() => history.pushState({}, "", "/second"));
    await page.goBack();
    await collector.until(() => collector.views.length === 3, "the view after back");
    await page.goForward();
    await collector.until(() => collector.views.length === 4, "the view after forward");
    assert.deepEqual(collector.views, ["/first", "/second", "/first", "/second"]);
  },

  "the same address pushed or replaced again adds no view (5)": async ({ collector, open }) => {
    const page = await open("/first");
    await page.evaluate(() => {
      history.pushState({ a: 1 }, "", "/first");
      history.replaceState({ a: 2 }, "", location.href);
    });
    await last(page, collector);
    assert.deepEqual(collector.views, ["/first"]);
  },

  "a change of the query alone counts a view (6)": async ({ collector, open }) => {
    const page = await open("/first");
    await page.evaluate(() => history.pushState({}, "", "/first?sort=price"));
    await collector.until(() => collector.views.length === 2, "the second view");
    assert.deepEqual(collector.views, ["/first", "/first?sort=price"]);
  },

  "a jump to an anchor adds no view (8)": async ({ collector, site, open }) => {
    site.bodies["/first"] = '<a id="jump" href="#part">jump</a><h2 id="part">Part</h2>';
    const page = await open("/first");
    await page.click("#jump");
    await last(page, collector);
    assert.deepEqual(collector.views, ["/first"]);
  },

  "a page brought back from the back/forward cache counts again (9)": async ({ collector, site, open }) => {
    const page = await open("/first");
    await page.goto(`${site.origin}/second`);
    await collector.until(() => collector.views.length === 2, "the second view");
    await page.evaluate(() => setTimeout(() => history.back()));
    await collector.until(() => collector.views.length === 3, "the view after the return");
    assert.deepEqual(collector.views, ["/first", "/second", "/first"]);
    assert.ok(collector.stored.at(-1).sequence > 1, "the page was loaded anew, not brought back");
  },

  "a router that pushes and then replaces counts one view, of the final address and title": async ({
    collector,
    open,
  }) => {
    const page = await open("/first");
    await page.evaluate(() => {
      history.pushState({}, "", "/loading");
      history.replaceState({}, "", "/second");
      document.title = "Second";
    });
    await last(page, collector);
    assert.deepEqual(collector.views, ["/first", "/second"]);
    assert.equal(collector.stored.findLast(({ type }) => type === "page").properties.title, "Second");
  },

  "an event tracked right after a push comes after the view of the new page": async ({ collector, open }) => {
    const page = await open("/first");
    await page.evaluate(() => {
      history.pushState({}, "", "/second");
      window.footfall.track("arrived");
    });
    await collector.until(has(collector, "arrived"), "the event");
    // On a slow machine the first page was looked at for long enough to tell so.
    const events = collector.stored.filter(({ event }) => event !== "engagement");
    assert.deepEqual(
      events.map(({ type, event, context }) => [event ?? type, context.page.path]),
      [
        ["page", "/first"],
        ["page", "/second"],
        ["arrived", "/second"],
      ],
    );
    const sequence = collector.stored.map((event) => event.sequence);
    assert.deepEqual(
      sequence,
      sequence.map((_, i) => i + 1),
    );
  },

  "a page view the site tells itself is not told twice": async ({ collector, site, open }) => {
    const page = await open("/first");
    await page.evaluate(() => {
      history.pushState({}, "", "/second");
      window.footfall.page("Second", { page_type: "product" });
    });
    await last(page, collector);
    assert.deepEqual(collector.views, ["/first", "/second"]);
    const { name, properties } = collector.stored.findLast(({ type }) => type === "page");
    assert.deepEqual([name, properties.page_type, properties.referrer], ["Second", "product", `${site.origin}/first`]);
  },

  "data-page-views=off leaves counting to the site": async ({ collector, site, open }) => {
    site.attributes = 'data-page-views="off"';
    const page = await open("/first");
    await page.evaluate(() => history.pushState({}, "", "/second"));
    await last(page, collector);
    assert.deepEqual(collector.views, []);
  },

  "a prerendered page counts when it is shown and not before (10)": async ({ collector, site }) => {
    // The pages drive themselves: the first asks for the second to be prerendered, and goes there when told to.
    site.bodies["/first"] =
      '<script type="speculationrules">{"prerender":[{"source":"list","urls":["/next"],"eagerness":"immediate"}]}</script>' +
      "<script>fetch('/go').then(() => { location.href = '/next' })</script>";
    site.bodies["/next"] =
      "<script>footfall = { q: [['track', 'early', { prerendering: document.prerendering }]] }; onload = () => fetch('/ready')</script>";
    const waiting = {};
    const asked = (path) => new Promise((resolve) => (waiting[path] = resolve));
    const both = Promise.all([asked("/ready"), asked("/go")]);
    let loads = 0;
    site.server.prependListener("request", ({ url }) => {
      loads += url === "/next";
    });
    site.holds["/ready"] = (response) => waiting["/ready"](response);
    site.holds["/go"] = (response) => waiting["/go"](response);
    const close = visit(`${site.origin}/first`);
    try {
      const [ready, go] = await both;
      await collector.until(() => collector.views.length, "the first view");
      assert.ok(!JSON.stringify(collector.requests).includes("/next"), "the unseen page sent something");
      ready.end();
      go.end();
      await collector.until(() => collector.views.length === 2, "the view of the page now shown");
    } finally {
      await close();
    }
    assert.deepEqual([collector.views, loads], [["/first", "/next"], 1]);
    assert.deepEqual(collector.stored.find(({ event }) => event === "early").properties, { prerendering: true });
  },

  // Clicks

  "a marked element sends its event with its properties, and no click": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<div data-footfall-event="plan_chosen" data-footfall-prop-plan-name="pro" data-footfall-prop-seats="5" ' +
      'data-footfall-prop-trial="true"><button id="go"><b>Choose</b></button></div>';
    const page = await open();
    await page.click("b");
    await last(page, collector);
    // The button does nothing, which a slow machine may have told by now.
    assert.deepEqual(
      collector.tracked.filter((name) => name !== "dead_click"),
      ["plan_chosen", "the_last"],
    );
    assert.deepEqual(collector.stored[1].properties, { plan_name: "pro", seats: 5, trial: true });
  },

  "a click on a link or button is described, through children and SVG (22, 23)": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<nav id="menu"><button>One</button><button aria-label="Close  menu"><svg width="20" height="20"><path d="M0 0h20v20z"/></svg></button></nav>' +
      '<p><a href="#x" id="help-link" role="tab">Get <i>help</i></a></p>';
    const page = await open();
    await page.click("svg");
    await page.click("i");
    await page.click("p", { position: { x: 300, y: 2 } });
    await last(page, collector);
    // The button does nothing, which a slow machine may have told by now.
    const events = collector.stored.filter(({ event }) => event !== "dead_click");
    assert.deepEqual(
      events.map(({ type, event }) => event ?? type),
      ["page", "click", "click", "the_last"],
    );
    const [, close, help] = events.map(({ properties: { x, y, ...rest } }) => rest);
    assert.deepEqual(close, {
      element_id: "",
      element_role: "button",
      element_name: "Close menu",
      selector: "#menu > button:nth-child(2)",
    });
    assert.deepEqual(help, {
      element_id: "help-link",
      element_role: "tab",
      element_name: "Get help",
      href: `${site.origin}/`,
      selector: "#help-link",
    });
  },

  "a click inside an open shadow root is heard (30)": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<div id="host"><template shadowrootmode="open"><button data-footfall-event="inside">in</button></template></div>';
    const page = await open();
    await page.click("#host button");
    await collector.until(has(collector, "inside"), "the click");
  },

  "nothing of a private part and no typed value is ever sent": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<div data-footfall-private><button id="a">secret-one</button><button id="b" data-footfall-event="secret_two">b</button></div>' +
      '<button id="c">Hello <span data-footfall-private>secret-three</span></button>' +
      '<form><input id="d" value="secret-four"><input id="e" type="submit" value="secret-five" formaction="#"></form>' +
      '<div contenteditable><a id="f" href="#y">secret-six</a></div>';
    const page = await open();
    await page.fill("#d", "secret-seven");
    for (const id of "abcdf") await page.click(`#${id}`, { position: { x: 4, y: 4 } });
    await page.evaluate(() => document.querySelector("form").addEventListener("submit", (e) => e.preventDefault()));
    await page.click("#e");
    await last(page, collector);
    const ids = collector.stored
      .filter(({ event }) => event === "click")
      .map(({ properties }) => properties.element_id);
    assert.deepEqual(ids, ["c", "f", "e"]);
    assert.ok(!JSON.stringify(collector.requests).includes("secret"));
  },

  "a click that the page stops and swallows is still heard": async ({ collector, site, open }) => {
    site.bodies["/"] = '<button data-footfall-event="heard">x</button>';
    const page = await open();
    await page.evaluate(() => {
      const swallow = (event) => {
        event.stopImmediatePropagation();
        event.preventDefault();
      };
      document.querySelector("button").addEventListener("click", swallow, true);
    });
    await page.click("button");
    await collector.until(has(collector, "heard"), "the click");
  },

  "a click on a link that leaves the page arrives (28)": async ({ collector, site, open }) => {
    site.bodies["/"] = '<a id="away" href="/away">Away</a>';
    const page = await open();
    await page.click("#away");
    await collector.until(
      () => collector.tracked.includes("click") && collector.views.includes("/away"),
      "click and view",
    );
    assert.equal(collector.stored.find(({ event }) => event === "click").context.page.path, "/");
  },

  "data-clicks=off hears no click": async ({ collector, site, open }) => {
    site.attributes = 'data-clicks="off"';
    site.bodies["/"] = '<button data-footfall-event="marked">x</button>';
    const page = await open();
    await page.click("button");
    await last(page, collector);
    assert.deepEqual(collector.tracked, ["the_last"]);
  },

  // Calls

  "calls made before the script came are kept, in order (42)": async ({ collector, site, open }) => {
    site.head =
      "<script>window.footfall = window.footfall || function(){(footfall.q = footfall.q || []).push(arguments)};" +
      "var held = footfall; footfall('track', 'a', {n: 1}); footfall('identify', 'u1', {plan: 'pro'}); footfall('track', 'b')</script>";
    const page = await open();
    await page.evaluate(() => window.held("track", "c"));
    await collector.until(has(collector, "c"), "the last call");
    const order = collector.stored.map(({ type, event, userId }) => [event ?? type, userId]);
    assert.deepEqual(order, [
      ["page", undefined],
      ["a", undefined],
      ["identify", "u1"],
      ["b", "u1"],
      ["c", "u1"],
    ]);
    assert.deepEqual(collector.stored[2].traits, { plan: "pro" });
  },

  "a script that is there twice counts once": async ({ collector, site, open }) => {
    site.scripts = 2;
    const page = await open();
    await last(page, collector);
    assert.deepEqual(collector.views, ["/"]);
  },

  "identify, group and alias hold on the next page, reset forgets them all (49)": async ({ collector, site, open }) => {
    const page = await open("/first");
    await page.evaluate(() => {
      window.footfall("identify", "ann", { plan: "pro" });
      window.footfall("group", "acme", { seats: 3 });
      window.footfall("alias", "ann@2");
    });
    await page.goto(`${site.origin}/second`);
    await collector.until(() => collector.views.length === 2, "the second view");
    await page.evaluate(() => {
      window.footfall.alias(); // nobody's id: the user stays
      window.footfall.track("as_before");
      window.footfall.reset();
      window.footfall.track("as_nobody");
    });
    await collector.until(has(collector, "as_nobody"), "the last event");
    const of = (kind) => collector.stored.find(({ type, event }) => (event ?? type) === kind);
    assert.deepEqual([of("group").groupId, of("group").traits], ["acme", { seats: 3 }]);
    assert.deepEqual([of("alias").previousId, of("alias").userId], ["ann", "ann@2"]);
    const second = collector.stored.find(({ type, properties }) => type === "page" && properties.path === "/second");
    assert.deepEqual([second.userId, second.groupId, second.anonymousId], ["ann@2", "acme", of("group").anonymousId]);
    assert.equal(of("as_before").userId, "ann@2");
    assert.deepEqual([of("as_nobody").userId, of("as_nobody").groupId], [undefined, undefined]);
    assert.notEqual(of("as_nobody").anonymousId, second.anonymousId);
  },

  "odd properties never throw, and what can be kept is sent": async ({ collector, open }) => {
    const page = await open();
    await page.evaluate(() => {
      const cycle = { name: "ring" };
      cycle.self = cycle;
      Array.prototype.toJSON = () => "broken by the page";
      const odd = {
        cycle,
        big: 12n,
        node: document.body,
        fn: () => 1,
        nan: Number.NaN,
        lone: "a\ud800b",
        list: [1, undefined],
      };
      Object.defineProperty(odd, "trap", { enumerable: true, get: () => decodeURIComponent("%") });
      window.footfall("track", "odd", odd);
      window.footfall("track", "huge", { text: "x".repeat(100_000), after: 1 });
      window.footfall("nonsense");
      window.footfall("track");
      window.footfall("track", "no_options", null, null);
      window.footfall("identify", null);
      window.footfall("page", null, null);
    });
    await collector.until(has(collector, "odd", "huge", "", "no_options"), "the events");
    const of = (name) => collector.stored.find(({ event }) => event === name).properties;
    assert.deepEqual(of("odd"), {
      cycle: { name: "ring" },
      big: "12",
      node: "BODY",
      lone: "a\ufffdb",
      list: [1, null],
    });
    assert.match(of("huge").text, /^x{3000,4096}$/);
    assert.equal(of("huge").after, 1);
  },

  "a symbol for a name throws nothing into the page, is said to developers, and what follows is sent": async ({
    collector,
    open,
  }) => {
    const page = await open();
    await collector.until(() => collector.views.length, "the page view");
    const said = await page.evaluate(() => {
      const warnings = [];
      window.footfall.watch((kind, what) => kind === "warning" && warnings.push(`${what[0]}`));
      window.footfall("track", Symbol("x"), { after: 1 });
      window.footfall.track(Symbol("y"));
      window.footfall("page", Symbol("p"), { kept: 1 });
      window.footfall("track", "value", { symbol: Symbol("v"), kept: 1 });
      return warnings;
    });
    await last(page, collector);
    assert.equal(said.length, 2, said.join());
    for (const warning of said) assert.match(warning, /symbol/i);
    assert.deepEqual(collector.tracked, ["value", "the_last"]);
    assert.deepEqual(collector.stored.find(({ event }) => event === "value").properties, { kept: 1 });
    assert.equal(collector.views.length, 2);
  },

  "denied storage costs nothing but memory (40)": async ({ collector, context, open }) => {
    await context.addInitScript(() => {
      Object.defineProperty(window, "localStorage", { get: () => decodeURIComponent("%") });
    });
    const page = await open();
    await track(page, "one");
    await track(page, "two");
    await collector.until(has(collector, "one", "two"), "the events");
    assert.equal(new Set(collector.stored.map(({ anonymousId }) => anonymousId)).size, 1);
  },

  "a strict content security policy with Trusted Types is kept (52)": async ({ collector, site, open }) => {
    site.headers["Content-Security-Policy"] =
      `default-src 'none'; script-src ${collector.origin}; connect-src ${collector.origin}; ` +
      "require-trusted-types-for 'script'; trusted-types 'none'";
    const page = await open();
    await track(page, "one");
    await collector.until(has(collector, "one"), "the event");
  },

  // Delivery

  "no request asks for permission first, carries credentials or a header of ours (41)": async ({ collector, open }) => {
    const page = await open();
    await last(page, collector);
    for (const { method, headers, url } of collector.requests) {
      assert.deepEqual([method, url, headers["content-type"]], ["POST", "/v1/b", "text/plain;charset=UTF-8"]);
      assert.deepEqual([headers.cookie, headers.authorization], [undefined, undefined]);
    }
  },

  "events tracked while the collector answers 503 arrive when it recovers (35)": async ({ collector, open }) => {
    collector.answer = () => ({ status: 503 });
    const page = await open();
    for (const name of numbered("e", 5)) await track(page, name);
    await collector.until(() => collector.requests.length >= 2, "a second attempt");
    collector.answer = () => ({ status: 200 });
    await collector.until(has(collector, ...numbered("e", 5)), "the events");
    assert.equal(collector.copies.length, 6);
    const gaps = collector.requests.slice(1).map(({ at }, i) => at - collector.requests[i].at);
    assert.ok(Math.min(...gaps) >= 500, `attempts came ${gaps} ms after one another`);
  },

  "Retry-After is obeyed, by the next page too": async ({ collector, site, open }) => {
    collector.answer = (number) => (number === 1 ? { status: 429, headers: { "Retry-After": "3" } } : { status: 200 });
    const page = await open("/first");
    await collector.until(() => collector.requests.length === 1, "the first attempt");
    await page.waitForFunction(() => localStorage.getItem("footfall_wait"));
    await page.goto(`${site.origin}/second`);
    await collector.until(() => collector.views.length === 2, "both views");
    const [first, second] = collector.requests;
    assert.ok(second.at - first.at >= 3000, `tried again after ${second.at - first.at} ms`);
    assert.deepEqual(collector.views, ["/first", "/second"]);
  },

  "a refused key loses nothing": async ({ collector, open }) => {
    collector.answer = (number) => ({ status: number < 3 ? 401 : 200 });
    const page = await open();
    await last(page, collector);
    assert.deepEqual([collector.views, collector.tracked], [["/"], ["the_last"]]);
  },

  "an answer that is cut off is no delivery": async ({ collector, open }) => {
    collector.answer = (number) => (number < 3 ? "cut" : { status: 200 });
    const page = await open();
    await last(page, collector);
    assert.deepEqual([collector.views, collector.tracked], [["/"], ["the_last"]]);
  },

  "events tracked offline arrive as soon as the network is back (36)": async ({ collector, context, open }) => {
    const page = await open();
    await collector.until(() => collector.views.length, "the page view");
    await context.setOffline(true);
    for (const name of numbered("e", 5)) await track(page, name);
    for (let failure = 1; failure <= 4; failure++) await page.waitForEvent("requestfailed");
    assert.deepEqual(collector.tracked, []);
    await context.setOffline(false);
    // By its own patience the tag would now wait four to eight seconds.
    await collector.until(has(collector, ...numbered("e", 5)), "the events", 3000);
  },

  "an event tracked in the moment of a crash is sent by a later page": async ({ collector, context, open }) => {
    collector.answer = () => "cut";
    const page = await open();
    await collector.until(() => collector.requests.length, "an attempt");
    await track(page, "the_crash");
    const crashed = page.waitForEvent("crash");
    const session = await context.newCDPSession(page);
    session.send("Page.crash").catch(() => {}); // nobody is left to answer
    await crashed;
    await page.close();
    collector.answer = () => ({ status: 200 });
    // A minute later, when the lease of the page that is gone has ended.
    await context.addInitScript(() => {
      const { now } = Date;
      Date.now = () => now() + 60_000;
    });
    await open("/later");
    await collector.until(has(collector, "the_crash"), "the event");
  },

  "an event tracked right before the tab is closed arrives (34)": async ({ collector, open }) => {
    for (const name of numbered("closing", 6)) {
      const page = await open(`/${name}`);
      await track(page, name);
      await page.close();
    }
    await collector.until(has(collector, ...numbered("closing", 6)), "the events");
  },

  "a request goes on when its page is gone: it follows a redirect that comes later": async ({ collector, open }) => {
    const page = await open();
    await collector.until(() => collector.views.length, "the page view");
    let redirect;
    const asked = new Promise((resolve) => {
      collector.answer = (_, { url }) => {
        if (url !== "/v1/b" || redirect) return { status: 200 };
        resolve();
        return new Promise((answer) => {
          redirect = () => answer({ status: 307, headers: { Location: "/elsewhere" } });
        });
      };
    });
    await track(page, "closing");
    await asked;
    await page.close();
    redirect();
    await collector.until(has(collector, "closing"), "the event");
  },

  "an event tracked right before leaving for another site arrives (33)": async ({ collector, open }) => {
    const page = await open();
    await page.evaluate(() => {
      window.footfall("track", "left");
      location.href = "about:blank";
    });
    await collector.until(has(collector, "left"), "the event");
  },

  "what a closed page could not send, the next page sends once (37)": async ({ collector, open }) => {
    collector.answer = () => ({ status: 503 });
    const page = await open("/first");
    for (const name of numbered("e", 3)) await track(page, name);
    await collector.until(() => collector.requests.length, "an attempt");
    await page.waitForFunction(() => localStorage.getItem("footfall_wait"));
    await page.close();
    collector.answer = () => ({ status: 200 });
    const next = await open("/second");
    await collector.until(has(collector, ...numbered("e", 3)), "the events of the closed page");
    await last(next, collector);
    assert.equal(collector.copies.length, collector.stored.length);
    assert.deepEqual([...collector.views].sort(), ["/first", "/second"]);
  },

  "what a reloaded page could not send, it sends after the reload": async ({ collector, open }) => {
    collector.answer = () => "cut";
    const page = await open();
    for (const name of numbered("e", 3)) await track(page, name);
    await collector.until(() => collector.requests.length, "an attempt");
    collector.answer = () => ({ status: 200 });
    await page.reload();
    await collector.until(has(collector, ...numbered("e", 3)), "the events");
    await collector.until(() => collector.views.length === 2, "the view after the reload");
  },

  "delivered events leave nothing on disk": async ({ collector, open }) => {
    const page = await open();
    await last(page, collector);
    await page.waitForFunction(() => !Object.keys(localStorage).some((key) => key.startsWith("footfall_queue")));
  },

  "two tabs lose nothing and agree who the visitor is (38, 50)": async ({ collector, open }) => {
    collector.answer = (number) => ({ status: number % 2 ? 503 : 200 });
    const one = await open("/one");
    await collector.until(() => collector.requests.length, "the first attempt");
    const two = await open("/two");
    for (const i of Array(10).keys()) {
      await track(one, `one_${i}`);
      await track(two, `two_${i}`);
    }
    await two.close();
    await collector.until(has(collector, ...numbered("one", 10), ...numbered("two", 10)), "the events of both", 30_000);
    assert.equal(new Set(collector.stored.map(({ anonymousId }) => anonymousId)).size, 1);
    assert.deepEqual([...collector.views].sort(), ["/one", "/two"]);
  },

  "200 events of one moment arrive once each, in order": async ({ collector, open }) => {
    const page = await open();
    await page.evaluate(() => {
      for (let i = 0; i < 200; i++) window.footfall("track", `e_${i}`);
    });
    await collector.until(() => collector.tracked.length === 200, "all events");
    assert.deepEqual(collector.tracked, numbered("e", 200));
    assert.equal(collector.copies.length, 201);
  },

  "more than 64 KiB is split so that each part may outlive the page (39)": async ({ collector, open }) => {
    const page = await open();
    await page.evaluate(() => {
      for (let i = 0; i < 30; i++) window.footfall("track", `e_${i}`, { text: "ä".repeat(4000) });
    });
    await collector.until(has(collector, ...numbered("e", 30)), "all events");
    for (const { body } of collector.requests) assert.ok(Buffer.byteLength(body) <= 60 * 1024, "a part is over 60 KiB");
  },

  "413 is met with smaller batches": async ({ collector, open }) => {
    collector.answer = (_, { body }) => ({ status: JSON.parse(body).batch.length > 6 ? 413 : 200 });
    const page = await open();
    await page.evaluate(() => {
      for (let i = 0; i < 10; i++) window.footfall("track", `e_${i}`);
    });
    await collector.until(has(collector, ...numbered("e", 10)), "all events", 30_000);
  },

  "the time zone is told once the visitor has moved, and kept for later pages": async ({ collector, site, open }) => {
    const page = await open();
    await page.waitForFunction(() => {
      dispatchEvent(new Event("pointermove"));
      return Object.keys(localStorage).some((key) => key.startsWith("footfall_zone"));
    });
    await page.goto(`${site.origin}/second`);
    await collector.until(() => collector.views.length === 2, "the second view");
    const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
    assert.equal(JSON.parse(collector.requests.at(-1).body).context.timezone, zone);
  },

  // Start

  "an event tracked before the first frame, on a page that leaves at once, arrives": async ({
    collector,
    site,
    context,
  }) => {
    site.head =
      "<script>window.footfall = function(){(footfall.q = footfall.q || []).push(arguments)};" +
      "footfall('track', 'hasty'); addEventListener('DOMContentLoaded', () => { location.href = 'about:blank' })</script>";
    const page = await context.newPage();
    await page.goto(`${site.origin}/first`).catch(() => {}); // it is elsewhere already
    await collector.until(has(collector, "hasty"), "the event");
    assert.deepEqual(collector.views, ["/first"]);
  },

  "a page opened in a background tab is told when it is looked at, with what it did": async ({
    collector,
    site,
    context,
  }) => {
    // Chromium under a driver takes every tab for visible: the page is told otherwise, and gets no frames.
    await context.addInitScript(() => {
      const frames = [];
      window.look = () => frames.forEach((frame) => void frame());
      window.requestAnimationFrame = (frame) => frames.push(frame);
    });
    const page = await context.newPage();
    await page.goto(`${site.origin}/first`);
    await page.waitForFunction(() => window.footfall?.version);
    await track(page, "unseen");
    await page.waitForTimeout(1500); // longer than a batch waits: nothing may come
    assert.equal(collector.requests.length, 0);
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
    await page.evaluate(() => window.look());
    await collector.until(has(collector, "unseen"), "the event");
    assert.deepEqual(collector.views, ["/first"]);
  },

  "without a write key the tag waits for init": async ({ collector, site, open }) => {
    site.snippet = `<script defer src="${collector.origin}/footfall.js"></script>`;
    const page = await open();
    await track(page, "early");
    await page.evaluate(() => window.footfall("init", { writeKey: "late", pageViews: false }));
    await collector.until(has(collector, "early"), "the event");
    assert.equal(JSON.parse(collector.requests[0].body).writeKey, "late");
    assert.deepEqual(collector.views, []);
  },

  "the module of the package sends what the script does": async ({ collector, site, context }) => {
    site.snippet =
      `<script type="module">import { autocapture, footfall, init, track } from "${collector.origin}/index.js";` +
      `window.tag = footfall; init({ writeKey: "npm", endpoint: "${collector.origin}", plugins: [autocapture] }); track("from_module", { a: 1 })</script>`;
    site.bodies["/"] = '<button data-footfall-event="pressed">x</button>';
    const page = await context.newPage();
    await page.goto(`${site.origin}/`);
    await collector.until(has(collector, "from_module"), "the event");
    await page.click("button");
    await collector.until(has(collector, "pressed"), "the click");
    assert.equal(JSON.parse(collector.requests[0].body).writeKey, "npm");
    assert.deepEqual(collector.views, ["/"]);
    assert.equal(await page.evaluate(() => typeof window.footfall), "undefined");
  },

  "two tags on a page, one by another name, each send to their own source": async ({ collector, site, open }) => {
    site.snippet =
      `<script defer src="${collector.origin}/footfall.js" data-write-key="key"></script>` +
      `<script defer src="${collector.origin}/footfall.core.js" data-write-key="second" data-global="other"></script>`;
    const page = await open();
    await page.evaluate(() => {
      window.footfall("track", "for_one");
      window.other("track", "for_other");
    });
    await collector.until(has(collector, "for_one", "for_other"), "both events");
    const sources = collector.requests.flatMap(({ body }) => {
      const { writeKey, batch } = JSON.parse(body);
      return batch.map(({ event, type }) => `${writeKey} ${event ?? type}`);
    });
    assert.deepEqual(sources.sort(), ["key for_one", "key page", "second for_other", "second page"]);
    const ids = await page.evaluate(() => [localStorage.footfall_id, localStorage.other_id]);
    assert.equal(new Set(ids).size, 2);
  },

  "routes in the fragment count with data-hash (7)": async ({ collector, site, open }) => {
    site.attributes = "data-hash";
    const page = await open("/app#/one");
    await page.evaluate(() => {
      location.hash = "/two";
    });
    await collector.until(() => collector.views.length === 2, "the second view");
    assert.deepEqual(collector.views, ["/app#/one", "/app#/two"]);
  },

  // Consent

  "pending: nothing is sent or stored; granted: all goes out with its own time (45)": async ({
    collector,
    site,
    open,
  }) => {
    site.attributes = 'data-consent="pending"';
    const page = await open();
    await track(page, "waited");
    await page.waitForTimeout(1500); // longer than a batch waits: nothing may come
    assert.equal(collector.requests.length, 0);
    assert.deepEqual(await page.evaluate(() => [Object.keys(localStorage), document.cookie]), [[], ""]);
    const before = Date.now();
    await page.evaluate(() => window.footfall("consent", "granted"));
    await collector.until(has(collector, "waited"), "the event");
    assert.deepEqual(collector.views, ["/"]);
    for (const { timestamp } of collector.stored) assert.ok(before - Date.parse(timestamp) >= 1000, "not its own time");
    await page.reload(); // the answer lasts
    await collector.until(() => collector.views.length === 2, "the view after the reload");
    assert.equal(new Set(collector.stored.map(({ anonymousId }) => anonymousId)).size, 1);
  },

  "pending, then denied: all is forgotten, and the answer lasts (44)": async ({ collector, site, open }) => {
    site.attributes = 'data-consent="pending"';
    const page = await open();
    await track(page, "waited");
    await page.evaluate(() => window.footfall("consent", "denied"));
    await page.reload();
    await page.waitForFunction(() => window.footfall?.version);
    await track(page, "after");
    await page.waitForTimeout(1500); // longer than a batch waits: nothing may come
    assert.equal(collector.requests.length, 0);
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), ["footfall_consent"]);
    assert.equal(await page.evaluate(() => window.footfall.status().consent), "denied");
  },

  "consent withdrawn silences all tabs at once and leaves nothing but the answer": async ({
    collector,
    context,
    open,
  }) => {
    const page = await open("/one");
    const other = await open("/two");
    await collector.until(() => collector.views.length === 2, "both views");
    await page.evaluate(() => window.footfall("consent", "denied"));
    await other.waitForFunction(() => window.footfall.status().consent === "denied");
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), ["footfall_consent"]);
    await track(page, "one_after");
    await track(other, "two_after");
    for (const tab of context.pages()) await tab.close();
    const last = await open("/three");
    await last.evaluate(() => window.footfall("consent", "granted"));
    await collector.until(() => collector.views.includes("/three"), "the view after opting in (46)");
    assert.deepEqual(collector.tracked, []);
    assert.deepEqual([...collector.views].sort(), ["/one", "/three", "/two"]);
    const ids = collector.stored.map(({ anonymousId }) => anonymousId);
    assert.equal(new Set(ids).size, 2, "the visitor of before was remembered");
  },

  "an answer given in one tab holds in the others: what waited there goes out, as the same visitor": async ({
    collector,
    site,
    open,
  }) => {
    site.attributes = 'data-consent="pending"';
    const page = await open("/one");
    const other = await open("/two");
    for (const [tab, name] of [
      [page, "one_before"],
      [other, "two_before"],
    ]) {
      await track(tab, name);
      await tab.waitForFunction(() => window.footfall.status().queued === 2);
    }
    await page.evaluate(() => window.footfall("consent", "granted"));
    await collector.until(has(collector, "one_before"), "the events of the tab that was answered");
    await other.waitForFunction(() => window.footfall.status().consent === "granted");
    await track(other, "two_after");
    await collector.until(has(collector, "two_before", "two_after"), "the events of the other tab");
    await track(page, "one_after");
    await collector.until(has(collector, "one_after"), "the last event");
    const now = collector.stored.filter(({ event }) => /_after$/.test(event)).map(({ anonymousId }) => anonymousId);
    assert.equal(new Set(now).size, 1, "the tabs do not agree who the visitor is");
  },

  "asked again, all waits until there is an answer, wherever the site begins with granted": async ({
    collector,
    open,
  }) => {
    const page = await open();
    await collector.until(() => collector.views.length, "the page view");
    await page.evaluate(() => window.footfall("consent", "pending"));
    await track(page, "waited");
    await page.waitForTimeout(1500); // longer than a batch waits: nothing may come
    assert.equal(await page.evaluate(() => window.footfall.status().consent), "pending");
    assert.equal(collector.requests.length, 1);
    await page.evaluate(() => window.footfall("consent", "granted"));
    await collector.until(has(collector, "waited"), "the event");
  },

  // As a browser does that clears a site's data under an open page, or closes a private window: storage first, pages then.
  "a refusal outlives its deletion for as long as the page is open, a grant does not": async ({
    collector,
    site,
    open,
  }) => {
    const stateAfterClearing = (page) =>
      page.evaluate(() => {
        localStorage.clear();
        return window.footfall.status().consent;
      });
    site.attributes = 'data-consent="pending"';
    const granted = await open("/granted");
    await granted.evaluate(() => window.footfall("consent", "granted"));
    assert.equal(await stateAfterClearing(granted), "pending");
    await granted.close();
    site.attributes = "";
    const refused = await open("/refused");
    await refused.evaluate(() => window.footfall("consent", "denied"));
    await refused.reload();
    await track(refused, "never_one");
    assert.equal(await stateAfterClearing(refused), "denied");
    await track(refused, "never_two");
    assert.deepEqual(await refused.evaluate(() => Object.keys(localStorage)), []);
    await refused.close();
    const some = await open("/some");
    await some.evaluate(() => window.footfall("consent", { analytics: true, marketing: false }));
    await some.reload();
    await track(some, "before_clearing");
    assert.equal(await stateAfterClearing(some), "granted");
    await some.evaluate(() => window.footfall("track", "never_three", {}, { consent: "marketing" }));
    await last(some, collector);
    assert.deepEqual(
      collector.tracked.filter((event) => /never/.test(event)),
      [],
    );
    const { context } = JSON.parse(collector.requests.at(-1).body);
    assert.deepEqual(context.consent, { analytics: true, marketing: false });
  },

  "events of a category go out only when it is granted": async ({ collector, site, open }) => {
    site.attributes = 'data-consent="pending"';
    const page = await open();
    await page.evaluate(() => {
      window.footfall("track", "ad_before", {}, { consent: "marketing" });
      window.footfall("track", "use_before", {}, { consent: ["analytics"] });
      window.footfall("consent", { analytics: true, marketing: false });
      window.footfall("track", "ad_after", {}, { consent: ["analytics", "marketing"] });
      window.footfall("track", "use_after", {}, { consent: "analytics" });
    });
    await last(page, collector);
    assert.deepEqual(collector.tracked, ["use_before", "use_after", "the_last"]);
    const { context } = JSON.parse(collector.requests.at(-1).body);
    assert.deepEqual(context.consent, { analytics: true, marketing: false }, "said once for all of a request");
    await page.reload();
    await page.evaluate(() => window.footfall("track", "ad_later", {}, { consent: "marketing" }));
    await collector.until(() => collector.views.length === 2, "the view after the reload");
    assert.ok(!collector.tracked.includes("ad_later"));
  },

  "Global Privacy Control counts as denied, and the visitor's own answer for more (47)": async ({
    collector,
    context,
    open,
  }) => {
    await context.addInitScript(() => Object.defineProperty(navigator, "globalPrivacyControl", { value: true }));
    const page = await open();
    await track(page, "unwanted");
    await page.waitForTimeout(1500); // longer than a batch waits: nothing may come
    assert.equal(collector.requests.length, 0);
    assert.deepEqual(await page.evaluate(() => Object.keys(localStorage)), []);
    await page.evaluate(() => window.footfall("consent", "granted"));
    await last(page, collector);
    assert.deepEqual([collector.views, collector.tracked], [["/"], ["the_last"]]);
    await page.reload();
    await collector.until(() => collector.views.length === 2, "the view after the reload");
  },

  "data-gpc=off ignores Global Privacy Control, data-dnt=on takes Do Not Track for a refusal": async ({
    collector,
    context,
    site,
    open,
  }) => {
    await context.addInitScript(() => {
      Object.defineProperty(navigator, "globalPrivacyControl", { value: true });
      Object.defineProperty(navigator, "doNotTrack", { value: "1" });
    });
    site.attributes = 'data-gpc="off" data-dnt="on"';
    const refused = await open("/refused");
    await refused.waitForFunction(() => window.footfall.status().consent === "denied");
    site.attributes = 'data-gpc="off"';
    await open("/taken");
    await collector.until(() => collector.views.length, "the view");
    assert.deepEqual(collector.views, ["/taken"]);
  },

  "cookieless writes nothing and names nobody (48)": async ({ collector, site, open }) => {
    site.attributes = 'data-storage="none" data-cookie-domain="127.0.0.1"';
    const page = await open("/?utm_source=x");
    await last(page, collector);
    assert.deepEqual(await page.evaluate(() => [Object.keys(localStorage), document.cookie]), [[], ""]);
    assert.deepEqual(
      collector.stored.map(({ anonymousId }) => anonymousId),
      [undefined, undefined],
    );
  },

  "the id is in a cookie that subdomains share, and a cookie that is there counts (50)": async ({
    collector,
    context,
    site,
    open,
  }) => {
    site.attributes = 'data-cookie-domain="127.0.0.1"';
    const id = "01890000-0000-7000-8000-000000000001";
    await context.addCookies([{ name: "footfall_id", value: id, url: site.origin }]);
    const page = await open();
    await last(page, collector);
    assert.deepEqual([...new Set(collector.stored.map(({ anonymousId }) => anonymousId))], [id]);
    await page.evaluate(() => window.footfall("reset"));
    await track(page, "as_another");
    await collector.until(has(collector, "as_another"), "the event");
    await page.evaluate(() => document.cookie); // what it wrote has reached the browser's own list by then
    const [cookie] = await context.cookies();
    assert.notEqual(cookie.value, id);
    assert.equal(cookie.value, collector.stored.at(-1).anonymousId);
    assert.equal(cookie.sameSite, "Lax");
    assert.ok(cookie.expires > Date.now() / 1000 + 399 * 86_400);
    await page.evaluate(() => window.footfall("consent", "denied"));
    assert.equal(await page.evaluate(() => document.cookie), "");
  },

  // Calls, more of them

  "set adds to later events, null takes it away": async ({ collector, open }) => {
    const page = await open();
    await page.evaluate(() => {
      window.footfall("set", { plan: "pro", team: "a" });
      window.footfall("track", "both", { own: 1 });
      window.footfall.set({ team: null });
      window.footfall.track("one", { plan: "free" }, { extra: { beside: true } });
    });
    await collector.until(has(collector, "both", "one"), "the events");
    const of = (name) => collector.stored.find(({ event }) => event === name);
    assert.deepEqual(of("both").properties, { plan: "pro", team: "a", own: 1 });
    assert.deepEqual([of("one").properties, of("one").extra], [{ plan: "free" }, { beside: true }]);
  },

  "a plugin may change, replace and drop events, and what it throws harms nobody": async ({
    collector,
    site,
    open,
  }) => {
    site.head =
      "<script>window.footfall = function(){(footfall.q = footfall.q || []).push(arguments)};" +
      "footfall('plugin', (tag) => { tag.before(() => { throw new Error('plugin') });" +
      "tag.before((event) => { if (event.event === 'secret') return false; if (event.event === 'old') return {...event, event: 'new'};" +
      "event.context.seen = true });" +
      "tag.before(async () => {}); tag.before(() => true); tag.before(() => ({ kept: false }));" +
      "tag.watch(() => { throw new Error('watcher') }) }); footfall('plugin', () => { throw new Error('at once') })</script>";
    const page = await open();
    await track(page, "secret");
    await track(page, "old");
    await last(page, collector);
    assert.deepEqual(collector.tracked, ["new", "the_last"]);
    assert.equal(collector.stored[0].context.seen, true);
    assert.equal((await page.evaluate(() => window.footfall.status())).dropped, 1);
  },

  "status tells what is queued, sent and waited for": async ({ collector, open }) => {
    collector.answer = (number) => (number === 1 ? { status: 200 } : { status: 429, headers: { "Retry-After": "60" } });
    const page = await open();
    await collector.until(() => collector.requests.length === 1, "the page view");
    await track(page, "refused");
    await page.waitForFunction(() => window.footfall.status().lastStatus === 429);
    const status = await page.evaluate(() => window.footfall.status());
    assert.deepEqual([status.version, status.writeKey, status.endpoint], ["0.1.0", "key", collector.origin]);
    assert.deepEqual([status.consent, status.queued, status.sent, status.dropped], ["granted", 1, 1, 0]);
    assert.match(status.visitor, /^[\da-f-]{36}$/);
    assert.ok(status.waitsUntil - Date.now() > 50_000);
  },

  "the campaign of the landing page goes with later events, and not into the next session": async ({
    collector,
    context,
    site,
    open,
  }) => {
    const page = await open("/landing?utm_source=mail&a=1&gclid=g1");
    await page.goto(`${site.origin}/next`);
    await track(page, "in_session");
    await collector.until(has(collector, "in_session"), "the event");
    const of = (find) => collector.stored.find(find).context.campaign;
    assert.equal(
      of(({ properties }) => properties.path === "/landing"),
      undefined,
    );
    assert.equal(
      of(({ properties }) => properties.path === "/next"),
      "utm_source=mail&gclid=g1",
    );
    assert.equal(
      of(({ event }) => event === "in_session"),
      "utm_source=mail&gclid=g1",
    );
    await context.addInitScript(() => {
      const { now } = Date;
      Date.now = () => now() + 31 * 60_000;
    });
    await page.goto(`${site.origin}/tomorrow`);
    await collector.until(() => collector.views.includes("/tomorrow"), "the view");
    assert.equal(
      of(({ properties }) => properties.path === "/tomorrow"),
      undefined,
    );
  },

  "a page that replaces JSON, fetch, Promise and Date after the tag began loses nothing": async ({
    collector,
    open,
  }) => {
    const page = await open();
    await collector.until(() => collector.views.length, "the page view");
    await page.evaluate(() => {
      const broken = () => "broken by the page";
      Array.prototype.toJSON = Object.prototype.toJSON = String.prototype.toJSON = broken;
      Array.prototype.added = 1;
      JSON.stringify = broken;
      JSON.parse = () => decodeURIComponent("%");
      window.footfall("track", "survived", { list: [1, { a: "b" }] });
    });
    await collector.until(has(collector, "survived"), "the event");
    assert.deepEqual(collector.stored.at(-1).properties, { list: [1, { a: "b" }] });
  },

  "a driven browser says so": async ({ collector, open }) => {
    await open();
    await collector.until(() => collector.views.length, "the page view");
    assert.equal(JSON.parse(collector.requests[0].body).context.webdriver, true);
  },

  // Delivery, more of it

  "one tab at a time sends, for all of them": async ({ collector, open }) => {
    let answer;
    const held = new Promise((resolve) => (answer = resolve));
    const one = await open("/one");
    await collector.until(() => collector.views.length, "the first view");
    collector.answer = () => held.then(() => ({ status: 200 }));
    await track(one, "slow");
    await new Promise((resolve) => collector.server.once("request", resolve));
    const two = await open("/two");
    await track(two, "meanwhile");
    await two.waitForTimeout(1500); // longer than a batch waits: the second tab may not send
    assert.equal(collector.requests.length, 2, "two requests at a time");
    answer();
    await collector.until(has(collector, "slow", "meanwhile"), "the events");
    assert.equal(collector.copies.length, collector.stored.length);
  },

  "a full disk costs nothing but memory": async ({ collector, site, open }) => {
    site.head =
      "<script>for (let size = 2 ** 22, i = 0; size >= 1; ) try { localStorage['fill' + i] = 'x'.repeat(size); i++ } catch { size >>= 1 }</script>";
    const page = await open();
    for (const name of numbered("e", 3)) await track(page, name);
    await collector.until(has(collector, ...numbered("e", 3)), "the events");
    assert.equal(new Set(collector.stored.map(({ anonymousId }) => anonymousId)).size, 1);
  },

  "storage cleared under the tag: it goes on": async ({ collector, open }) => {
    const page = await open();
    await collector.until(() => collector.views.length, "the page view");
    await page.evaluate(() => localStorage.clear());
    await last(page, collector);
  },

  "a clock that is three hours off, either way, delays nothing": async ({ collector, context, open }) => {
    for (const hours of [-3, 3]) {
      collector.answer = (number) => ({ status: number === 1 ? 503 : 200 });
      await context.addInitScript((offset) => {
        const { now } = Date;
        Date.now = () => now() + offset;
      }, hours * 3_600_000);
      const page = await open(`/${hours}`);
      await track(page, `at_${hours}`);
      await collector.until(has(collector, `at_${hours}`), "the event");
      await page.close();
    }
  },

  "an unreadable event costs only itself": async ({ collector, open }) => {
    collector.answer = (_, { body }) => ({ status: body.includes("poison") ? 400 : 200 });
    const page = await open();
    await page.evaluate(() => {
      for (const name of ["a", "poison", "b", "c"]) window.footfall("track", name);
    });
    await collector.until(has(collector, "a", "b", "c"), "the other events", 30_000);
    assert.equal((await page.evaluate(() => window.footfall.status())).dropped, 1);
  },

  "data-debug asks for verdicts and loads the debug extra beside the tag": async ({ collector, site, open }) => {
    site.attributes = "data-debug";
    const asked = new Promise((resolve) =>
      collector.server.on("request", ({ url }) => url === "/footfall.debug.js" && resolve()),
    );
    await open();
    await asked;
    await collector.until(() => collector.views.length, "the page view");
    assert.equal(collector.requests[0].url, "/v1/b?debug=1");
  },

  "an extra that cannot be loaded holds nothing up for long": async ({ collector, site, open }) => {
    site.attributes = 'data-extras="missing"';
    await open();
    await collector.until(() => collector.views.length, "the page view", 5000);
  },
};
