/**
 * Behaviours of visitors and pages, judged by the rows that the real collector stored. Each scenario has a host of its own,
 * so that its rows are all that came from there: once each, nothing else, with the right values.
 *
 *     chromium            why no other browser can show it, if so
 *     whole               whether it needs the whole Chromium, see chromium.mjs
 *     act(world)          what a visitor and a page do; waits until the collector took what it should take
 *     stored(rows, note)  asserts on the host's rows of `events`, by time; note is what act returned
 *
 * Talks with test_stored.py in lines of JSON: {"play": {…, chosen: [names]}} -> {name: error or null}, {"judge": {rows, sessions}} -> the
 * same, end of input -> the browser ends. `--list` prints the names.
 */
import assert from "node:assert/strict";
import { createInterface } from "node:readline";
import * as chromium from "./chromium.mjs";
import * as firefox from "./firefox.mjs";
import { complete, holdMore, holdStart, movableClock, pass } from "./second_part.mjs";
import { Gate, Sites } from "./stored_world.mjs";

// Two cores: more would only wait for each other. Firefox loses itself when two windows are opened at the same time.
const AT_ONCE = { chromium: 4, firefox: 1 };
// Longer than a batch waits, for scenarios in which nothing may come; the rows are read long after.
const BATCH_MS = 1300;
const UUID = /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/;

const track = (page, name, properties, options) =>
  page.evaluate(([n, p, o]) => window.footfall("track", n, p, o), [name, properties, options]);
const numbered = (prefix, count) => Array.from({ length: count }, (_, i) => `${prefix}_${i}`);
const pause = (page, ms = BATCH_MS) => page.evaluate((time) => new Promise((done) => setTimeout(done, time)), ms);
const ready = (page) => page.waitForFunction(() => window.footfall?.version);

// How long a page was attended to is left to the scenarios about that: elsewhere it depends on how busy the machine is, and
// what a page tells when its whole profile is thrown away is nobody's.
const lasting = (rows) => rows.filter(({ event }) => event !== "engagement");
const names = (rows) => lasting(rows).map(({ event }) => event);
const steps = (rows) => lasting(rows).map(({ event, path, query }) => `${event} ${path}${query}`);
const of = (rows, name) => rows.filter(({ event }) => event === name);
const only = (rows, name) => {
  const found = of(rows, name);
  assert.equal(found.length, 1, `${found.length} rows of ${name}`);
  return found[0];
};
const distinct = (rows, column) => [...new Set(rows.map((row) => row[column]))];
const ms = (time) => Date.parse(`${time.replace(" ", "T")}Z`);

/** Headless tabs are never hidden; this is what the page would see if they were. Shown again, it sees the truth. */
const show = (page, visible) =>
  page.evaluate((shown) => {
    const seen = { visibilityState: "hidden", hidden: true };
    for (const [name, value] of Object.entries(seen)) {
      if (shown) delete document[name];
      else Object.defineProperty(document, name, { value, configurable: true });
    }
    document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
  }, visible);

/** A device whose clock is off, for `new Date()` and `Date.now()` alike; `window.jump` sets it further ahead. */
const wrongClock = (context, offMs) =>
  context.addInitScript((off) => {
    const Real = Date;
    let shiftMs = off;
    window.jump = (further) => {
      shiftMs += further;
    };
    window.Date = class extends Real {
      constructor(...given) {
        super(...(given.length ? given : [Real.now() + shiftMs]));
      }
      static now() {
        return Real.now() + shiftMs;
      }
    };
  }, offMs);

const crash = async (context, page) => {
  const crashed = page.waitForEvent("crash");
  const session = await context.newCDPSession(page);
  session.send("Page.crash").catch(() => {}); // nobody is left to answer
  await crashed;
  await page.close();
};

/** The lock of a tab that is gone has ended, and so has what its silence delayed. */
const aMinuteLater = (context) => wrongClock(context, 60_000);

export const scenarios = {
  // Navigation

  "a load, a link, a way back and a reload are four page views of one session": {
    whole: true,
    async act({ open, gate, context, origin }) {
      const page = await open("/first?q=4#part");
      await gate.took("page_view");
      await page.goto(`${origin}/second`);
      await gate.took("page_view", 2);
      await page.evaluate(() => setTimeout(() => history.back()));
      await gate.took("page_view", 3);
      await page.reload();
      await gate.took("page_view", 4);
      return { pages: context.pages().length };
    },
    stored(rows, { origin, sessions, browser: engine }) {
      assert.deepEqual(steps(rows), [
        "page_view /firstq=4",
        "page_view /second",
        "page_view /firstq=4",
        "page_view /firstq=4",
      ]);
      const [first, second, back] = lasting(rows);
      assert.deepEqual(
        [first.type, first.url, first.title, first.referrer, first.sequence, first.event_version, first.language],
        ["page", `${origin}/first?q=4`, "Page /first", "", 1, 1, "en-US"],
      );
      assert.deepEqual(first.properties, {
        url: `${origin}/first?q=4`,
        path: "/first",
        referrer: "",
        search: "?q=4",
        search_query: "4",
        title: "Page /first",
      });
      assert.deepEqual(
        [first.browser, first.device_class, first.is_bot, first.environment, first.viewport_width],
        [engine === "firefox" ? "Firefox" : "Chrome", "desktop", false, "dev", 1280],
      );
      assert.match(first.message_id, UUID);
      assert.match(first.library, /^footfall\.js \d/);
      assert.ok(Math.abs(ms(first.event_time) - ms(first.received_at)) < 60_000);
      assert.equal(second.path, "/second");
      assert.ok(back.sequence > 1, "the page was loaded anew, not brought back");
      assert.equal(distinct(lasting(rows), "visitor_id").length, 1);
      assert.deepEqual(
        sessions.map(({ pageviews, entry_path, exit_path, channel }) => [pageviews, entry_path, exit_path, channel]),
        [[4, "/first", "/first", "direct"]],
      );
    },
  },

  "each way to change the address counts as the visitor saw it": {
    async act({ open, gate }) {
      const page = await open("/a");
      await gate.took("page_view");
      await page.evaluate(async () => {
        const told = () => new Promise((done) => setTimeout(done, 20));
        const moved = (go) =>
          new Promise((done) => {
            addEventListener("popstate", () => done(told()), { once: true });
            go();
          });
        const change = (way, address, title) => {
          history[way]({}, "", address);
          if (title) document.title = title; // as routers do: after the address
          return told();
        };
        await change("pushState", "/b", "B");
        await change("pushState", "/b");
        await change("pushState", "/b?q=1");
        await change("pushState", "/b?q=1#part");
        await change("replaceState", "/b?q=1#part");
        await change("replaceState", "/c", "C");
        history.pushState({}, "", "/loading");
        await change("replaceState", "/d", "D");
        await moved(() => history.back());
        await moved(() => history.forward());
        window.footfall("track", "the_last");
      });
      await gate.took("the_last");
    },
    stored(rows, { origin }) {
      const views = of(rows, "page_view");
      assert.deepEqual(
        views.map(({ path, query, referrer }) => [path + query, referrer.replace(origin, "")]),
        [
          ["/a", ""],
          ["/b", "/a"],
          ["/bq=1", "/b"],
          ["/c", "/b?q=1"],
          ["/d", "/c"],
          ["/c", "/d"],
          ["/d", "/c"],
        ],
      );
      assert.deepEqual(
        views.slice(1, 5).map(({ title }) => title),
        ["B", "B", "C", "D"],
      );
      assert.deepEqual(
        lasting(rows).map(({ sequence }) => sequence),
        lasting(rows)
          .map(({ sequence }) => sequence)
          .toSorted((a, b) => a - b),
      );
      assert.equal(only(rows, "the_last").path, "/d");
    },
  },

  "routes in the fragment count where the site says so, and a base element changes no address": {
    async act({ open, gate, site, snippet, origin }) {
      site.heads["/app"] = '<base href="/elsewhere/">';
      site.bodies["/app"] = '<a id="link" href="file.pdf" onclick="return false">x</a>';
      site.snippet = snippet("data-hash");
      const page = await open("/app#/one");
      await gate.took("page_view");
      await page.evaluate((start) => {
        location.href = `${start}/app#/two`;
      }, origin);
      await gate.took("page_view", 2);
      await page.click("#link");
      await gate.took("click");
    },
    stored(rows, { origin }) {
      assert.deepEqual(
        of(rows, "page_view").map(({ path, properties }) => [path, properties.path]),
        [
          ["/app", "/app#/one"],
          ["/app", "/app#/two"],
        ],
      );
      assert.equal(only(rows, "click").properties.href, `${origin}/elsewhere/file.pdf`);
      assert.equal(only(rows, "click").properties.link_kind, "download");
    },
  },

  "a frame without the tag adds nothing; one with it counts its own page, for the same visitor": {
    async act({ open, gate, site }) {
      site.bare.push("/plain");
      site.bodies["/"] = '<iframe src="/plain"></iframe><iframe src="/framed"></iframe>';
      await open("/");
      await gate.took("page_view", 2);
    },
    stored(rows, { origin }) {
      assert.deepEqual(steps(rows).sort(), ["page_view /", "page_view /framed"]);
      assert.equal(rows.find(({ path }) => path === "/framed").referrer, `${origin}/`);
      assert.equal(distinct(lasting(rows), "visitor_id").length, 1);
    },
  },

  "a prerendered page is stored once it is shown, and never if it is not": {
    chromium: "prerenders",
    async act({ gate, site, origin }) {
      const rule = '{"prerender":[{"source":"list","urls":["/next","/never"],"eagerness":"immediate"}]}';
      site.bodies["/first"] =
        `<script type="speculationrules">${rule}</script>` +
        "<script>fetch('/go').then(() => { location.href = '/next' })</script>";
      for (const path of ["/next", "/never"]) {
        site.heads[path] =
          `<script>footfall = { q: [['track', 'early', { prerendering: document.prerendering }]] };` +
          `onload = () => fetch('/ready${path}')</script>`;
      }
      const asked = {};
      for (const path of ["/ready/next", "/ready/never", "/go"]) {
        asked[path] = new Promise((resolve) => {
          site.holds[path] = resolve;
        });
      }
      const close = chromium.visit(`${origin}/first`);
      try {
        const [next, never, go] = await Promise.all(Object.values(asked));
        await gate.took("page_view");
        const ahead = gate.paths.filter((path) => /more/.test(path)).length;
        for (const response of [next, never, go]) response.end();
        await gate.took("early");
        return { ahead };
      } finally {
        await close();
      }
    },
    stored(rows, { note }) {
      // Of the first page alone, if its start took that long.
      assert.ok(note.ahead < 2, "pages that nobody sees fetched more");
      assert.deepEqual(steps(rows), ["page_view /first", "page_view /next", "early /next"]);
      assert.deepEqual(only(rows, "early").properties, { prerendering: true });
      assert.equal(distinct(lasting(rows), "visitor_id").length, 1);
    },
  },

  "a page opened in a background tab is stored when it is looked at": {
    async act({ open, gate, context }) {
      // Chromium under a driver takes every tab for visible: the page is told otherwise, and gets no frames.
      await context.addInitScript(() => {
        const frames = [];
        let hidden = true;
        Object.defineProperty(document, "visibilityState", { get: () => (hidden ? "hidden" : "visible") });
        Object.defineProperty(document, "hidden", { get: () => hidden });
        window.requestAnimationFrame = (frame) => frames.push(frame);
        window.look = () => {
          hidden = false;
          document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
          for (const frame of frames) frame();
        };
      });
      const never = await open("/never");
      const page = await open("/looked_at");
      await track(page, "unseen");
      await pause(page);
      assert.equal(gate.posts, 0);
      await page.evaluate(() => window.look());
      await gate.took("unseen");
      await never.close({ runBeforeUnload: true });
      await track(page, "the_last"); // whatever the closed tab sent has arrived when this has
      await gate.took("the_last");
    },
    stored(rows) {
      assert.deepEqual(steps(rows), ["page_view /looked_at", "unseen /looked_at", "the_last /looked_at"]);
    },
  },

  // Start

  "what the page calls before the script comes is stored in order; a script that never comes harms nobody": {
    async act({ open, gate, site, context, snippet }) {
      let deliver;
      const held = new Promise((resolve) => {
        deliver = resolve;
      });
      await context.route("**/footfall.js", async (route) => {
        await held;
        await route.continue();
      });
      site.heads["/"] =
        `${snippet()}<script>footfall('track', 'one', { n: 1 }); footfall('identify', 'u-1', { plan: 'pro' })</script>`;
      site.bare.push("/");
      const page = await open("/", { wait: false });
      await page.waitForFunction(() => window.footfall?.q?.length === 2);
      await track(page, "two");
      deliver();
      await gate.took("two");
      const other = await context.newPage();
      await other.route("**/footfall.js", (route) => route.abort("blockedbyclient"));
      await other.goto(`${page.url()}blocked`);
      await other.evaluate(() => window.footfall("track", "unheard"));
    },
    stored(rows) {
      assert.deepEqual(steps(rows), ["page_view /", "one /", "identify /", "two /"]);
      assert.deepEqual(
        lasting(rows).map(({ user_id }) => user_id),
        ["", "", "u-1", "u-1"],
      );
      assert.deepEqual([only(rows, "one").properties, only(rows, "identify").traits], [{ n: 1 }, { plan: "pro" }]);
    },
  },

  "a script that is there twice stores once": {
    async act({ open, gate, site, snippet }) {
      site.snippet = snippet() + snippet();
      const page = await open("/");
      await track(page, "the_last");
      await gate.took("the_last");
    },
    stored(rows) {
      assert.deepEqual(steps(rows), ["page_view /", "the_last /"]);
    },
  },

  "two tags on a page store once each, in their own source, for their own visitor": {
    async act({ open, gate, site, snippet, keys }) {
      const [, element] = snippet().split("</script>");
      const second = element
        .replace(keys[0], keys[1])
        .replace("/footfall.js", "/footfall.core.js")
        .replace("data-write-key", 'data-global="other" data-write-key');
      site.snippet = `${snippet()}${second}</script>`;
      const page = await open("/");
      await page.waitForFunction(() => window.other?.version);
      await page.evaluate(() => {
        window.footfall("track", "for_one");
        window.other("track", "for_other");
      });
      await gate.took("for_one");
      await gate.took("for_other");
    },
    stored(rows, { sources }) {
      assert.deepEqual(
        lasting(rows)
          .map(({ source_id, event }) => `${source_id} ${event}`)
          .sort(),
        [`${sources[0]} for_one`, `${sources[0]} page_view`, "second for_other", "second page_view"],
      );
      assert.equal(distinct(lasting(rows), "visitor_id").length, 2);
    },
  },

  // What is clicked and typed

  "clicks are stored as what they were, through children, shadow roots and pictures, once each": {
    async act({ open, gate, site, context, host }) {
      await context.route("https://other.example/**", (route) => route.fulfill({ body: "other" }));
      site.bodies["/"] =
        '<button id="nested" onclick="this.title += 1"><b><i>Buy</i></b></button>' +
        '<div id="host"><template shadowrootmode="open"><button id="inner" onclick="this.title += 1">In</button></template></div>' +
        '<button id="picture" aria-label="Close" onclick="this.title += 1"><svg width="20" height="20"><path d="M0 0h20v20z"/></svg></button>' +
        '<button id="off" disabled>Off</button>' +
        '<button id="swallowed">Swallowed</button>' +
        '<a id="out" href="https://other.example/x?q=1&a=1#part">out</a>' +
        '<div onclick="event.preventDefault(); this.title += 1"><a id="file" href="/list.csv?s=2">file</a>' +
        '<a id="mail" href="mailto:hush-mail@b.example">mail</a><a id="phone" href="tel:+hush-phone">phone</a></div>' +
        '<button data-footfall-event="plan_chosen" data-footfall-prop-plan-name="pro" data-footfall-prop-seats="5" onclick="this.title += 1">Pro</button>';
      const page = await open("/");
      await page.evaluate(() => {
        const swallow = (event) => {
          event.stopImmediatePropagation();
          event.preventDefault();
          document.title += "!"; // so that it is no dead click
        };
        document.querySelector("#swallowed").addEventListener("click", swallow, true);
        addEventListener("click", (event) => event.target.id === "swallowed" && event.preventDefault(), true);
      });
      for (const part of ["i", "#host #inner", "path", "#swallowed"]) await page.click(part);
      const box = await page.locator("#off").boundingBox();
      await page.mouse.click(box.x + 5, box.y + 5);
      await page.click("#out", { modifiers: ["Control"] });
      await page.click("#out", { button: "middle" });
      for (const part of ["#file", "#mail", "#phone", "[data-footfall-event]"]) await page.click(part);
      await gate.took("plan_chosen");
      return host;
    },
    stored(rows, { origin }) {
      const clicks = of(rows, "click").map(({ properties: p }) => [
        p.element_id,
        p.element_role,
        p.element_name,
        p.href,
        p.link_kind,
      ]);
      assert.deepEqual(clicks, [
        ["nested", "button", "Buy", undefined, undefined],
        ["inner", "button", "In", undefined, undefined],
        ["picture", "button", "Close", undefined, undefined],
        ["swallowed", "button", "Swallowed", undefined, undefined],
        ["out", "link", "out", "https://other.example/x?q=1", "outbound"],
        ["out", "link", "out", "https://other.example/x?q=1", "outbound"],
        ["file", "link", "file", `${origin}/list.csv?s=2`, "download"],
        ["mail", "link", "mail", "mailto:", "email"],
        ["phone", "link", "phone", "tel:", "phone"],
      ]);
      assert.deepEqual(only(rows, "plan_chosen").properties, { plan_name: "pro", seats: 5 });
      assert.equal(lasting(rows).length, 1 + 9 + 1);
      assert.ok(of(rows, "click").every(({ violations, event_version }) => !violations.length && event_version === 1));
    },
  },

  "a click in anger, and one without an answer, are stored as such": {
    async act({ open, gate, site }) {
      site.bodies["/"] = '<button id="stuck" onclick="this.title += 1">x</button><button id="dead">y</button>';
      const page = await open("/");
      await page.click("#stuck", { clickCount: 6 });
      await gate.took("rage_click");
      await page.click("#dead");
      await gate.took("dead_click");
    },
    stored(rows) {
      assert.equal(only(rows, "rage_click").properties.element_id, "stuck");
      assert.equal(only(rows, "dead_click").properties.element_id, "dead");
      assert.deepEqual(
        rows.flatMap(({ violations }) => violations),
        [],
      );
    },
  },

  "forms are stored by the names of their fields; what was typed, chosen or private is nowhere": {
    async act({ open, gate, site, origin }) {
      site.bodies["/form"] =
        '<form id="find" name="finder" action="/found"><input name="topic"><button>Go</button></form>' +
        '<form id="pay"><input name="card"><input type="password" name="pin"><select name="land"><option>a<option value="hush-chosen">b</select>' +
        '<textarea name="note">hush-default</textarea></form>' +
        '<div data-footfall-private><h2>hush-heading</h2><button id="private" data-footfall-event="hush_event">hush-label</button>' +
        '<form onsubmit="return false"><input name="hush-field" id="inner"><button id="send">Go</button></form></div>' +
        '<button id="mixed" onclick="this.title += 1">Hello <span data-footfall-private>hush-part</span></button>' +
        '<input id="typed" value="hush-value"><div contenteditable id="edit">hush-editable</div>';
      const page = await open("/form");
      for (const field of ["[name=card]", "[name=pin]", "[name=note]", "#inner", "#typed", "#edit"]) {
        await page.fill(field, "hush-typed");
      }
      await page.selectOption("select", "hush-chosen");
      for (const part of ["#private", "#send", "#mixed", "#typed", "#edit"])
        await page.click(part, { position: { x: 4, y: 4 } });
      await page.fill("[name=topic]", "shoes");
      await page.press("[name=topic]", "Enter");
      await page.waitForURL(`${origin}/found?topic=shoes`);
      await gate.took("page_view", 2);
      await gate.took("form_abandoned");
    },
    stored(rows) {
      assert.deepEqual(only(rows, "form_submit").properties, {
        form_id: "find",
        form_name: "finder",
        fields: ["topic"],
        last_field: "topic",
      });
      assert.deepEqual(only(rows, "form_abandoned").properties, {
        form_id: "pay",
        form_name: "",
        fields: ["card", "pin", "note", "land"],
        last_field: "land",
      });
      assert.equal(only(rows, "form_abandoned").path, "/form");
      // On Enter the browser itself clicks the button that submits.
      assert.deepEqual(
        of(rows, "click").map(({ properties: p }) => [p.element_id, p.element_name]),
        [
          ["mixed", ""],
          ["", "Go"],
        ],
      );
      assert.deepEqual(names(rows).sort(), [
        "click",
        "click",
        "form_abandoned",
        "form_submit",
        "page_view",
        "page_view",
      ]);
    },
  },

  "a search on the site and a page that is not there are stored with their view": {
    async act({ open, gate, site }) {
      site.statuses["/gone"] = 404;
      await open("/find?q=red+shoes");
      await open("/gone");
      await gate.took("page_view", 2);
    },
    stored(rows) {
      const facts = of(rows, "page_view").map(({ path, properties: p }) => [path, p.search_query, p.status]);
      assert.deepEqual(facts.sort(), [
        ["/find", "red shoes", undefined],
        ["/gone", undefined, 404],
      ]);
      assert.deepEqual(
        rows.flatMap(({ violations }) => violations),
        [],
      );
    },
  },

  // Engagement

  "attention is stored by page, without time asleep or hidden, once each hide, with the depth seen": {
    async act({ open, gate, context, site, origin }) {
      await movableClock(context);
      site.bodies["/long"] = '<p style="height:3000px">long</p>';
      const page = await open("/short");
      await gate.took("page_view");
      await complete(page);
      await pass(page, 8 * 3_600_000); // the laptop slept: counts as half a minute
      await page.mouse.move(10, 10);
      await pass(page, 10_000);
      await show(page, false);
      await gate.took("engagement");
      await pass(page, 50_000); // hidden
      await show(page, true);
      await pass(page, 7000);
      await page.evaluate(() => window.dispatchEvent(new Event("blur")));
      await show(page, false);
      await gate.took("engagement", 2);
      await show(page, true);
      await show(page, false); // nothing new
      await show(page, true);
      await page.goto(`${origin}/long`);
      await gate.took("page_view", 2);
      await complete(page);
      await pass(page, 5000);
      await page.mouse.wheel(0, 900);
      await page.waitForFunction(() => scrollY > 800);
      await page.evaluate(() => {
        const more = document.createElement("p");
        more.style.height = "3000px"; // content comes late: less of the page was seen
        document.body.append(more);
        return new Promise((done) => requestAnimationFrame(() => setTimeout(done, 50)));
      });
      await page.evaluate(() => history.pushState({}, "", "/after"));
      await gate.took("page_view", 3);
      await gate.took("engagement", 3);
    },
    stored(rows) {
      const told = of(rows, "engagement").map(({ path, properties }) => [
        path,
        properties.engaged_ms,
        properties.scroll_depth,
      ]);
      assert.deepEqual(told.map(([path]) => path).slice(0, 3), ["/short", "/short", "/long"]);
      const [[, asleep, whole], [, hidden], [, scrolled, depth]] = told;
      const about = (time, wanted) =>
        assert.ok(time >= wanted && time < wanted + 4000, `${time} ms, not about ${wanted}`);
      about(asleep, 40_000);
      about(hidden, 7000);
      about(scrolled, 5000);
      assert.equal(whole, 1);
      assert.ok(depth > 0.15 && depth < 0.4, `depth ${depth}`);
      assert.deepEqual(steps(rows), ["page_view /short", "page_view /long", "page_view /after"]);
      assert.deepEqual(
        rows.flatMap(({ violations }) => violations),
        [],
      );
    },
  },

  // Before the second part has come

  "who leaves in a moment, or without having done anything, is stored with the view and the time": {
    async act({ open, gate, context, origin }) {
      await movableClock(context);
      await holdMore(context);
      await context.addInitScript(() => {
        if (location.pathname === "/glance") performance.now = () => 500; // a very short visit
      });
      const page = await open("/glance");
      await gate.took("page_view");
      await page.goto(`${origin}/left`);
      await gate.took("page_view", 2);
      await pass(page, 2000);
      await page.goto(`${origin}/hidden`);
      await gate.took("page_view", 3);
      await pass(page, 3000);
      await show(page, false);
      await gate.took("engagement", 2);
      await show(page, true);
      await page.evaluate(() => history.pushState({}, "", "/routed"));
      await gate.took("page_view", 4);
      await pass(page, 9000);
      await page.close({ runBeforeUnload: true });
      await gate.took("engagement", 3);
    },
    stored(rows) {
      assert.deepEqual(
        steps(rows),
        ["/glance", "/left", "/hidden", "/routed"].map((path) => `page_view ${path}`),
      );
      const told = of(rows, "engagement").map(({ path, properties }) => [path, properties.engaged_ms]);
      const wanted = { "/left": 2000, "/hidden": 3000, "/routed": 9000 };
      assert.ok(!told.some(([path]) => path === "/glance"));
      for (const [path, least] of Object.entries(wanted)) {
        const times = told.filter(([at]) => at === path).map(([, time]) => time);
        assert.ok(times[0] >= least && times[0] < least + 15_000, `${path}: ${times}, not about ${least}`);
      }
      assert.deepEqual(
        rows.flatMap(({ violations }) => violations),
        [],
      );
    },
  },

  "the first clicks, fields and submits are stored with their element, though what describes it came after": {
    async act({ open, gate, context, site }) {
      const release = await holdMore(context);
      site.bodies["/"] =
        '<button id="first" onclick="this.title += 1">First</button><a id="out" href="https://other.example/x">Out</a>' +
        '<form id="find" onsubmit="return false"><input name="topic"><button>Go</button></form>';
      await context.route("https://other.example/**", (route) => route.fulfill({ body: "other" }));
      const page = await open("/");
      await gate.took("page_view");
      await page.click("#first", { clickCount: 3 });
      await page.click("#out", { modifiers: ["Control"] });
      await page.fill("[name=topic]", "shoes");
      await page.press("[name=topic]", "Enter");
      assert.equal(gate.count("click"), 0);
      release();
      await gate.took("click", 5);
      await gate.took("form_submit");
      await gate.took("rage_click");
    },
    stored(rows) {
      assert.deepEqual(
        of(rows, "click").map(({ properties: p }) => [p.element_id, p.element_name, p.link_kind]),
        [...Array(3).fill(["first", "First", undefined]), ["out", "Out", "outbound"], ["", "Go", undefined]],
      );
      assert.equal(only(rows, "rage_click").properties.element_id, "first");
      assert.deepEqual(only(rows, "form_submit").properties, {
        form_id: "find",
        form_name: "",
        fields: ["topic"],
        last_field: "topic",
      });
    },
  },

  "where the second part cannot be had, views, marks, links, submits and attention are stored": {
    async act({ open, gate, context, site, origin }) {
      await movableClock(context);
      await context.route("**/footfall.more.js", (route) => route.abort("internetdisconnected"));
      site.bodies["/"] =
        '<button data-footfall-event="plan_chosen" data-footfall-prop-plan="pro">Pro</button> ' +
        '<a id="in" href="/in#part" onclick="return false">in</a><form onsubmit="return false"><button>Go</button></form>';
      const page = await open("/");
      await gate.took("page_view");
      await page.click("[data-footfall-event]");
      await page.click("#in");
      await page.click("form button");
      await pass(page, 5000);
      await page.goto(`${origin}/next`);
      await gate.took("page_view", 2);
      await gate.took("engagement");
    },
    stored(rows, { origin }) {
      assert.deepEqual(names(rows).toSorted(), ["click", "form_submit", "page_view", "page_view", "plan_chosen"]);
      assert.deepEqual(only(rows, "plan_chosen").properties, { plan: "pro" });
      assert.deepEqual(only(rows, "click").properties, { href: `${origin}/in` });
      const [{ path, properties }] = of(rows, "engagement");
      assert.ok(path === "/" && properties.engaged_ms >= 5000, `${path}: ${properties.engaged_ms} ms`);
    },
  },

  "a page brought back by the back/forward cache before the second part came is told twice, each with its own time": {
    whole: true,
    chromium: "can be kept from its limit of four seconds and keeps pages under a driver",
    async act({ open, gate, context, origin }) {
      await movableClock(context);
      await holdStart(context);
      const page = await open("/first");
      await gate.took("page_view");
      await pass(page, 2000);
      await page.evaluate((away) => {
        addEventListener("pageshow", ({ persisted }) => {
          window.kept = persisted;
        });
        location.href = away;
      }, `${origin}/second`);
      await page.waitForURL(`${origin}/second`);
      await gate.took("page_view", 2);
      await page.evaluate(() => setTimeout(() => history.back()));
      await gate.took("page_view", 3);
      const kept = await page.evaluate(() => window.kept);
      if (kept) {
        await pass(page, 6000);
        await complete(page);
      }
      await page.goto(`${origin}/third`);
      await gate.took("page_view", 4);
      return { kept };
    },
    stored(rows, { note }) {
      assert.equal(note.kept, true, "the page was not kept");
      assert.deepEqual(
        steps(rows),
        ["/first", "/second", "/first", "/third"].map((path) => `page_view ${path}`),
      );
      const times = of(rows, "engagement")
        .filter(({ path }) => path === "/first")
        .map(({ properties }) => properties.engaged_ms);
      assert.equal(times.length, 2, `${times}`);
      assert.ok(times[0] >= 2000 && times[0] < 17_000 && times[1] >= 6000 && times[1] < 21_000, `${times}`);
    },
  },

  // Leaving

  "events of the moment in which a page is left or closed are stored once": {
    async act({ open, gate, origin }) {
      const page = await open("/left");
      await page.evaluate((away) => {
        window.footfall("track", "leaving");
        location.href = away;
      }, `${origin}/next`);
      await gate.took("leaving");
      for (const name of numbered("closing", 6)) {
        const tab = await open("/closed");
        await track(tab, name);
        await tab.close();
      }
      await gate.took("closing_5");
    },
    stored(rows) {
      assert.deepEqual(
        names(rows)
          .filter((name) => name !== "page_view")
          .sort(),
        [...numbered("closing", 6), "leaving"],
      );
      const views = of(rows, "page_view").map(({ path }) => path);
      assert.deepEqual(views.sort(), [...Array(6).fill("/closed"), "/left", "/next"]);
    },
  },

  "a frozen page goes on where it was when it thaws": {
    chromium: "freezes by its own protocol",
    async act({ open, gate, context }) {
      const page = await open("/");
      await gate.took("page_view");
      const session = await context.newCDPSession(page);
      await track(page, "freezing");
      await session.send("Page.setWebLifecycleState", { state: "frozen" });
      await new Promise((done) => setTimeout(done, BATCH_MS));
      await session.send("Page.setWebLifecycleState", { state: "active" });
      await track(page, "thawed");
      await gate.took("freezing");
      await gate.took("thawed");
    },
    stored(rows) {
      assert.deepEqual(names(rows), ["page_view", "freezing", "thawed"]);
    },
  },

  "a frozen tab that the browser discards, or that is killed in the middle of a request, loses and doubles nothing": {
    chromium: "crashes and freezes by its own protocol",
    async act({ open, gate, context }) {
      const frozen = await open("/frozen");
      await gate.took("page_view");
      const session = await context.newCDPSession(frozen);
      gate.act = () => "cut";
      await track(frozen, "before_discard");
      await session.send("Page.setWebLifecycleState", { state: "frozen" });
      await crash(context, frozen);
      let reached;
      const stored = new Promise((resolve) => {
        reached = resolve;
      });
      gate.act = () => "pass";
      const killed = await open("/killed");
      await gate.took("before_discard");
      gate.act = () => {
        reached();
        return "deaf"; // the collector has it, the tab never hears so
      };
      await track(killed, "mid_send");
      await stored;
      await crash(context, killed);
      gate.act = () => "pass";
      await aMinuteLater(context);
      const later = await open("/later");
      await track(later, "the_last");
      await gate.took("the_last");
      return { copies: gate.taken.filter(({ event }) => event === "mid_send").length };
    },
    stored(rows, { note }) {
      assert.ok(note.copies >= 1);
      assert.deepEqual(
        steps(rows).toSorted(),
        [
          "before_discard /frozen",
          "mid_send /killed",
          "page_view /frozen",
          "page_view /killed",
          "page_view /later",
          "the_last /later",
        ].toSorted(),
      );
    },
  },

  "a browser whose fetch cannot outlive its page leaves by beacon; the copy it keeps is not stored twice": {
    async act({ open, gate, context }) {
      await context.addInitScript(() => {
        delete Request.prototype.keepalive;
      });
      const page = await open("/old");
      await gate.took("page_view");
      await complete(page);
      await track(page, "by_beacon");
      await page.close({ runBeforeUnload: true });
      await gate.took("by_beacon");
      const next = await open("/next");
      await track(next, "the_last");
      await gate.took("the_last");
      return { copies: gate.taken.filter(({ event }) => event === "by_beacon").length };
    },
    stored(rows, { note }) {
      assert.ok(note.copies >= 2, "the beacon was taken for a delivery");
      assert.deepEqual(steps(rows), ["page_view /old", "by_beacon /old", "page_view /next", "the_last /next"]);
    },
  },

  // Networks and servers that fail

  "offline, then online: all is stored with the time at which it happened": {
    async act({ open, gate, context }) {
      const page = await open("/");
      await gate.took("page_view");
      await context.setOffline(true);
      for (const name of numbered("off", 5)) await track(page, name);
      for (let failure = 0; failure < 2; failure++) await page.waitForEvent("requestfailed");
      await context.setOffline(false);
      await gate.took("off_4");
    },
    stored(rows) {
      assert.deepEqual(names(rows), ["page_view", ...numbered("off", 5)]);
      const waited = of(rows, "off_0").map((row) => ms(row.received_at) - ms(row.occurred_at));
      assert.ok(waited[0] > 500, `${waited} ms`);
    },
  },

  "503, an answer that is lost, a cut line and a slow server: each event is stored once": {
    async act({ open, gate }) {
      const fates = [{ status: 503 }, "deaf", "cut", { status: 500 }];
      gate.act = (number) => fates[number - 1] ?? "pass";
      const page = await open("/");
      for (const name of numbered("e", 5)) await track(page, name);
      await gate.until(() => gate.count("e_4"), "the events");
      gate.act = () => new Promise((done) => setTimeout(done, 2500, "pass"));
      await track(page, "slowly");
      await track(page, "the_last");
      await gate.took("the_last");
      const { size } = new Set(gate.taken.map(({ messageId }) => messageId));
      return { copies: gate.taken.length - size };
    },
    stored(rows, { note }) {
      assert.ok(note.copies > 0, "no event was sent twice, so nothing was shown");
      assert.deepEqual(names(rows), ["page_view", ...numbered("e", 5), "slowly", "the_last"]);
    },
  },

  "429 with Retry-After is waited out, on the next page too": {
    async act({ open, gate, origin }) {
      const times = [];
      gate.act = (number) => {
        times.push(Date.now());
        return number === 1 ? { status: 429, headers: { "Retry-After": "3" } } : "pass";
      };
      const page = await open("/first");
      await gate.until(() => gate.posts === 1, "the first attempt");
      await page.waitForFunction(() => window.footfall.status().waitsUntil > 0);
      await page.goto(`${origin}/second`);
      await gate.took("page_view", 2);
      return { waited: times[1] - times[0] };
    },
    stored(rows, { note }) {
      assert.ok(note.waited >= 3000, `tried again after ${note.waited} ms`);
      assert.deepEqual(steps(rows), ["page_view /first", "page_view /second"]);
    },
  },

  "413 is met with smaller batches, and over 64 KiB goes out in parts; all is stored": {
    async act({ open, gate }) {
      const page = await open("/");
      await gate.took("page_view");
      gate.act = (_, batch) => (batch.length > 6 ? { status: 413 } : "pass");
      await page.evaluate(() => {
        for (let i = 0; i < 10; i++) window.footfall("track", `small_${i}`);
      });
      await gate.took("small_9");
      gate.act = () => "pass";
      await page.evaluate(() => {
        for (let i = 0; i < 30; i++) window.footfall("track", `large_${i}`, { text: "ä".repeat(3000) });
      });
      await gate.took("large_29");
    },
    stored(rows) {
      assert.deepEqual(names(rows), ["page_view", ...numbered("small", 10), ...numbered("large", 30)]);
      assert.ok(of(rows, "large_29")[0].properties.text.length === 3000);
    },
  },

  "200 events of one moment are stored once each, in their order": {
    async act({ open, gate }) {
      const page = await open("/");
      await page.evaluate(() => {
        for (let i = 0; i < 200; i++) window.footfall("track", `e_${i}`);
      });
      await gate.took("e_199");
    },
    stored(rows) {
      assert.deepEqual(names(rows), ["page_view", ...numbered("e", 200)]);
    },
  },

  "a full queue gives up the oldest and says how many": {
    async act({ open, gate }) {
      gate.act = () => ({ status: 503 });
      const page = await open("/");
      await page.evaluate(() => {
        for (let i = 0; i < 400; i++) window.footfall("track", `e_${i}`);
      });
      await page.waitForFunction(() => window.footfall.status().dropped > 0);
      gate.act = () => "pass";
      await gate.took("e_399");
      await page.waitForFunction(() => !window.footfall.status().queued);
      return page.evaluate(() => window.footfall.status().dropped);
    },
    stored(rows, { note }) {
      const kept = names(rows);
      assert.equal(kept.length + note, 401, "events are neither stored nor counted as dropped");
      assert.deepEqual(kept, numbered("e", 400).slice(-kept.length));
      assert.ok(kept.length >= 300, `${kept.length} kept`);
      assert.equal(rows.at(-1).context.dropped, note);
    },
  },

  // Storage

  "storage denied, full or cleared costs nothing but memory": {
    async act({ open, gate, newContext }) {
      const denied = await newContext();
      await denied.addInitScript(() => {
        Object.defineProperty(window, "localStorage", { get: () => decodeURIComponent("%") });
      });
      const full = await newContext();
      await full.addInitScript(() => {
        for (let size = 2 ** 22, i = 0; size >= 1; ) {
          try {
            localStorage[`fill${i}`] = "x".repeat(size);
            i++;
          } catch {
            size >>= 1;
          }
        }
      });
      const cleared = await newContext();
      for (const [name, context] of Object.entries({ denied, full, cleared })) {
        const page = await open(`/${name}`, { context });
        await gate.until(() => gate.taken.some(({ properties }) => properties.path === `/${name}`), "the view");
        if (name === "cleared") await page.evaluate(() => localStorage.clear());
        for (const event of numbered(name, 3)) await track(page, event);
        await gate.took(`${name}_2`);
      }
    },
    stored(rows) {
      for (const name of ["denied", "full", "cleared"]) {
        const own = rows.filter(({ path }) => path === `/${name}`);
        assert.deepEqual(names(own), ["page_view", ...numbered(name, 3)]);
        // Who is forgotten in the middle of a visit is another visitor from then on.
        assert.equal(distinct(lasting(own), "visitor_id").length, name === "cleared" ? 2 : 1);
      }
    },
  },

  "two tabs share one queue and one visitor, and neither loses nor doubles": {
    async act({ open, gate }) {
      gate.act = (number) => (number % 2 ? { status: 503 } : "pass");
      const one = await open("/one");
      await gate.until(() => gate.posts > 0, "the first attempt");
      const two = await open("/two");
      // At the same time, as only then one tab could see what the other is in the middle of writing.
      const busy = (page, name) =>
        page.evaluate(async (prefix) => {
          for (let i = 0; i < 50; i++) {
            window.footfall("track", `${prefix}_${i}`);
            await new Promise((done) => setTimeout(done));
          }
        }, name);
      await Promise.all([busy(one, "one"), busy(two, "two")]);
      await two.close();
      gate.act = () => "pass";
      await gate.took("one_49");
      await gate.took("two_49");
    },
    stored(rows) {
      assert.deepEqual(
        names(rows).sort(),
        ["page_view", "page_view", ...numbered("one", 50), ...numbered("two", 50)].sort(),
      );
      assert.equal(distinct(lasting(rows), "visitor_id").length, 1);
    },
  },

  // Clocks

  "a clock that is three hours off, either way, is put right by the collector": {
    async act({ open, gate, newContext }) {
      for (const [name, hours] of [
        ["late", -3],
        ["early", 3],
      ]) {
        const context = await newContext();
        await wrongClock(context, hours * 3_600_000);
        const page = await open(`/${name}`, { context });
        await track(page, name);
        await gate.took(name);
      }
    },
    stored(rows) {
      assert.deepEqual(names(rows).sort(), ["early", "late", "page_view", "page_view"]);
      for (const row of rows) {
        const offHours = (ms(row.occurred_at) - ms(row.received_at)) / 3_600_000;
        assert.ok(Math.abs(Math.abs(offHours) - 3) < 0.05, `the client's claim is ${offHours} h off`);
        assert.ok(Math.abs(ms(row.event_time) - ms(row.received_at)) < 90_000, "the clock was not put right");
      }
    },
  },

  "the hour that comes twice in autumn keeps events in order and apart": {
    async act({ open, gate, newContext }) {
      gate.act = () => ({ status: 503 }); // until all can go in one request: each request's clock is put right for itself
      const context = await newContext({ timezoneId: "America/New_York" });
      // Two seconds before clocks in New York go from 01:59:59 back to 01:00:00.
      await wrongClock(context, Date.parse("2026-11-01T05:59:58Z") - Date.now());
      const page = await open("/", { context });
      await track(page, "before_the_change");
      await page.evaluate(() => window.jump(10_000));
      await track(page, "after_the_change");
      const hours = await page.evaluate(() => [new Date(Date.now() - 20_000).getHours(), new Date().getHours()]);
      assert.deepEqual(hours, [1, 1]);
      gate.act = () => "pass";
      await gate.took("after_the_change");
    },
    stored(rows) {
      assert.deepEqual(names(rows), ["page_view", "before_the_change", "after_the_change"]);
      const [before, after] = [only(rows, "before_the_change"), only(rows, "after_the_change")];
      const apart = ms(after.occurred_at) - ms(before.occurred_at);
      assert.ok(apart >= 10_000 && apart < 25_000, `${apart} ms apart`);
      assert.equal(ms(after.event_time) - ms(before.event_time), apart);
    },
  },

  // Consent and privacy

  "consent pending: nothing until granted, then all with its own time; denied: nothing ever": {
    async act({ open, gate, site, snippet, newContext }) {
      site.snippet = snippet('data-consent="pending"');
      const page = await open("/granted");
      await track(page, "waited");
      const denied = await open("/denied", { context: await newContext() });
      await track(denied, "refused");
      await pause(page);
      assert.equal(gate.posts, 0);
      assert.deepEqual(await page.evaluate(() => [Object.keys(localStorage), document.cookie]), [[], ""]);
      await denied.evaluate(() => window.footfall("consent", "denied"));
      await track(denied, "after_the_answer");
      await denied.reload();
      await ready(denied);
      await track(denied, "on_the_next_page");
      await page.evaluate(() => window.footfall("consent", "granted"));
      await gate.took("waited");
      await pause(denied);
    },
    stored(rows) {
      assert.deepEqual(steps(rows), ["page_view /granted", "waited /granted"]);
      for (const row of lasting(rows)) assert.ok(ms(row.received_at) - ms(row.occurred_at) >= 1000, "not its own time");
    },
  },

  "consent withdrawn ends it in all tabs; who opts in again is somebody new": {
    async act({ open, gate, context }) {
      const page = await open("/one");
      const other = await open("/two");
      await gate.took("page_view", 2);
      await page.evaluate(() => window.footfall("consent", "denied"));
      await other.waitForFunction(() => window.footfall.status().consent === "denied");
      await track(page, "one_after");
      await track(other, "two_after");
      for (const tab of context.pages()) await tab.close();
      const last = await open("/three");
      await last.evaluate(() => window.footfall("consent", "granted"));
      await track(last, "agreed");
      await gate.took("agreed");
    },
    stored(rows) {
      assert.deepEqual(steps(rows).sort(), ["agreed /three", "page_view /one", "page_view /three", "page_view /two"]);
      assert.equal(distinct(lasting(rows), "visitor_id").length, 2);
    },
  },

  "what a category was not granted for is not stored; what was said is": {
    async act({ open, gate, site, snippet }) {
      site.snippet = snippet('data-consent="pending"');
      const page = await open("/");
      await page.evaluate(() => {
        window.footfall("track", "ad_before", {}, { consent: "marketing" });
        window.footfall("consent", { analytics: true, marketing: false });
        window.footfall("track", "ad_after", {}, { consent: ["analytics", "marketing"] });
        window.footfall("track", "use_after", {}, { consent: "analytics" });
      });
      await gate.took("use_after");
    },
    stored(rows) {
      assert.deepEqual(names(rows), ["page_view", "use_after"]);
      assert.deepEqual(only(rows, "use_after").context.consent, { analytics: true, marketing: false });
    },
  },

  "Global Privacy Control, Do Not Track and an opt-out that lasts store nothing": {
    async act({ open, gate, site, snippet, newContext }) {
      const controlled = await newContext();
      await controlled.addInitScript(() => {
        Object.defineProperty(navigator, "globalPrivacyControl", { value: true });
      });
      const asked = await newContext();
      await asked.addInitScript(() => Object.defineProperty(navigator, "doNotTrack", { value: "1" }));
      const page = await open("/gpc", { context: controlled });
      await track(page, "controlled");
      const out = await open("/opt_out");
      await out.evaluate(() => window.footfall("consent", "denied"));
      const before = gate.taken.length;
      await track(out, "opted_out");
      await out.goto(out.url().replace("opt_out", "opt_out_again"));
      await ready(out);
      await track(out, "opted_out_again");
      site.snippet = snippet('data-dnt="on"');
      const third = await open("/dnt", { context: asked });
      await track(third, "asked_not_to");
      for (const tab of [page, out, third]) await pause(tab);
      return { before };
    },
    stored(rows) {
      // The view of the moment before the visitor opted out may have been on its way.
      assert.deepEqual(
        steps(rows).filter((step) => step !== "page_view /opt_out"),
        [],
      );
    },
  },

  "cookieless: one visitor for the day, named by the collector, and nothing kept in the browser": {
    async act({ open, gate, site, snippet, newContext, origin }) {
      site.snippet = snippet('data-storage="none"');
      const page = await open("/one");
      await gate.took("page_view");
      await page.goto(`${origin}/two`);
      await gate.took("page_view", 2);
      await track(page, "by_nobody");
      await gate.took("by_nobody");
      await open("/three", { context: await newContext() }); // the same device, its storage gone
      await gate.took("page_view", 3);
      const kept = await page.evaluate(() => [Object.keys(localStorage), Object.keys(sessionStorage), document.cookie]);
      assert.deepEqual(kept, [[], [], ""]);
    },
    stored(rows) {
      assert.deepEqual(steps(rows), ["page_view /one", "page_view /two", "by_nobody /two", "page_view /three"]);
      const days = distinct(
        rows.map(({ received_at }) => ({ day: received_at.slice(0, 10) })),
        "day",
      );
      assert.equal(distinct(rows, "visitor_id").length, days.length);
      assert.ok(rows.every(({ visitor_id, user_id }) => visitor_id && !UUID.test(visitor_id) && !user_id));
    },
  },

  // Who it is

  "identify, group and alias hold on later pages; after reset the device is somebody else's": {
    async act({ open, gate, origin }) {
      const page = await open("/first");
      await page.evaluate(() => {
        window.footfall("identify", "ann", { plan: "pro" });
        window.footfall("group", "acme", { seats: 3 });
        window.footfall("alias", "ann@2");
      });
      await page.goto(`${origin}/second`);
      await gate.took("page_view", 2);
      await page.evaluate(() => {
        window.footfall("reset");
        window.footfall("track", "as_nobody");
        window.footfall("identify", "bob");
        window.footfall("track", "as_bob");
      });
      await gate.took("as_bob");
    },
    stored(rows) {
      const told = lasting(rows).map((row) => [row.event, row.user_id, row.group_id, row.previous_id]);
      assert.deepEqual(told, [
        ["page_view", "", "", ""],
        ["identify", "ann", "", ""],
        ["group", "ann", "acme", ""],
        ["alias", "ann@2", "acme", "ann"],
        ["page_view", "ann@2", "acme", ""],
        ["as_nobody", "", "", ""],
        ["identify", "bob", "", ""],
        ["as_bob", "bob", "", ""],
      ]);
      const [ann, bob] = [distinct(rows.slice(0, 5), "visitor_id"), distinct(lasting(rows).slice(5), "visitor_id")];
      assert.deepEqual([ann.length, bob.length, ann[0] === bob[0]], [1, 1, false]);
      assert.deepEqual([rows[1].traits, rows[2].traits], [{ plan: "pro" }, { seats: 3 }]);
    },
  },

  "subdomains share one visitor by a cookie": {
    async act({ open, gate, site, snippet, name, host }) {
      site.snippet = snippet(`data-cookie-domain=".${name}.localhost"`);
      const page = await open("/one", { host: `www.${host}` });
      await gate.took("page_view");
      await page.goto(`http://help.${host}/two`);
      await gate.took("page_view", 2);
    },
    stored(rows) {
      assert.deepEqual(
        of(rows, "page_view").map(({ host, path }) => host.split(".")[0] + path),
        ["www/one", "help/two"],
      );
      assert.equal(distinct(lasting(rows), "visitor_id").length, 1);
    },
  },

  "a link to a listed domain carries the visitor; to another, or forged, it carries nobody": {
    async act({ open, gate, site, snippet, host, name }) {
      site.snippet = snippet(`data-link-domains="a.${name}.localhost b.${name}.localhost"`);
      site.bodies["/first"] =
        `<a id="listed" href="http://b.${host}/landing">b</a> <a id="other" href="http://c.${host}/other">c</a>`;
      const page = await open("/first", { host: `a.${host}` });
      await gate.took("page_view");
      const answered = page.waitForResponse(/v1\/link/);
      await page.hover("#listed");
      await (await answered).finished();
      await page.click("#listed");
      await page.waitForURL(`http://b.${host}/landing`);
      await gate.took("page_view", 2);
      await page.goto(`http://a.${host}/first`);
      await gate.took("page_view", 3);
      await page.hover("#other");
      await page.click("#other");
      await page.waitForURL(`http://c.${host}/other`);
      await gate.took("page_view", 4);
      const stranger = await open("/first", { host: `d.${host}` });
      await stranger.goto(`http://b.${host}/forged?footfall_link=forged`);
      await gate.took("page_view", 6);
    },
    stored(rows) {
      const who = Object.fromEntries(
        of(rows, "page_view").map(({ host, path, visitor_id }) => [host.split(".")[0] + path, visitor_id]),
      );
      assert.deepEqual(Object.keys(who).sort(), ["a/first", "b/forged", "b/landing", "c/other", "d/first"]);
      assert.equal(of(rows, "page_view").length, 6);
      assert.equal(who["b/landing"], who["a/first"]);
      assert.notEqual(who["c/other"], who["a/first"]);
      assert.notEqual(who["d/first"], who["a/first"]);
      assert.equal(who["b/forged"], who["b/landing"], "a forged token changed who the visitor is");
      assert.ok(rows.every(({ url, query }) => !/footfall_link/.test(url + query)));
    },
  },

  // Where the visit came from

  "the landing page's campaign and click id are columns of every later event of the session": {
    whole: true,
    async act({ open, gate, origin }) {
      const page = await open("/landing?utm_source=mail&utm_medium=email&utm_campaign=autumn&a=1&gclid=g-1");
      await page.goto(`${origin}/next`);
      await track(page, "later");
      await gate.took("later");
    },
    stored(rows, { sessions }) {
      const told = lasting(rows).map((row) => [
        row.event,
        row.path,
        row.utm_source,
        row.utm_medium,
        row.utm_campaign,
        row.click_id_type,
        row.click_id,
      ]);
      const campaign = ["mail", "email", "autumn", "gclid", "g-1"];
      assert.deepEqual(told, [
        ["page_view", "/landing", ...campaign],
        ["page_view", "/next", ...campaign],
        ["later", "/next", ...campaign],
      ]);
      assert.deepEqual(
        sessions.map(({ utm_source, utm_campaign, pageviews }) => [utm_source, utm_campaign, pageviews]),
        [["mail", "autumn", 2]],
      );
    },
  },

  "the referrer is what the page before allowed to be told": {
    async act({ open, gate, site, host, newContext }) {
      for (const [path, policy] of Object.entries({
        "/none": "no-referrer",
        "/origin": "origin",
        "/whole": "unsafe-url",
      })) {
        site.bare.push(path);
        site.headers[path] = { "Content-Type": "text/html", "Referrer-Policy": policy };
        site.bodies[path] = `<a href="http://shop.${host}/from${path}">shop</a>`;
        const page = await open(`${path}?q=x`, { host: `news.${host}`, context: await newContext(), wait: false });
        await page.click("a");
        await page.waitForURL(/from/);
      }
      await gate.took("page_view", 3);
    },
    stored(rows, { host }) {
      const told = of(rows, "page_view").map((row) => [row.path, row.referrer, row.channel]);
      assert.deepEqual(told.sort(), [
        ["/from/none", "", "direct"],
        ["/from/origin", `http://news.${host}/`, "referral"],
        ["/from/whole", `http://news.${host}/whole?q=x`, "referral"],
      ]);
    },
  },

  // Browsers and pages of their own kind

  "where a policy forbids requests but not images, events come as images, once each, and leave the queue": {
    async act({ open, gate, site }) {
      site.headers["*"] = { "Content-Security-Policy": "connect-src 'none'" };
      const page = await open("/forbidden");
      await page.evaluate(() => {
        window.footfall("track", "seen_by_image", { note: "Grüße & more", n: 3 });
        const long = { a: "x".repeat(3500), b: "x".repeat(3500), c: "x".repeat(3500) };
        window.footfall("track", "too_long_for_one", long);
        window.footfall("consent", { analytics: true });
        window.footfall.track("with_consent", {}, { consent: "analytics" });
      });
      await gate.took("with_consent");
      await gate.took("seen_by_image");
      // What is stored is in the queue no more; the long event waits for a request.
      await page.waitForFunction(() => window.footfall.status().queued === 1);
      assert.equal(gate.count("too_long_for_one"), 0);
      delete site.headers["*"];
      await page.goto(page.url().replace("/forbidden", "/allowed"));
      await gate.took("too_long_for_one");
    },
    stored(rows, { origin }) {
      const short = names(rows).filter((name) => name !== "too_long_for_one");
      assert.deepEqual(short.sort(), ["page_view", "page_view", "seen_by_image", "with_consent"]);
      only(rows, "too_long_for_one");
      const { properties, url, library, sequence, title } = only(rows, "seen_by_image");
      assert.deepEqual([properties, url], [{ note: "Grüße & more", n: 3 }, `${origin}/forbidden`]);
      assert.deepEqual([title, sequence], ["Page /forbidden", 2]);
      assert.match(library, /^footfall\.js /);
      assert.equal(distinct(lasting(rows), "visitor_id").length, 1);
    },
  },

  "a strict content security policy with nonces and Trusted Types is kept": {
    async act({ open, gate, site, snippet, policy }) {
      site.snippet = snippet('data-extras="vitals"', "nonce");
      site.headers["*"] = {
        "Content-Security-Policy": `default-src 'none'; ${policy.replaceAll("COLLECTOR", gate.origin)}; require-trusted-types-for 'script'; trusted-types 'none'`,
      };
      site.heads["/"] =
        "<script nonce='n1'>window.broken = []; document.addEventListener('securitypolicyviolation', (event) => /favicon/.test(event.blockedURI) || broken.push(event.blockedURI + event.violatedDirective))</script>";
      const page = await open("/");
      await track(page, "under_policy");
      await gate.took("under_policy");
      await gate.took("web_vital");
      assert.deepEqual(await page.evaluate(() => window.broken), []);
    },
    stored(rows) {
      assert.deepEqual(
        names(rows).filter((name) => name !== "web_vital"),
        ["page_view", "under_policy"],
      );
      const vitals = of(rows, "web_vital");
      assert.equal(new Set(vitals.map(({ properties }) => properties.name)).size, vitals.length);
      assert.deepEqual(
        rows.flatMap(({ event, violations }) => (event === "web_vital" ? violations : [])),
        [],
      );
    },
  },

  "a driven browser is flagged, kept, and counts in no session": {
    whole: true,
    async act({ open, gate, newContext }) {
      const page = await open("/", { context: await newContext({ driven: true }) });
      await track(page, "by_a_program");
      await gate.took("by_a_program");
    },
    stored(rows, { sessions }) {
      assert.deepEqual(
        lasting(rows).map(({ event, is_bot, bot_reason, device_class }) => [event, is_bot, bot_reason, device_class]),
        [
          ["page_view", true, "webdriver", "bot"],
          ["by_a_program", true, "webdriver", "bot"],
        ],
      );
      assert.deepEqual(sessions, []);
    },
  },

  "a site on the public web is production, and one without https loses nothing": {
    async act({ open, gate, site, snippet, newContext, name, sites }) {
      // Another machine's name, by a proxy: no secure context, so neither Web Locks nor crypto.randomUUID.
      const context = await newContext({ proxy: { server: `http://127.0.0.1:${sites.port}` } });
      site.snippet = snippet("", "plain", `http://t.${name}.example`);
      const page = await open("/", { context, host: `www.${name}.example` });
      await track(page, "insecure");
      await gate.took("insecure");
      return page.evaluate(() => [isSecureContext, "locks" in navigator]);
    },
    stored(rows, { note, name }) {
      assert.deepEqual(note, [false, false]);
      assert.deepEqual(
        lasting(rows).map(({ event, host, environment }) => [event, host, environment]),
        [
          ["page_view", `www.${name}.example`, "prod"],
          ["insecure", `www.${name}.example`, "prod"],
        ],
      );
    },
  },

  "hostile properties: what can be kept is stored, the rest harms nobody": {
    async act({ open, gate }) {
      const page = await open("/");
      await page.evaluate(() => {
        const cycle = { name: "ring" };
        cycle.self = cycle;
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
        window.footfall("track", "huge", { text: "x".repeat(1_000_000), after: 1 });
        window.footfall("track", "deep", JSON.parse(`${'{"a":'.repeat(500)}1${"}".repeat(500)}`));
        window.footfall("nonsense");
        window.footfall("track", "the_last", null);
      });
      await gate.took("the_last");
    },
    stored(rows) {
      assert.deepEqual(names(rows), ["page_view", "odd", "huge", "deep", "the_last"]);
      assert.deepEqual(only(rows, "odd").properties, {
        cycle: { name: "ring" },
        big: "12",
        node: "BODY",
        lone: "a\ufffdb",
        list: [1, null],
      });
      assert.match(only(rows, "huge").properties.text, /^x{3000,4096}$/);
      assert.equal(only(rows, "huge").properties.after, 1);
    },
  },

  "a plugin may change and drop events; neither what it throws nor a page that breaks JSON harms anybody": {
    async act({ open, gate, origin }) {
      const page = await open("/");
      await gate.took("page_view");
      await page.evaluate(() => {
        window.footfall.plugin((tag) => {
          tag.before(() => {
            throw new Error("plugin");
          });
          tag.before((event) => {
            if (event.event === "unwanted") return false;
            return event.event === "old" ? { ...event, event: "renamed" } : undefined;
          });
        });
        window.footfall.plugin(() => {
          throw new Error("at once");
        });
        window.footfall("track", "unwanted");
        window.footfall("track", "old");
        const broken = () => "broken by the page";
        Array.prototype.toJSON = Object.prototype.toJSON = String.prototype.toJSON = broken;
        Array.prototype.added = 1;
        JSON.stringify = broken;
        JSON.parse = () => decodeURIComponent("%");
        const [fetched, Dated] = [window.fetch, Date];
        window.fetch = async (...given) => fetched(...given);
        window.Date = class extends Dated {};
        window.footfall("track", "survived", { list: [1, { a: "b" }] });
        window.footfall("flush");
      });
      await gate.took("renamed");
      await gate.took("survived");
      await page.evaluate(() => {
        window.fetch = () => decodeURIComponent("%");
        window.footfall("track", "held_up");
      });
      await pause(page);
      await page.goto(`${origin}/next`); // a page that left fetch alone
      await gate.took("held_up");
    },
    stored(rows) {
      assert.deepEqual(names(rows), ["page_view", "renamed", "survived", "held_up", "page_view"]);
      assert.deepEqual(only(rows, "survived").properties, { list: [1, { a: "b" }] });
    },
  },

  "status() and the debug overlay say what was stored": {
    async act({ open, gate }) {
      const page = await open("/?footfall-debug");
      await track(page, "watched");
      await track(page, "purchase", { value: "free", currency: "EUR" });
      await page.waitForFunction(() => {
        const text = document.querySelector("footfall-debug")?.shadowRoot.textContent ?? "";
        return text.includes("watched: accepted") && text.includes("wrong_type");
      });
      await gate.took("purchase");
      await page.waitForFunction(() => !window.footfall.status().queued);
      return page.evaluate(() => window.footfall.status());
    },
    stored(rows, { note, failed }) {
      assert.deepEqual(names(rows), ["page_view", "watched"]);
      assert.deepEqual(
        failed.map(({ event, reason, pointer }) => [event, reason, pointer]),
        [["purchase", "wrong_type", "/properties/value"]],
      );
      assert.deepEqual([note.sent, note.queued, note.dropped, note.lastStatus], [3, 0, 0, 200]);
      assert.deepEqual([note.visitor, failed[0].visitor_id], [rows[0].visitor_id, rows[0].visitor_id]);
    },
  },

  "each helper generated from the plan stores its event in the version it was generated for": {
    async act({ open, gate, site, snippet, helpers, planned }) {
      site.snippet = snippet('data-page-views="off" data-clicks="off"'); // the helpers' events alone
      site.bodies["/"] = `<script type="module">${helpers}</script>`;
      await open("/");
      for (const { event, version } of planned) await gate.took(`${event}@${version}`);
    },
    stored(rows, { planned }) {
      assert.deepEqual(
        rows.map((row) => [row.event, row.event_version, row.properties, row.violations]),
        planned.map(({ event, version, properties }) => [event, version, properties, []]),
      );
      const sale = only(rows, "purchase");
      assert.deepEqual([sale.conversion, sale.value, sale.currency], ["macro", 99.5, "EUR"]);
    },
  },

  "without script the page's image counts the view, and an e-mail's its opening": {
    async act({ site, newContext, email, gate }) {
      site.headers["/mail"] = { "Content-Type": "text/html" };
      site.bare.push("/mail");
      const written = email.replaceAll("COLLECTOR", gate.origin);
      site.bodies["/mail"] = written.replace("USER_ID", `reader-${site.name}`).replace("CAMPAIGN", "autumn");
      const context = await newContext({ javaScriptEnabled: false });
      for (const path of ["/plain?utm_source=mail", "/mail"]) {
        const page = await context.newPage();
        await page.goto(`http://${site.host}${path}`); // with its images
      }
    },
    stored(rows, { mails, name }) {
      assert.deepEqual(steps(rows), ["page_view /plainutm_source=mail", "email_opened /"]);
      assert.equal(rows[0].utm_source, "mail");
      const [opened] = mails;
      assert.deepEqual([mails.length, opened.event, opened.user_id], [1, "email_opened", `reader-${name}`]);
      assert.equal(opened.properties.campaign, "autumn");
    },
  },
};

// The run

/** @type {Record<string, Promise<import("playwright-core").Browser>>} */
const launched = {};
/** Firefox, or the Chromium that can play the scenario: see chromium.mjs. */
const browserOf = (name, engine) => {
  const kind = engine === "firefox" ? engine : scenarios[name].whole ? "whole" : "shell";
  launched[kind] ??= kind === "firefox" ? firefox.launch() : chromium.launch(kind === "shell");
  return launched[kind];
};
const sites = await new Sites().start();
/** @type {Record<string, object>} what is known of each scenario's play */
const plays = {};

async function play(name, index, world) {
  const { chromium: alone } = scenarios[name];
  if (alone && world.browser !== "chromium") {
    plays[name] = { error: `skipped: only Chromium ${alone}` };
    return;
  }
  const slug = `s${index}`;
  const host = `${slug}.localhost:${sites.port}`;
  const gate = await new Gate().start(world.url);
  const errors = [];
  const contexts = [];
  const newContext = async ({ driven = false, ...options } = {}) => {
    const context = await (await browserOf(name, world.browser)).newContext({
      viewport: { width: 1280, height: 720 },
      ...options,
    });
    contexts.push(context);
    context.on("weberror", (error) => {
      const text = String(error.error());
      // Firefox takes what a policy forbids, or a file that cannot be had, for an error of the page.
      if (!/favicon\.ico|^(Error: )?Content-Security-Policy|^Cross-Origin Request Blocked/.test(text))
        errors.push(text);
    });
    // A visitor's browser is driven by nobody; of a driven one the collector would say that it is a bot.
    if (!driven)
      await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "webdriver", { get: () => false }));
    return context;
  };
  const snippet = (attributes = "", kind = "plain", origin = gate.origin) =>
    world.snippets[kind].replaceAll("COLLECTOR", origin).replace("data-write-key", `${attributes} data-write-key`);
  const site = {
    name: slug,
    host,
    gate,
    snippet: snippet(),
    heads: {},
    bodies: {},
    headers: {},
    statuses: {},
    holds: {},
    bare: [],
  };
  sites.of[slug] = site;
  const played = { name: slug, host, origin: `http://${host}`, site, gate, snippet, newContext, sites, ...world };
  plays[name] = { played, gate };
  try {
    const context = await newContext();
    const open = async (path, { host: at = host, context: where = context, wait = true } = {}) => {
      const page = await where.newPage();
      await page.goto(`http://${at}${path}`, { waitUntil: wait ? "load" : "commit" });
      if (wait) await ready(page);
      return page;
    };
    plays[name].note = await scenarios[name].act({ ...played, context, open });
    if (errors.length) throw new Error(`the page saw errors: ${errors.join("; ")}`);
  } catch (error) {
    plays[name].error = error.stack;
  } finally {
    for (const context of contexts) await context.close();
  }
}

async function playAll(world) {
  const left = world.chosen.entries();
  // Each of these takes the next scenario when it is done with one.
  await Promise.all(
    Array.from({ length: AT_ONCE[world.browser] }, async () => {
      for (const [index, name] of left) await play(name, index + 1, world);
    }),
  );
  return Object.fromEntries(Object.entries(plays).map(([name, { error }]) => [name, error ?? null]));
}

/** @param {{rows: object[], failed: object[], sessions: object[]}} found all that is stored */
function judge({ rows, failed, sessions }) {
  const verdict = ([name, { played, note }]) => {
    if (!played) return [name, null];
    const mine = new RegExp(`\\b${played.name}\\.(localhost|example)`);
    const own = rows.filter(({ host }) => mine.test(host));
    const visitors = new Set(own.map(({ visitor_id }) => visitor_id));
    try {
      scenarios[name].stored(own, {
        ...played,
        note,
        failed: failed.filter(({ raw }) => mine.test(raw)),
        sessions: sessions.filter(({ visitor_id }) => visitors.has(visitor_id)),
        mails: rows.filter(({ user_id }) => user_id === `reader-${played.name}`),
      });
      return [name, null];
    } catch (error) {
      return [
        name,
        `${error.stack}\n${JSON.stringify(own.map(({ event, url, visitor_id, sequence }) => [event, url, visitor_id, sequence]))}`,
      ];
    }
  };
  return Object.fromEntries(Object.entries(plays).map(verdict));
}

if (process.argv.includes("--list")) {
  console.log(Object.keys(scenarios).join("\n"));
} else {
  for await (const line of createInterface({ input: process.stdin })) {
    const asked = JSON.parse(line);
    console.log(JSON.stringify(asked.play ? await playAll(asked.play) : judge(asked.judge)));
  }
  for (const browser of Object.values(launched)) await (await browser).close();
  for (const { gate } of Object.values(plays)) gate?.stop();
}
sites.stop();
