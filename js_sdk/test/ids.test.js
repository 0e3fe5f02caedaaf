import assert from "node:assert/strict";
import { test } from "node:test";
import { uuidv7 } from "../src/ids.js";

test("the id of RFC 9562's example moment carries its time, version and variant", () => {
  const id = uuidv7(0x017f22e279b0, Uint8Array.of(0x3c, 0xc3, 0x18, 0xc4, 0xdc, 0x0c, 0x0c, 0x07, 0x39, 0x8f));
  assert.match(id, /^017f22e2-79b0-7cc3-/);
  assert.equal(id.length, 36);
});

test("any randomness gives version 7 and variant 10", () => {
  for (const fill of [0x00, 0x7f, 0x80, 0xff]) {
    const id = uuidv7(1, new Uint8Array(10).fill(fill));
    assert.match(id, /^00000000-0001-7[\da-f]{3}-[89ab][\da-f]{3}-[\da-f]{12}$/);
  }
});

test("a later id sorts after an earlier one", () => {
  const random = new Uint8Array(10).fill(0xff);
  assert.ok(uuidv7(1_700_000_000_000, random) < uuidv7(1_700_000_000_001, new Uint8Array(10)));
});
