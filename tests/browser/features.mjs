/**
 * What the tag sees by itself, one behaviour each; the name is the promise. A scenario acts as a visitor would and asserts
 * on what the collector received. Numbers in brackets are those of the checks the project counts for every tag.
 */
import assert from "node:assert/strict";
import { complete, fetched, holdMore, holdStart, movableClock, pass } from "./second_part.mjs";

const named = (collector, ...names) =>
  collector.stored.filter(({ type, event }) => names.includes(type === "page" ? "page_view" : event));
const told = (collector, name) => named(collector, name).map(({ properties }) => properties);

/** Ends a scenario that promises silence: whatever was to be sent before this event has arrived when it has. */
async function last(page, collector, name = "the_last") {
  await page.evaluate((event) => window.footfall("track", event), name);
  await collector.until(() => collector.tracked.includes(name), "the last event");
}

const arrived = (collector, name, count = 1, deadlineMs = undefined) =>
  collector.until(() => named(collector, name).length >= count, `${count} ${name}`, deadlineMs);

/** Headless tabs are never hidden; this is what the page would see if they were. */
const show = (page, visible) =>
  page.evaluate(
    (state) => {
      Object.defineProperty(document, "visibilityState", { value: state, configurable: true });
      Object.defineProperty(document, "hidden", { value: state === "hidden", configurable: true });
      document.dispatchEvent(new Event("visibilitychange", { bubbles: true }));
    },
    visible ? "visible" : "hidden",
  );

/** The driver pretends that every tab has the focus; from now on this one has it only when it is in front. */
async function realFocus(context, page) {
  const session = await context.newCDPSession(page);
  await session.send("Emulation.setFocusEmulationEnabled", { enabled: false });
}

/** Whatever the tag does a second after now has been done: the page's timers run in the order of their times. */
const second = (page) => page.evaluate(() => new Promise((done) => setTimeout(done, 1050)));

const about = (ms, wanted) => assert.ok(ms >= wanted && ms < wanted + 3000, `${ms} ms, not about ${wanted}`);

const LONG = '<p style="height:3000px">long</p>';

/** A sound of so many seconds of silence: 8 bits, 8000 a second. */
function silence(seconds) {
  const bytes = Buffer.alloc(44 + seconds * 8000, 0x80);
  bytes.write("RIFF", 0);
  bytes.writeUInt32LE(bytes.length - 8, 4);
  bytes.write("WAVEfmt ", 8);
  bytes.writeUInt32LE(16, 16);
  bytes.writeUInt16LE(1, 20);
  bytes.writeUInt16LE(1, 22);
  bytes.writeUInt32LE(8000, 24);
  bytes.writeUInt32LE(8000, 28);
  bytes.writeUInt16LE(1, 32);
  bytes.writeUInt16LE(8, 34);
  bytes.write("data", 36);
  bytes.writeUInt32LE(seconds * 8000, 40);
  return bytes;
}
const play = (site, path, seconds) => {
  site.holds[path] = (response) =>
    response.writeHead(200, { "Content-Type": "audio/wav", "Accept-Ranges": "none" }).end(silence(seconds));
};

export const whole = ["a page without the focus stands still (16)"];

export const scenarios = {
  // Clicks

  "a link or button is described, through children and SVG pictures (22)": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<nav id="menu"><button>One</button><button aria-label="Close  menu"><svg width="20" height="20"><path d="M0 0h20v20z"/></svg></button></nav>' +
      '<p><a href="/help#part" onclick="return false" id="help-link" role="tab">Get <i>help</i></a></p>';
    const page = await open();
    const { x, y, width, height } = await page.locator("svg").boundingBox();
    await page.click("svg");
    await page.click("i");
    await page.click("p", { position: { x: 300, y: 2 } });
    await page.focus("#help-link");
    await page.keyboard.press("Enter");
    await last(page, collector);
    const clicks = told(collector, "click");
    const near = (at, middle) => assert.ok(Number.isInteger(at) && Math.abs(at - middle) <= 1, `${at}, not ${middle}`);
    near(clicks[0].x, x + width / 2);
    near(clicks[0].y, y + height / 2);
    assert.ok(!("x" in clicks[2] || "y" in clicks[2]), "a key is nowhere on the page");
    const described = clicks.map(({ x: _x, y: _y, ...rest }) => rest);
    assert.deepEqual(described.pop(), described[1]);
    assert.deepEqual(described, [
      {
        element_id: "",
        element_role: "button",
        element_name: "Close menu",
        selector: "#menu > button:nth-child(2)",
      },
      {
        element_id: "help-link",
        element_role: "tab",
        element_name: "Get help",
        selector: "#help-link",
        href: `${site.origin}/help`,
      },
    ]);
  },

  "a selector is short, skips ids made by machines, and finds the element": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<main id="app-93412"><section><i></i><div><div><div id=":r1:"><a href="#x">x</a><button>y</button></div></div></div></section></main>';
    const page = await open();
    await page.click("button");
    await last(page, collector);
    const [{ selector }] = told(collector, "click");
    assert.ok(!/93412|:r1/.test(selector) && selector.length < 128, selector);
    assert.equal(await page.evaluate((path) => document.querySelector(path).textContent, selector), "y");
  },

  "texts are cut to what the plan allows": async ({ collector, site, open }) => {
    const long = "long ".repeat(200);
    site.bodies["/"] = `<button id="${long}" role="${long}">${long}</button>`;
    const page = await open();
    await page.click("button");
    await last(page, collector);
    const [{ element_id, element_role, element_name }] = told(collector, "click");
    assert.deepEqual([element_id.length, element_role.length, element_name.length], [128, 128, 128]);
  },

  "a marked element sends its event with its properties, and nothing else (25)": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<a href="https://other.example/file.zip" onclick="return false" data-footfall-event="plan_chosen" data-footfall-prop-plan-name="pro" ' +
      'data-footfall-prop-seats="5" data-footfall-prop-trial="true" data-footfall-prop-order="12345678901234567890"><b>Choose</b></a>' +
      '<label data-footfall-event="agreed"><input type="checkbox"> I agree</label>';
    const page = await open();
    await page.click("b");
    await page.click("label", { position: { x: 50, y: 8 } });
    await last(page, collector);
    assert.deepEqual(collector.tracked, ["plan_chosen", "agreed", "the_last"]);
    assert.deepEqual(told(collector, "plan_chosen"), [
      { plan_name: "pro", seats: 5, trial: true, order: "12345678901234567890" },
    ]);
  },

  "clicks of one tick of a coarse clock are told each, a label's and its control's as one": async ({
    collector,
    context,
    site,
    open,
  }) => {
    // As Firefox's protection against fingerprinting has it, or a loaded machine that handles three clicks at once.
    await context.addInitScript(() => {
      window.tick = 5000;
      Object.defineProperty(Event.prototype, "timeStamp", { get: () => window.tick });
    });
    site.bodies["/"] =
      '<button id="b" onclick="this.title += 1">b</button> <label data-footfall-event="agreed"><input type="checkbox"> I agree</label>';
    const page = await open();
    await complete(page);
    await page.click("#b", { clickCount: 3 });
    await page.evaluate(() => (window.tick += 100));
    await page.click("label", { position: { x: 50, y: 8 } });
    await last(page, collector);
    assert.deepEqual(collector.tracked.sort(), ["agreed", "click", "click", "click", "rage_click", "the_last"]);
  },

  "outbound links are told with the left and middle button and with ctrl, others with none (21)": async ({
    collector,
    site,
    context,
    open,
  }) => {
    await context.route("https://other.example/**", (route) => route.fulfill({ body: "other" }));
    site.bodies["/"] =
      '<a id="out" href="https://other.example/x?a=1#secret">out</a> <a id="in" href="/in">in</a> <button>b</button>';
    const page = await open();
    await page.click("#out", { modifiers: ["Control"] });
    await page.click("#out", { button: "middle" });
    await page.click("#out", { button: "right" });
    await page.click("button", { button: "middle" });
    await page.click("#in", { modifiers: ["Control"] });
    await page.click("#out");
    await arrived(collector, "click", 4);
    assert.deepEqual(
      told(collector, "click").map(({ href, link_kind }) => [href, link_kind]),
      [
        ["https://other.example/x?a=1", "outbound"],
        ["https://other.example/x?a=1", "outbound"],
        [`${site.origin}/in`, undefined],
        ["https://other.example/x?a=1", "outbound"],
      ],
    );
  },

  "links of an SVG are links (23)": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<svg width="99" height="99" onclick="event.preventDefault()"><a href="https://other.example/new"><rect width="40" height="40"/></a>' +
      '<a xlink:href="https://other.example/old"><rect y="50" width="40" height="40"/></a></svg>';
    const page = await open();
    await page.click("svg", { position: { x: 20, y: 20 } });
    await page.click("svg", { position: { x: 20, y: 70 } });
    await last(page, collector);
    assert.deepEqual(
      told(collector, "click").map(({ element_role, href, link_kind }) => [element_role, href, link_kind]),
      [
        ["link", "https://other.example/new", "outbound"],
        ["link", "https://other.example/old", "outbound"],
      ],
    );
  },

  "downloads are told by the path or the attribute; another site's are outbound (24, 25)": async ({
    collector,
    site,
    open,
  }) => {
    const links = ["/a.pdf?v=1.2", "/b.XLSX", "/page.html?file=c.pdf", "/v1.25", "https://other.example/d.zip", "/e"];
    site.bodies["/"] =
      `<div onclick="event.preventDefault()">${links.map((href) => `<a href="${href}">x</a> `).join("")}` +
      '<a download href="/f">x</a> <a download="x.csv" href="data:text/csv,secret">x</a></div>';
    const page = await open();
    for (const link of await page.$$("a")) await link.click();
    await last(page, collector);
    const kinds = told(collector, "click").map(({ link_kind }) => link_kind);
    assert.deepEqual(kinds, [
      "download",
      "download",
      undefined,
      undefined,
      "outbound",
      undefined,
      "download",
      "download",
    ]);
    assert.equal(told(collector, "click").at(-1).href, "data:");
  },

  "mail and telephone links say no more than what they are": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<div onclick="event.preventDefault()"><a href="mailto:secret@b.example?subject=secret">m</a> <a href="tel:+secret">t</a></div>';
    const page = await open();
    for (const link of await page.$$("a")) await link.click();
    await last(page, collector);
    assert.deepEqual(
      told(collector, "click").map(({ href, link_kind }) => [href, link_kind]),
      [
        ["mailto:", "email"],
        ["tel:", "phone"],
      ],
    );
    assert.ok(!JSON.stringify(collector.requests).includes("secret"));
  },

  "a link no browser can read is a click all the same": async ({ collector, site, open }) => {
    site.bodies["/"] = '<a href="https://[bad" onclick="return false">bad</a>';
    const page = await open();
    await page.click("a");
    await last(page, collector);
    assert.equal(told(collector, "click").length, 1);
  },

  "Enter on a link or button is a click (26)": async ({ collector, site, open }) => {
    site.bodies["/"] = '<a href="#x">x</a><button>y</button>';
    const page = await open();
    for (const name of ["a", "button"]) await page.press(name, "Enter");
    await last(page, collector);
    assert.deepEqual(
      told(collector, "click").map(({ element_role }) => element_role),
      ["link", "button"],
    );
  },

  "elements that came after the tag are heard (27)": async ({ collector, open }) => {
    const page = await open();
    await page.evaluate(() => {
      document.body.innerHTML = "<button>late</button>";
    });
    await page.click("button");
    await last(page, collector);
    assert.equal(told(collector, "click")[0].element_name, "late");
  },

  "a link is followed at once, however slow the collector, and its click arrives (28)": async ({
    collector,
    site,
    open,
  }) => {
    site.bodies["/"] = '<a id="away" href="/away">Away</a>';
    const page = await open();
    await arrived(collector, "page_view");
    const held = [];
    collector.answer = () => new Promise((answer) => held.push(() => answer({ status: 200 })));
    await page.click("#away");
    await page.waitForURL("**/away");
    collector.answer = () => ({ status: 200 });
    for (const answer of held) answer();
    await arrived(collector, "click");
    assert.equal(named(collector, "click")[0].context.page.path, "/");
  },

  "a click inside open shadow roots is heard and placed (30)": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<div id="outer"><template shadowrootmode="open"><my-part><template shadowrootmode="open"><a href="/x.pdf" onclick="return false"><b>in</b></a></template></my-part></template></div>';
    const page = await open();
    await page.click("#outer b");
    await last(page, collector);
    const [{ selector, link_kind, element_name }] = told(collector, "click");
    assert.deepEqual(
      [selector, link_kind, element_name],
      ["#outer > my-part:nth-child(1) > a:nth-child(1)", "download", "in"],
    );
  },

  "a disabled button, and what is in it, is not clicked": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<button id="a" disabled>a <b>b</b></button><div id="c" role="button" aria-disabled="true">c</div><button id="d">d</button>';
    const page = await open();
    for (const part of ["#a", "b", "#c", "#d"]) {
      const box = await page.locator(part).boundingBox();
      await page.mouse.click(box.x + box.width / 2, box.y + box.height / 2);
    }
    await last(page, collector);
    assert.deepEqual(
      told(collector, "click").map(({ element_id }) => element_id),
      ["d"],
    );
  },

  "nothing of a private or editable part and no typed value is ever sent": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<div data-footfall-private><button id="a">secret-1</button><button id="b" data-footfall-event="secret_2">b</button>' +
      '<form onsubmit="return false"><input name="secret-3" id="p"><button id="q">q</button></form></div>' +
      '<button id="c">Hello <span data-footfall-private><img alt="secret-4"></span></button>' +
      '<form onsubmit="return false"><input id="d" value="secret-5"><input id="e" type="submit" value="secret-6"></form>' +
      '<div contenteditable><a id="f" href="#y">secret-7</a></div>' +
      '<div id="g" style="cursor:pointer">Hello <textarea>secret-8</textarea></div>';
    const page = await open();
    await page.fill("#d", "secret-9");
    await page.fill("#p", "secret-10");
    await complete(page);
    for (const id of "abqcfe") await page.click(`#${id}`, { position: { x: 4, y: 4 } });
    for (let i = 0; i < 3; i++) await page.click("#g", { position: { x: 4, y: 4 } });
    await arrived(collector, "rage_click");
    await page.goto(`${site.origin}/away`);
    await last(page, collector);
    assert.deepEqual(
      told(collector, "click").map(({ element_id }) => element_id),
      ["c", "f", "e"],
    );
    assert.deepEqual(
      told(collector, "form_submit").map(({ fields }) => fields),
      [["d"]],
    );
    assert.ok(!/secret/.test(JSON.stringify(collector.requests)));
  },

  "a click that the page stops and swallows is still heard, and not touched": async ({ collector, site, open }) => {
    site.bodies["/"] = '<button>x</button><a href="/away">y</a>';
    const page = await open();
    await page.evaluate(() => {
      const swallow = (event) => {
        window.untouched = !event.defaultPrevented && event.eventPhase === 1;
        event.stopImmediatePropagation();
        event.preventDefault();
      };
      addEventListener("click", swallow, true);
    });
    await page.click("button");
    await page.click("a");
    await last(page, collector);
    assert.equal(told(collector, "click").length, 2);
    assert.ok(await page.evaluate(() => window.untouched));
  },

  "data-clicks=off hears no click": async ({ collector, site, open }) => {
    site.attributes = 'data-clicks="off"';
    site.bodies["/"] = '<button data-footfall-event="marked">x</button>';
    const page = await open();
    for (let i = 0; i < 3; i++) await page.click("button");
    await last(page, collector);
    assert.deepEqual(collector.tracked, ["the_last"]);
  },

  // Trouble

  "the third click within a second at one place is one rage click (31)": async ({ collector, site, open }) => {
    site.bodies["/"] = '<button id="stuck" onclick="this.title += 1">x</button><p id="text">some text here</p>';
    const page = await open();
    await page.click("#stuck", { clickCount: 2 });
    await complete(page);
    await last(page, collector, "two");
    assert.equal(told(collector, "rage_click").length, 0);
    await second(page);
    await page.click("#stuck", { clickCount: 5 });
    await page.click("#text", { clickCount: 3 }); // selects the paragraph
    await last(page, collector);
    const rages = told(collector, "rage_click");
    assert.deepEqual(
      rages.map(({ element_id, selector }) => [element_id, selector]),
      [["stuck", "#stuck"]],
    );
  },

  "three clicks far from each other, or slow, are no rage": async ({ collector, site, open }) => {
    site.bodies["/"] = '<button style="width:300px" onclick="this.title += 1">x</button>';
    const page = await open();
    for (const x of [10, 60, 110]) await page.click("button", { position: { x, y: 5 } });
    for (let i = 0; i < 3; i++) {
      await page.evaluate(() => new Promise((done) => setTimeout(done, 510)));
      await page.click("button", { position: { x: 200, y: 5 } });
    }
    await last(page, collector);
    assert.equal(told(collector, "rage_click").length, 0);
  },

  "a click on what looks clickable and does nothing is a dead click": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<button id="dead">x</button><p><a id="stuck" href="/x" onclick="return false">y</a></p>' +
      '<div id="hand" style="cursor:pointer">z</div><p id="plain">plain</p>';
    const page = await open();
    await complete(page);
    for (const id of ["dead", "stuck", "hand"]) {
      await page.click(`#${id}`);
      await collector.until(() => told(collector, "dead_click").some(({ element_id }) => element_id === id), id);
    }
    await page.click("#plain");
    await second(page);
    await last(page, collector);
    assert.equal(told(collector, "dead_click").length, 3);
  },

  "a click that is answered, or not meant as one, is not dead (32)": async ({ collector, site, open }) => {
    const answers = {
      text: "this.firstChild.data = 'changed'",
      attribute: "document.body.title = 'changed'",
      push: "history.pushState({}, '', '/pushed')",
      focus: "document.getElementById('field').focus()",
      scroll: "window.scrollTo(0, 50)",
      late: "setTimeout(() => document.body.append('late'), 600)",
      select: "getSelection().selectAllChildren(document.getElementById('plain'))",
    };
    const others = {
      menu: '<button id="menu" onpointerdown="document.body.append(1)">menu</button>',
      more: '<details><summary id="more">more</summary>text</details>',
      shadow:
        '<div><template shadowrootmode="open"><button id="shadow" onclick="this.title = 1">x</button></template></div>',
      invalid: '<form><input required><button id="invalid">send</button></form>',
      slow: '<a id="slow" href="/slow">slow</a>',
      anchor: '<a id="anchor" href="#plain">down</a>',
      ctrl: '<button id="ctrl">nothing happens</button>',
    };
    const buttons = Object.entries(answers).map(([id, code]) => `<button id="${id}" onclick="${code}">${id}</button>`);
    site.bodies["/"] =
      `${[...buttons, ...Object.values(others)].join(" ")}<input id="field"><p id="plain">plain</p>${LONG}`;
    site.holds["/slow"] = (response) => setTimeout(() => response.end("slow"), 1300); // when the second is over
    const tryOut = async (id) => {
      const page = await open();
      await complete(page);
      await page.click(`#${id}`, { modifiers: id === "ctrl" ? ["Control"] : [] });
      if (id === "slow") return page.waitForURL("**/slow");
      await second(page);
      await last(page, collector, `after_${id}`);
    };
    await Promise.all(Object.keys({ ...answers, ...others }).map(tryOut));
    assert.deepEqual(
      told(collector, "dead_click").map(({ element_id }) => element_id),
      [],
    );
  },

  "the second part is fetched once: at the first move, key, scroll or press, or some seconds after the start": async ({
    collector,
    context,
    site,
    open,
  }) => {
    let asked = 0;
    collector.server.prependListener("request", ({ url }) => {
      asked += url === "/footfall.more.js";
    });
    await holdStart(context);
    site.bodies["/"] =
      '<input autofocus><button onclick="this.title += 1">x</button><form onsubmit="return false"><input id="in"></form>' +
      LONG;
    const firsts = {
      nothing: (page) => page.evaluate(() => window.settle()),
      move: (page) => page.mouse.move(20, 20),
      key: (page) => page.keyboard.press("Shift"),
      scroll: (page) => page.evaluate(() => scrollTo(0, 300)),
      press: (page) => page.locator("button").dispatchEvent("pointerdown"),
    };
    let views = 0;
    for (const [name, first] of Object.entries(firsts)) {
      const page = await open();
      await arrived(collector, "page_view", views + 1);
      assert.equal(asked, views, `${name}: before it`);
      await first(page);
      await fetched(page);
      await page.evaluate(() => window.settle());
      await page.mouse.move(40, 40);
      await page.click("button");
      await arrived(collector, "click", ++views);
      await page.close();
    }
    const pressed = await open();
    await arrived(collector, "page_view", ++views);
    await pressed.click("button", { clickCount: 3 });
    await arrived(collector, "rage_click"); // of presses that came before it, handed over
    await pressed.evaluate(() => window.settle());
    await pressed.fill("#in", "x");
    await pressed.press("#in", "Enter");
    await arrived(collector, "form_submit");
    assert.equal(asked, views);
  },

  "a page that nobody touches gets the second part some seconds after its first paint": async ({ open }) => {
    const page = await open();
    const file = await page.waitForFunction(
      () => performance.getEntriesByType("resource").find(({ name }) => /footfall\.more\.js$/.test(name))?.startTime,
    );
    const paintedMs = await page.evaluate(() => performance.getEntriesByName("first-paint")[0].startTime);
    const afterMs = (await file.jsonValue()) - paintedMs;
    assert.ok(afterMs >= 3900, `fetched ${afterMs} ms after the first paint`);
  },

  "a request that fails brings the second part, which knows another way": async ({ context, open }) => {
    await holdStart(context);
    await context.route("**/v1/b*", (route) => route.abort());
    const page = await open();
    await page.waitForFunction(() =>
      performance.getEntriesByType("resource").some(({ name }) => /footfall\.more\.js$/.test(name)),
    );
  },

  "a second part that could not be had is asked for again, after half a minute": async ({
    collector,
    context,
    site,
    open,
  }) => {
    let asked = 0;
    let reachable = false;
    await holdStart(context, 30_000);
    await context.route("**/footfall.more.js", (route) => {
      asked++;
      return reachable ? route.continue() : route.abort();
    });
    site.bodies["/"] = '<button onclick="this.title += 1">x</button>';
    const page = await open();
    await arrived(collector, "page_view");
    const failed = page.waitForEvent("requestfailed");
    await page.click("button");
    await failed;
    reachable = true;
    await page.mouse.move(30, 30);
    await page.evaluate(() => window.settle());
    assert.equal(asked, 1);
    await page.mouse.move(40, 40);
    await arrived(collector, "click"); // of the press before
    assert.equal(asked, 2);
  },

  "what was attended to before the second part has come is told, by whoever leaves first": async ({
    collector,
    context,
    site,
    open,
  }) => {
    await movableClock(context);
    await holdMore(context);
    const page = await open("/first");
    await arrived(collector, "page_view");
    await pass(page, 2000);
    await page.evaluate(() => history.pushState({}, "", "/second"));
    await arrived(collector, "page_view", 2);
    await pass(page, 8 * 3_600_000); // asleep
    await show(page, false);
    await arrived(collector, "engagement", 2);
    await pass(page, 20_000); // hidden
    await show(page, true);
    await pass(page, 3000);
    await page.goto(`${site.origin}/third`);
    await arrived(collector, "engagement", 3);
    const events = named(collector, "engagement");
    assert.deepEqual(
      events.map(({ context: { page: at } }) => at.path),
      ["/first", "/second", "/second"],
    );
    const times = events.map(({ properties }) => properties.engaged_ms);
    for (const [at, least] of [2000, 30_000, 3000].entries()) {
      assert.ok(times[at] >= least && times[at] < least + 15_000, `${times}`);
    }
  },

  "the focus that went before the second part came, and the time until then, count": async ({
    collector,
    context,
    open,
  }) => {
    await movableClock(context);
    const release = await holdMore(context);
    const page = await open();
    await arrived(collector, "page_view");
    // Times of events are the browser's own: the page had the focus for 5 s, and has it again after 25.
    await page.evaluate(() => {
      const blur = new FocusEvent("blur");
      Object.defineProperty(blur, "timeStamp", { value: performance.now() + 5000 });
      dispatchEvent(blur);
    });
    await pass(page, 25_000);
    release();
    await complete(page);
    await pass(page, 2000);
    await page.evaluate(() => history.pushState({}, "", "/next"));
    await arrived(collector, "engagement");
    const [{ engaged_ms }] = told(collector, "engagement");
    assert.ok(engaged_ms >= 7000 && engaged_ms < 22_000, `${engaged_ms} ms, not about 7000`);
  },

  "a click is looked at when it comes and written later, before all that the page does because of it": async ({
    collector,
    site,
    open,
  }) => {
    // Each look finds how many events wait on the disk while the click is under way.
    const look = "waiting.push(Object.keys(localStorage).filter((key) => /_queue_/.test(key)).length)";
    site.head = "<script>var waiting = []</script>";
    site.bodies["/"] =
      `<button id="a" onclick="${look}; this.textContent = 'after'; footfall('track', 'said')">before</button>` +
      `<button id="b" onclick="${look}; history.pushState({}, '', '/next'); this.remove(); footfall('track', 'routed')">go</button>`;
    const page = await open();
    await arrived(collector, "page_view");
    await complete(page);
    const gone = () => !Object.keys(localStorage).some((key) => /_queue_/.test(key));
    for (const id of ["a", "b"]) {
      await page.waitForFunction(gone);
      await page.click(`#${id}`);
      await arrived(collector, id === "a" ? "said" : "routed");
    }
    const events = collector.stored.filter(({ event }) => event !== "engagement");
    assert.deepEqual(
      events.map(({ type, event, properties, context }) => [event ?? type, properties.element_name, context.page.path]),
      [
        ["page", undefined, "/"],
        ["click", "before", "/"],
        ["said", undefined, "/"],
        ["click", "go", "/"],
        ["page", undefined, "/next"],
        ["routed", undefined, "/next"],
      ],
    );
    assert.deepEqual(await page.evaluate(() => window.waiting), [0, 0]);
  },

  "a press before the second part has come is told with the page and the time it was made at": async ({
    collector,
    context,
    site,
    open,
  }) => {
    const release = await holdMore(context);
    site.bodies["/first"] = "<button>x</button>";
    const page = await open("/first");
    await page.click("button");
    const pressedAt = await page.evaluate(() => Date.now());
    await page.evaluate(() => history.pushState({}, "", "/second"));
    await arrived(collector, "page_view", 2);
    await page.waitForFunction((then) => Date.now() > then, pressedAt);
    const releasedAt = await page.evaluate(() => Date.now());
    release();
    await arrived(collector, "click");
    const [{ context: seen, timestamp, properties }] = named(collector, "click");
    assert.equal(seen.page.path, "/first");
    assert.equal(properties.selector, "html:nth-child(1) > body:nth-child(2) > button:nth-child(1)");
    assert.ok(new Date(timestamp) <= pressedAt && pressedAt < releasedAt, timestamp);
  },

  "a form sent by the very first press is told": async ({ collector, context, site, open }) => {
    await holdMore(context);
    site.bodies["/"] =
      '<form id="pay" action="/sent"><input type="hidden" name="card" value="secret"><button>Go</button></form>';
    const page = await open();
    await page.click("button");
    await page.waitForURL("**/sent?*");
    await arrived(collector, "form_submit");
    const [{ context: seen }] = named(collector, "form_submit");
    assert.equal(seen.page.path, "/");
    const [{ fields }] = told(collector, "form_submit");
    assert.deepEqual(fields, []);
  },

  "links and marks pressed before the second part has come, by a visitor who leaves, are told": async ({
    collector,
    context,
    site,
    open,
  }) => {
    await holdMore(context);
    await context.route("https://other.example/**", (route) => route.fulfill({ body: "other" }));
    site.bodies["/"] =
      '<p data-footfall-private><a id="own" href="/private" onclick="return false">p</a></p>' +
      '<button data-footfall-event="plan_chosen" data-footfall-prop-plan="pro">b</button> ' +
      '<a id="in" href="/in#part" onclick="return false">in</a> <a id="out" href="https://other.example/x?a=1#secret"><b>out</b></a>';
    const page = await open();
    await page.click("#own");
    await page.click("button");
    await page.click("#in");
    await page.click("#out", { button: "right" });
    await page.click("#out b");
    await page.waitForURL("https://other.example/**");
    await arrived(collector, "click", 2);
    assert.deepEqual(told(collector, "plan_chosen"), [{ plan: "pro" }]);
    assert.deepEqual(told(collector, "click"), [
      { href: `${site.origin}/in` },
      { href: "https://other.example/x?a=1", link_kind: "outbound" },
    ]);
  },

  "without the second part page views and calls go on": async ({ collector, context, site, open }) => {
    await context.route("**/footfall.more.js", (route) => route.abort());
    site.bodies["/"] = "<button>y</button>";
    const page = await open();
    await page.click("button");
    await page.evaluate(() => history.pushState({}, "", "/next"));
    await arrived(collector, "page_view", 2);
    await last(page, collector);
  },

  // Forms

  "a submitted form tells the names of its touched fields and no value (29)": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<form id="sign-up" name="join" onsubmit="return false"><input name="id" id="x"><input name="name"><input name="elements">' +
      '<input type="password" name="pass"><input type="checkbox" name="news"><select name="land"><option>a<option value="secret">b</select><button>Go</button></form>';
    const page = await open();
    await page.fill("[name=pass]", "secret");
    await complete(page);
    await page.fill("[name=id]", "secret");
    await page.check("[name=news]");
    await page.selectOption("select", "secret");
    await page.fill("[name=pass]", "secret2");
    await page.click("button");
    await last(page, collector);
    assert.deepEqual(told(collector, "form_submit"), [
      { form_id: "sign-up", form_name: "join", fields: ["id", "news", "land", "pass"], last_field: "pass" },
    ]);
    assert.ok(!JSON.stringify(collector.requests).includes("secret"));
  },

  "an invalid form is not submitted, with novalidate it is; Enter and requestSubmit are ways to (29)": async ({
    collector,
    site,
    open,
  }) => {
    site.bodies["/"] = ["invalid", "enter", "asked"]
      .map(
        (id) =>
          `<form id="${id}" onsubmit="return false"><input name="f" ${id === "invalid" ? "required" : ""}><button>Go</button></form>`,
      )
      .concat('<form id="lax" novalidate onsubmit="return false"><input required><button>Go</button></form>')
      .join("");
    const page = await open();
    await complete(page);
    await page.click("#invalid button");
    await page.click("#lax button");
    await page.press("#enter input", "Enter");
    await page.evaluate(() => document.querySelector("#asked").requestSubmit());
    await last(page, collector);
    assert.deepEqual(
      told(collector, "form_submit").map(({ form_id }) => form_id),
      ["lax", "enter", "asked"],
    );
  },

  "a form that goes to another page is told before it leaves, once, and is not abandoned": async ({
    collector,
    site,
    open,
  }) => {
    site.bodies["/"] = '<form id="search" action="/found"><input name="q"><button>Go</button></form>';
    const page = await open();
    await complete(page);
    await page.fill("input", "shoes");
    await page.press("input", "Enter");
    await page.waitForURL("**/found?q=shoes");
    await collector.until(() => collector.views.length === 2, "the second view");
    await last(page, collector);
    assert.deepEqual(
      named(collector, "form_submit", "form_abandoned").map(({ event, context }) => [event, context.page.path]),
      [["form_submit", "/"]],
    );
  },

  "a marked form sends its own event, on submit only": async ({ collector, site, open }) => {
    site.bodies["/"] =
      '<form data-footfall-event="joined" data-footfall-prop-list="news" onsubmit="return false"><input name="a"><p>text</p><button id="go">Go</button></form>';
    const page = await open();
    await page.fill("input", "x");
    await complete(page);
    await page.click("p");
    await page.click("#go");
    await page.goto(`${site.origin}/away`);
    await last(page, collector);
    assert.deepEqual(
      collector.tracked.filter((name) => name !== "engagement"),
      ["click", "joined", "the_last"],
    );
    assert.deepEqual(told(collector, "joined"), [{ list: "news" }]);
  },

  "a form that is begun and left is abandoned: names of the touched fields, the last one last": async ({
    collector,
    site,
    open,
  }) => {
    site.bodies["/"] =
      '<form id="pay"><input name="card"><input name="mail"><input name="untouched"></form><form id="other"><input></form>';
    const page = await open();
    await page.fill("[name=mail]", "secret");
    await page.fill("[name=card]", "secret");
    await page.fill("[name=mail]", "secrets");
    await complete(page);
    await page.goto(`${site.origin}/away`);
    await arrived(collector, "form_abandoned");
    await last(page, collector);
    assert.deepEqual(told(collector, "form_abandoned"), [
      { form_id: "pay", form_name: "", fields: ["card", "mail"], last_field: "mail" },
    ]);
    assert.equal(named(collector, "form_abandoned")[0].context.page.path, "/");
    assert.ok(!JSON.stringify(collector.requests).includes("secret"));
  },

  "an abandoned form of a closed tab arrives": async ({ collector, site, open }) => {
    site.bodies["/"] = '<form id="pay"><input name="card"></form>';
    const page = await open();
    await page.fill("input", "x");
    await complete(page);
    await page.close({ runBeforeUnload: true });
    await arrived(collector, "form_abandoned");
  },

  "within a single-page site a form is abandoned when it is taken away, on its own page": async ({
    collector,
    site,
    open,
  }) => {
    site.bodies["/"] = '<form id="pay"><input name="card"></form><form id="filter"><input name="size"></form>';
    const page = await open();
    await page.fill("[name=card]", "x");
    await page.fill("[name=size]", "x");
    await complete(page);
    await page.evaluate(() => {
      history.pushState({}, "", "/next");
      setTimeout(() => document.querySelector("#pay").remove(), 300);
    });
    await arrived(collector, "form_abandoned");
    await last(page, collector);
    assert.deepEqual(
      named(collector, "form_abandoned").map(({ properties, context }) => [properties.form_id, context.page.path]),
      [["pay", "/"]],
    );
  },

  // Engagement

  "time and depth are told when the page is left (13)": async ({ collector, context, site, open }) => {
    await movableClock(context);
    site.bodies["/"] = LONG;
    const page = await open();
    await arrived(collector, "page_view");
    await complete(page);
    await pass(page, 8000);
    await page.mouse.wheel(0, 900);
    await page.waitForFunction(() => scrollY > 800);
    await page.evaluate(() => new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20))));
    await page.goto(`${site.origin}/away`);
    await arrived(collector, "engagement");
    const [{ properties, context: seen }] = named(collector, "engagement");
    about(properties.engaged_ms, 8000);
    assert.ok(Number.isInteger(properties.engaged_ms));
    assert.ok(properties.scroll_depth > 0.4 && properties.scroll_depth < 0.7, `depth ${properties.scroll_depth}`);
    assert.equal(seen.page.path, "/");
  },

  "a change within a single-page site tells of the old page, and begins anew (14)": async ({
    collector,
    context,
    site,
    open,
  }) => {
    await movableClock(context);
    site.bodies["/first"] = LONG;
    const page = await open("/first");
    await arrived(collector, "page_view");
    await complete(page);
    await pass(page, 5000);
    await page.evaluate(() => {
      document.title = "Second";
      history.pushState({}, "", "/second");
      document.body.innerHTML = "short";
    });
    await arrived(collector, "page_view", 2);
    await pass(page, 12_000);
    await page.evaluate(() => history.pushState({}, "", "/third"));
    await arrived(collector, "page_view", 3);
    const order = collector.stored.map(({ type, event, context: { page } }) => [event ?? type, page.path]);
    assert.deepEqual(order, [
      ["page", "/first"],
      ["engagement", "/first"],
      ["page", "/second"],
      ["engagement", "/second"],
      ["page", "/third"],
    ]);
    const [first, second] = told(collector, "engagement");
    about(first.engaged_ms, 5000);
    about(second.engaged_ms, 12_000);
    assert.ok(first.scroll_depth < 0.5);
    assert.equal(second.scroll_depth, 1);
    assert.ok(named(collector, "engagement")[0].context.page.title.endsWith("/first"));
  },

  "a hidden page's clock stands still, and each hide tells what is new (15)": async ({ collector, context, open }) => {
    await movableClock(context);
    const page = await open();
    await arrived(collector, "page_view");
    await complete(page);
    await pass(page, 4000);
    await show(page, false);
    await arrived(collector, "engagement");
    await pass(page, 20_000);
    await show(page, true);
    await pass(page, 7000);
    await show(page, false);
    await arrived(collector, "engagement", 2);
    await show(page, true);
    await show(page, false); // nothing new
    await last(page, collector);
    const times = told(collector, "engagement").map(({ engaged_ms }) => engaged_ms);
    assert.equal(times.length, 2);
    about(times[0], 4000);
    about(times[1], 7000);
  },

  "a page without the focus stands still (16)": async ({ collector, context, site, open }) => {
    await movableClock(context);
    const page = await open();
    await realFocus(context, page);
    await arrived(collector, "page_view");
    await complete(page);
    await pass(page, 3000);
    const other = await context.newPage();
    await other.goto(`${site.origin}/other`);
    await other.bringToFront();
    await page.waitForFunction(() => !document.hasFocus());
    await pass(page, 25_000);
    await page.bringToFront();
    await page.waitForFunction(() => document.hasFocus());
    await pass(page, 2000);
    await page.evaluate(() => history.pushState({}, "", "/next"));
    await arrived(collector, "engagement");
    about(told(collector, "engagement")[0].engaged_ms, 5000);
  },

  "without input time counts for 30 seconds; a sleep counts no more": async ({ collector, context, site, open }) => {
    await movableClock(context);
    const page = await open();
    await arrived(collector, "page_view");
    await complete(page);
    await pass(page, 8 * 3_600_000);
    await page.mouse.move(10, 10);
    await pass(page, 10_000);
    await page.keyboard.press("Shift");
    await pass(page, 20_000);
    await page.goto(`${site.origin}/away`);
    await arrived(collector, "engagement");
    about(told(collector, "engagement")[0].engaged_ms, 60_000);
  },

  "a glance under a second tells nothing, unless the visitor scrolled (17)": async ({
    collector,
    context,
    site,
    open,
  }) => {
    await context.addInitScript(() => {
      performance.now = () => 500; // a very short visit
    });
    site.bodies["/"] = LONG;
    const page = await open();
    await arrived(collector, "page_view");
    await complete(page);
    await page.evaluate(() => history.pushState({}, "", "/scrolled"));
    await arrived(collector, "page_view", 2);
    await page.mouse.wheel(0, 300);
    await page.waitForFunction(() => scrollY > 200);
    await page.evaluate(() => history.pushState({}, "", "/third"));
    await arrived(collector, "page_view", 3);
    await last(page, collector);
    assert.deepEqual(
      named(collector, "engagement").map(({ context: { page } }) => page.path),
      ["/scrolled"],
    );
  },

  "a page whose view is not counted tells of no engagement (18)": async ({ collector, context, site, open }) => {
    await movableClock(context);
    site.attributes = 'data-page-views="off"';
    const page = await open();
    await complete(page);
    await pass(page, 9000);
    await page.evaluate(() => {
      history.pushState({}, "", "/counted");
      window.footfall.page();
    });
    await pass(page, 9000);
    await page.goto(`${site.origin}/away`);
    await arrived(collector, "engagement");
    await last(page, collector);
    assert.deepEqual(
      named(collector, "engagement").map(({ context: { page } }) => page.path),
      ["/counted"],
    );
  },

  "content that comes late makes the seen share smaller (19)": async ({ collector, context, site, open }) => {
    await movableClock(context);
    const page = await open();
    await arrived(collector, "page_view");
    await complete(page);
    await page.evaluate((html) => {
      document.body.innerHTML = html;
      return new Promise((done) => requestAnimationFrame(() => setTimeout(done, 20)));
    }, LONG);
    await pass(page, 2000);
    await page.goto(`${site.origin}/away`);
    await arrived(collector, "engagement");
    const [{ scroll_depth }] = told(collector, "engagement");
    assert.ok(scroll_depth > 0.1 && scroll_depth < 0.4, `depth ${scroll_depth}`);
  },

  "a short page is seen whole (20)": async ({ collector, context, site, open }) => {
    await movableClock(context);
    const page = await open();
    await arrived(collector, "page_view");
    await complete(page);
    await pass(page, 2000);
    await page.goto(`${site.origin}/away`);
    await arrived(collector, "engagement");
    assert.equal(told(collector, "engagement")[0].scroll_depth, 1);
  },

  "no layout or style is asked for inside an event": async ({ collector, context, site, open }) => {
    await context.addInitScript(() => {
      window.reads = [];
      const spy = (owner, name) => {
        const found = Object.getOwnPropertyDescriptor(owner, name);
        const kind = found.get ? "get" : "value";
        const original = found[kind];
        found[kind] = function (...args) {
          window.reads.push([name, window.event?.type]);
          return original.apply(this, args);
        };
        Object.defineProperty(owner, name, found);
      };
      for (const name of ["scrollHeight", "scrollTop", "clientHeight", "getBoundingClientRect"])
        spy(Element.prototype, name);
      for (const name of ["scrollY", "innerHeight", "getComputedStyle"]) spy(window, name);
      for (const name of ["offsetHeight", "innerText"]) spy(HTMLElement.prototype, name);
    });
    site.bodies["/"] = `<button>x</button><div id="hand" style="cursor:pointer">z</div><input>${LONG}`;
    const page = await open();
    await arrived(collector, "page_view");
    await complete(page);
    const box = await page.locator("#hand").boundingBox();
    await page.evaluate(() => window.reads.splice(0)); // what the driver's own look at the page did
    for (let i = 0; i < 3; i++) await page.mouse.click(20, 20);
    await page.mouse.wheel(0, 400);
    await page.keyboard.press("Tab");
    await page.mouse.wheel(0, -400);
    await page.waitForFunction(() => !scrollY);
    await second(page);
    await page.mouse.click(box.x + 5, box.y + 5);
    await arrived(collector, "dead_click");
    const reads = await page.evaluate(() => window.reads);
    await page.goto(`${site.origin}/away`);
    await arrived(collector, "engagement");
    assert.ok(reads.length, "the depth was never read");
    assert.deepEqual(
      reads.filter(([, during]) => during),
      [],
    );
  },

  "every listener only looks on: passive, and none that keeps a page out of the back/forward cache": async ({
    context,
    open,
  }) => {
    await context.addInitScript(() => {
      window.listeners = [];
      const add = EventTarget.prototype.addEventListener;
      EventTarget.prototype.addEventListener = function (type, listener, options) {
        if (/footfall(\.more)?\.js/.test(new Error().stack)) window.listeners.push([type, !!options?.passive]);
        add.call(this, type, listener, options);
      };
    });
    const page = await open();
    await complete(page);
    const listeners = await page.evaluate(() => window.listeners);
    const types = listeners.map(([type]) => type);
    assert.ok(types.includes("click") && types.includes("scroll"));
    assert.ok(!types.some((type) => /unload/.test(type)));
    const input = /^(click|auxclick|pointer|key|wheel|touch|scroll|input|submit|play|timeupdate)/;
    assert.deepEqual(
      listeners.filter(([type, passive]) => input.test(type) && !passive),
      [],
    );
  },

  // Pages

  "a search on the site is told with the page view": async ({ collector, open }) => {
    const page = await open("/find?sort=price&query=r%C3%B6d+shoes%");
    await page.evaluate(() => history.pushState({}, "", "/find?s="));
    await arrived(collector, "page_view", 2);
    await page.evaluate((text) => history.pushState({}, "", `/find?keyword=${text}`), "long".repeat(100));
    await arrived(collector, "page_view", 3);
    const [first, second, third] = told(collector, "page_view").map(({ search_query }) => search_query);
    assert.deepEqual([first, second, third.length], ["röd shoes%", undefined, 128]);
  },

  "a page that is not there tells so, and only it": async ({ collector, site, open }) => {
    site.holds["/missing"] = (response) =>
      response
        .writeHead(404, { "Content-Type": "text/html" })
        .end(`<script defer src="${collector.origin}/footfall.js" data-write-key="key"></script>gone`);
    const page = await open("/missing");
    await arrived(collector, "page_view");
    await page.evaluate(() => history.pushState({}, "", "/there"));
    await arrived(collector, "page_view", 2);
    await page.goto(`${site.origin}/fine`);
    await arrived(collector, "page_view", 3);
    assert.deepEqual(
      told(collector, "page_view").map(({ status }) => status),
      [404, undefined, undefined],
    );
  },

  // Media

  "a sound that is played tells 0, 25, 50, 75 and 100 percent, once each": async ({ collector, site, open }) => {
    play(site, "/song.wav", 2);
    site.bodies["/"] = '<audio muted title="A song" src="/song.wav?token=secret"></audio>';
    const page = await open();
    const whole = () =>
      page.evaluate(
        () =>
          new Promise((done) => {
            const audio = document.querySelector("audio");
            audio.addEventListener("ended", () => done(), { once: true });
            audio.play();
          }),
      );
    await whole();
    await whole();
    await last(page, collector);
    const all = told(collector, "media_progress");
    assert.deepEqual(
      all.map(({ percent }) => percent),
      [0, 25, 50, 75, 100],
    );
    const rest = { media_kind: "audio", src: `${site.origin}/song.wav`, title: "A song", duration_s: 2 };
    assert.deepEqual(all[0], { ...rest, percent: 0 });
  },

  "each source of a video counts for itself, and a private one not at all": async ({ collector, site, open }) => {
    play(site, "/one.wav", 4);
    play(site, "/two.wav", 4);
    site.bodies["/"] =
      '<video muted aria-label="Film" src="/one.wav"></video><p data-footfall-private><video id="p" muted src="/two.wav?p"></video></p>';
    const page = await open();
    await complete(page);
    const playing = (selector, src) =>
      page.evaluate(
        ([name, url]) =>
          new Promise((done) => {
            const video = document.querySelector(name);
            if (url) video.src = url;
            video.addEventListener("playing", () => done(), { once: true });
            video.play();
          }),
        [selector, src],
      );
    await playing("#p");
    await playing("video");
    await playing("video", "/two.wav");
    await last(page, collector);
    assert.deepEqual(
      told(collector, "media_progress").map(({ media_kind, src, title, percent }) => [media_kind, src, title, percent]),
      [
        ["video", `${site.origin}/one.wav`, "Film", 0],
        ["video", `${site.origin}/two.wav`, "Film", 0],
      ],
    );
  },
};
