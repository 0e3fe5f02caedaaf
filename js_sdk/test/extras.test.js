import assert from "node:assert/strict";
import { test } from "node:test";
import { domainsOf, isListed, takeToken, withToken } from "../extras/lib/address.js";
import { explainAnswer, explainClock, explainConsent } from "../extras/lib/explain.js";
import { ofError, ofRejection, STACK_CHARS_MAX } from "../extras/lib/failure.js";
import { findLost } from "../extras/lib/lost.js";

const PAGE = "https://shop.example/pay?card=4111#step";

test("an error's addresses lose query and fragment, and keep line and column", () => {
  const error = { stack: `Error: x\n    at pay (${PAGE}:10:5)\n    at https://cdn.example/app.js?v=3:1:200` };
  const told = ofError({ message: "Uncaught Error: x", filename: PAGE, lineno: 10, colno: 5, error }, []);
  assert.equal(told.source, "https://shop.example/pay");
  assert.equal(
    told.stack,
    "Error: x\n    at pay (https://shop.example/pay:10:5)\n    at https://cdn.example/app.js:1:200",
  );
  assert.deepEqual([told.line, told.column, told.kind], [10, 5, "error"]);
});

test("an error quotes no input; texts too short to tell from ordinary words stay", () => {
  const values = ["ada@example.com", "x", ""];
  const told = ofError({ message: "no user ada@example.com at x", error: { stack: "at ada@example.com" } }, values);
  assert.equal(told.message, "no user [input] at x");
  assert.equal(told.stack, "at [input]");
});

test("a stack is cut at its limit", () => {
  assert.equal(ofError({ message: "x", error: { stack: "a".repeat(9000) } }, []).stack.length, STACK_CHARS_MAX);
});

for (const message of ["Script error.", "Script error"]) {
  test(`"${message}" without a place is a script's of another origin`, () => {
    assert.equal(ofError({ message }, []).kind, "cross_origin");
  });
}

test("a page's own error that is called like that is its own", () => {
  assert.equal(ofError({ message: "Script error.", filename: PAGE, lineno: 1 }, []).kind, "error");
});

for (const [what, reason, message] of [
  ["a text", "gone", "gone"],
  ["nothing", undefined, "undefined"],
  ["an object, which is not read", { password: "hush" }, "[object Object]"],
  ["an error", Object.assign(new TypeError("gone"), { stack: "" }), "TypeError: gone"],
  ["a symbol", Symbol("s"), "Symbol(s)"],
]) {
  test(`a promise may be rejected with ${what}`, () => {
    assert.equal(ofRejection(reason, []).message, message);
  });
}

test("a rejection's place is its stack's first", () => {
  const stack = "Error: x\n    at pay (https://shop.example/a.js?v=1:10:5)\n    at https://shop.example/b.js:1:2";
  const { source, line, column } = ofRejection({ message: "x", stack }, []);
  assert.deepEqual([source, line, column], ["https://shop.example/a.js", 10, 5]);
});

for (const [host, listed] of [
  ["b.example", true],
  ["shop.b.example", true],
  ["c.example", true],
  ["notb.example", false],
  ["b.example.evil.test", false],
  ["example", false],
  ["", false],
]) {
  test(`${host || "no host"} is ${listed ? "" : "not "}listed`, () => {
    assert.equal(isListed(host, domainsOf("  B.example, c.example ")), listed);
  });
}

test("an empty list lists nothing", () => {
  assert.equal(isListed("b.example", domainsOf("")), false);
});

for (const [before, after] of [
  ["https://b.example/", "https://b.example/?footfall_link=t%2B1"],
  ["https://b.example/?a=1#part", "https://b.example/?a=1&footfall_link=t%2B1#part"],
  ["https://b.example/?footfall_link=old&a=%20+", "https://b.example/?a=%20+&footfall_link=t%2B1"],
  ["https://b.example/#?x", "https://b.example/?footfall_link=t%2B1#?x"],
]) {
  test(`a token is added to ${before}, and taken out again`, () => {
    assert.equal(withToken(before, "t+1"), after);
    assert.deepEqual(takeToken(after), { token: "t+1", rest: takeToken(before).rest });
  });
}

test("a parameter that is no valid escape throws nothing", () => {
  assert.deepEqual(takeToken("https://b.example/?footfall_link=%E0%A4%A&b=1").rest, "https://b.example/?b=1");
});

test("what is like the parameter is left alone", () => {
  const href = "https://b.example/?my_footfall_link=1&footfall_links=2";
  assert.deepEqual(takeToken(href), { token: "", rest: href });
});

test("nothing is lost of what JSON can hold", () => {
  assert.deepEqual(findLost({ a: [1, "ä😀", null, true, { b: new Date(0) }], c: undefined }), []);
});

test("what is lost is told with its place", () => {
  const cycle = { list: /** @type {unknown[]} */ ([]) };
  cycle.list.push(cycle);
  const given = {
    cycle,
    "a/b~c": () => 1,
    map: new Map([["a", 1]]),
    long: "x".repeat(5000),
    half: "\uD800",
    big: 10n,
    get trap() {
      throw new Error("no");
    },
  };
  const found = Object.fromEntries(findLost(given).map(({ pointer, problem }) => [pointer, problem]));
  const { "/long": long, ...others } = found;
  assert.match(long ?? "", /^cut to \d+ of its 5000 characters$/);
  assert.deepEqual(others, {
    "/cycle/list/0": "left out: it contains itself",
    "/a~1b~0c": "left out: a function cannot be sent",
    "/map": "sent as {}: give an object or an array instead of it",
    "/half": "half a character (a lone surrogate) was replaced",
    "/big": "sent as text: JSON has no BigInt",
    "/trap": "left out: reading it throws",
  });
});

test("a huge or deep event is looked at within limits", () => {
  /** @type {Record<string, unknown>} */
  let deep = {};
  for (let i = 0; i < 10_000; i++) deep = { deep };
  assert.match(findLost(deep)[0]?.problem ?? "", /too large or too deep/);
  assert.ok(findLost({ list: new Array(100_000).fill(1n) }).length <= 20);
});

const FACTS = { writeKey: "key", endpoint: "https://f.example", origin: "https://a.example", online: true, csp: false };

for (const [what, answer, facts, words] of [
  ["a wrong key", { status: 401, error: "no such key" }, {}, /"key" is not known.*sources list.*It says: no such key/],
  ["a foreign origin", { status: 403 }, {}, /origin https:\/\/a\.example may not use/],
  ["a wrong address", { status: 404 }, {}, /There is no collector at https:\/\/f\.example/],
  ["a batch that is too large", { status: 413 }, {}, /again in halves/],
  ["a busy collector", { status: 503 }, {}, /busy .status 503.: events wait/],
  ["an answer nobody expects", { status: 418 }, {}, /refused the batch with status 418/],
  ["a policy", {}, { csp: true }, /Content-Security-Policy forbids.*connect-src/],
  ["no network", {}, { online: false }, /offline/],
  ["something that is no collector", {}, { reachable: true }, /no CORS header/],
  ["a blocked request", { error: new TypeError("Failed to fetch") }, {}, /ad blocker/],
]) {
  test(`${what} is said in words`, () => {
    assert.match(explainAnswer(/** @type {any} */ (answer), { ...FACTS, ...facts }), words);
  });
}

test("a good answer needs no words", () => {
  assert.equal(explainAnswer({ status: 200 }, FACTS), "");
  assert.equal(explainConsent("granted", { gpc: true, dnt: true }), "");
});

test("denied consent is told with its cause", () => {
  assert.match(explainConsent("denied", { gpc: true, dnt: false }), /Global Privacy Control/);
  assert.match(explainConsent("denied", { gpc: false, dnt: true }), /Do Not Track/);
  assert.match(explainConsent("denied", { gpc: false, dnt: false, attribute: "denied" }), /data-consent/);
  assert.match(explainConsent("denied", { gpc: false, dnt: false }), /visitor said so/);
});

test("a clock is wrong from five minutes on, either way", () => {
  assert.equal(explainClock(1_000_000, 1_000_000 + 300_000), "");
  assert.match(explainClock(1_000_000, 1_000_000 + 300_001), /5 minutes ahead/);
  assert.match(explainClock(7_200_000, 0), /120 minutes behind/);
  assert.equal(explainClock(Number.NaN, 0), "");
});
