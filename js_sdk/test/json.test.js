import assert from "node:assert/strict";
import { test } from "node:test";
import { toJson } from "../src/json.js";

const cycle = { a: 1 };
cycle.self = cycle;
const trap = { get bad() { throw new Error("no"); }, good: 1 }; // biome-ignore format: one line reads best
const proxy = new Proxy({}, { ownKeys: () => decodeURIComponent("%") });

for (const [name, value, expected] of [
  [
    "plain values",
    { a: 1.5, b: "x", c: true, d: null, e: [1, "2", { f: [] }] },
    '{"a":1.5,"b":"x","c":true,"d":null,"e":[1,"2",{"f":[]}]}',
  ],
  ["a cycle", cycle, '{"a":1}'],
  ["a BigInt", { n: 10n ** 20n }, '{"n":"100000000000000000000"}'],
  ["a throwing getter", trap, '{"good":1}'],
  ["a hostile proxy", { proxy, good: 1 }, '{"good":1}'],
  ["a lone surrogate in value and key", { "k\udc00": "a\ud800b😀" }, '{"k\ufffd":"a\ufffdb😀"}'],
  ["values JSON lacks", { u: undefined, f: () => 1, s: Symbol("s"), n: Number.NaN, i: -1 / 0 }, "{}"],
  ["values JSON lacks, in a list", [undefined, Number.NaN, 1], "[null,null,1]"],
  [
    "a date, and one that is none",
    { d: new Date(0), e: new Date(Number.NaN) },
    '{"d":"1970-01-01T00:00:00.000Z","e":null}',
  ],
  ["an element", { el: { nodeType: 1, nodeName: "BUTTON" } }, '{"el":"BUTTON"}'],
  ["what has no JSON at all", undefined, "{}"],
]) {
  test(`${name}: what can be kept is kept`, () => assert.equal(toJson(value), expected));
}

for (const [name, value] of [
  ["one endless text", { text: "x".repeat(1e6), after: 1 }],
  ["many three-byte texts", { list: Array(100).fill("语".repeat(4096)) }],
  ["a million numbers", { list: Array(1e6).fill(12345) }],
  ["many keys", Object.fromEntries(Array.from({ length: 1e5 }, (_, i) => [`key_${i}`, i]))],
  ["deep nesting", JSON.parse(`${'{"a":'.repeat(5000)}1${"}".repeat(5000)}`)],
]) {
  test(`${name} stays below the 32,768 bytes a collector takes, and is still JSON`, () => {
    const text = toJson(value);
    assert.ok(Buffer.byteLength(text) <= 32_768, `${Buffer.byteLength(text)} bytes`);
    assert.doesNotThrow(() => JSON.parse(text));
  });
}

test("a long text does not push out what follows it", () => {
  assert.equal(JSON.parse(toJson({ text: "x".repeat(1e6), after: 1 })).after, 1);
});

test("a toJSON that the page put on every object or list is not obeyed, that of a date or a class is", () => {
  class Price {
    toJSON() {
      return "1.20";
    }
  }
  const broken = { value: () => "broken", configurable: true };
  Object.defineProperty(Object.prototype, "toJSON", broken);
  Object.defineProperty(Array.prototype, "toJSON", broken);
  try {
    assert.equal(
      toJson({ a: [{ b: 1 }], at: new Date(0), price: new Price() }),
      '{"a":[{"b":1}],"at":"1970-01-01T00:00:00.000Z","price":"1.20"}',
    );
  } finally {
    delete Object.prototype.toJSON;
    delete Array.prototype.toJSON;
  }
});
