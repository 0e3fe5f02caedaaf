import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { add, land, QUEUE_EVENTS_MAX, take, trim, waiting } from "../src/queue.js";
import { settings } from "../src/settings.js";
import { load, wipe } from "../src/storage.js";

// Without localStorage the queue is in memory, by the same functions.
settings.writeKey = "KEY";
beforeEach(() => {
  land(waiting(), true);
  wipe();
});

const texts = (names) => names.map(load);

test("events are taken in the order of their ids, and only once until they land", () => {
  for (const id of ["2", "1", "3"]) add([id], id);
  const first = take(2, 1000);
  assert.deepEqual(texts(first), ["1", "2"]);
  assert.deepEqual(texts(take(9, 1000)), ["3"]);
  land(first, false);
  assert.deepEqual(texts(take(9, 1000)), ["1", "2"]);
});

test("a batch holds what fits, counted in bytes, and always at least one", () => {
  add(["1"], "ä".repeat(10));
  add(["2"], "b".repeat(10));
  add(["3"], "c");
  assert.deepEqual(texts(take(9, 5)), ["ä".repeat(10)]);
  assert.deepEqual(texts(take(9, 12)), ["b".repeat(10)]);
});

test("when full the oldest goes and is counted", () => {
  for (let i = 0; i < QUEUE_EVENTS_MAX + 2; i++) add([`${1000 + i}`], `${i}`);
  assert.equal(trim(), 2);
  assert.deepEqual(texts(waiting().slice(0, 1)), ["2"]);
  assert.equal(trim(), 0);
});

test("delivered events are gone", () => {
  add(["1"], "a");
  land(take(9, 1000), true);
  assert.deepEqual(waiting(), []);
});

test("events of another write key are left alone", () => {
  add(["1"], "mine");
  settings.writeKey = "OTHER";
  assert.deepEqual(waiting(), []);
  settings.writeKey = "KEY";
  assert.equal(waiting().length, 1);
});
