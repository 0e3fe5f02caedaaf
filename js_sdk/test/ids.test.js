import assert from "node:assert/strict";
import { test } from "node:test";
import { newId } from "../src/ids.js";

test("the id of RFC 9562's example moment carries its time, version and variant", () => {
  assert.equal(newId(0x017f22e279b0, 45, 0.123456789012345), "017f22e2-79b0-7045-8123-456789012345");
});

test("any counter gives version 7, the time's own twelve digits and 36 characters", () => {
  for (const counter of [0, 1, 999, 1000, 123_456_789]) {
    assert.match(newId(0x017f22e279b0, counter, 0), /^017f22e2-79b0-7\d{3}-8000-000000000000$/);
  }
});

test("a later id sorts after an earlier one, within one millisecond too", () => {
  assert.ok(newId(1_700_000_000_000, 9, 0.999) < newId(1_700_000_000_001, 1, 0));
  assert.ok(newId(1_700_000_000_000, 1, 0.999) < newId(1_700_000_000_000, 2, 0));
});

test("a thousand ids made at once differ, are whole and are in order", () => {
  const ids = Array.from({ length: 1000 }, () => newId());
  assert.deepEqual([...new Set(ids)].sort(), ids);
  for (const id of ids) assert.match(id, /^[\da-f]{8}-[\da-f]{4}-7[\da-f]{3}-[89]\d{3}-\d{12}$/);
});
