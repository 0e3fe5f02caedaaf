import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { QUEUE_CHARS_MAX } from "../src/queue.js";

let queue;
let fresh = 0;
// The queue is the module's own state; a new query is a new copy of the module.
beforeEach(async () => {
  queue = await import(`../src/queue.js?${fresh++}`);
});

test("events are taken in the order they came, and only once until they land", () => {
  queue.add(["a", "b"]);
  queue.add(["c"]);
  assert.deepEqual(queue.take(2, 1000), ["a", "b"]);
  assert.deepEqual(queue.waiting(), ["c"]);
  queue.land(["a", "b"]);
  assert.deepEqual(queue.take(9, 1000), ["a", "b", "c"]);
});

test("older events of another page go first, and none is held twice", () => {
  queue.add(["b", "c"]);
  queue.add(["a", "b"], true);
  assert.deepEqual(queue.all(), ["a", "b", "c"]);
});

test("a batch holds what fits, counted in bytes, and always at least one", () => {
  queue.add(["ä".repeat(10), "b".repeat(10), "c"]);
  assert.deepEqual(queue.take(9, 5), ["ä".repeat(10)]);
  assert.deepEqual(queue.take(9, 12), ["b".repeat(10)]);
});

test("when full the oldest goes and is counted", () => {
  const large = (letter) => letter.repeat(QUEUE_CHARS_MAX / 2);
  queue.add([large("a"), large("b")]);
  assert.equal(queue.dropped(), 0);
  queue.add(["c"]);
  assert.deepEqual(queue.all(), [large("b"), "c"]);
  assert.equal(queue.dropped(), 1);
});

test("delivered events are gone, given up ones are counted", () => {
  queue.add(["a", "b", "c"]);
  queue.remove(["a"]);
  queue.remove(["b"], true);
  assert.deepEqual([queue.all(), queue.dropped()], [["c"], 1]);
});
