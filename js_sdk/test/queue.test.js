import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";
import { decide } from "../src/consent.js";
import { settings } from "../src/settings.js";
import { load, names, store, wipe } from "../src/storage.js";

const { context, QUEUE_EVENTS_MAX, take, waiting } = await import("../src/queue.js");

// As much of a browser as an answer's absence needs; node has none before its version 21.
globalThis.navigator ??= /** @type {any} */ ({});

// Without localStorage the queue is in memory, by the same functions.
beforeEach(() => {
  wipe();
  settings.writeKey = `key${Math.random()}`; // what an earlier test took is in flight
  context.dropped = 0;
  decide("granted");
});

const add = (words, text) => store(`_queue_${settings.writeKey}_${words}`, text);
const texts = (taken) => taken.map(load);

test("events are taken in the order of their ids, and only once until they are answered", () => {
  for (const id of ["2", "1", "3"]) add(id, id);
  assert.deepEqual(texts(take()), ["1", "2", "3"]);
  add("4", "4");
  assert.deepEqual(texts(take()), ["4"]);
  assert.deepEqual(take(), []);
  assert.equal(waiting().length, 4);
});

test("a batch holds what fits, and always at least one", () => {
  add("1", "ä".repeat(20_000));
  add("2", "b".repeat(20_000));
  add("3", "c".repeat(9000));
  add("4", "d".repeat(9000));
  const batches = [take(), take(), take()].map((taken) =>
    texts(taken)
      .map((text) => text[0])
      .join(""),
  );
  assert.deepEqual(batches, ["ä", "bc", "d"]);
});

test("when full the oldest goes and is counted", () => {
  for (let i = 0; i < QUEUE_EVENTS_MAX + 2; i++) add(`${1000 + i}`, `${i}`);
  assert.deepEqual(texts(take().slice(0, 1)), ["2"]);
  assert.equal(context.dropped, 2);
  assert.equal(waiting().length, QUEUE_EVENTS_MAX);
});

test("nothing is taken before a server's time, unless the clock was set back; nor without consent", () => {
  add("1", "a");
  store("_wait", Date.now() + 60_000);
  assert.deepEqual(take(), []);
  decide("pending");
  store("_wait", Date.now() + 86_400_000);
  assert.deepEqual(take(), []);
  decide("granted");
  assert.deepEqual(texts(take()), ["a"]);
});

test("an answer that was given in another tab holds here with the next look at the queue", () => {
  add("1", "a");
  store("_consent", '"denied"');
  assert.deepEqual(take(), []);
  store("_consent", '"granted"');
  assert.deepEqual(texts(take()), ["a"]);
});

test("an event of a category that was not granted is forgotten", () => {
  decide({ analytics: true, marketing: false });
  add("1,marketing", "a");
  add("2,analytics", "b");
  add("3,analytics,other", "c");
  assert.deepEqual(texts(take()), ["b"]);
  assert.equal(waiting().length, 1);
});

test("events of another write key are left alone", () => {
  add("1", "mine");
  settings.writeKey = "OTHER";
  assert.deepEqual(take(), []);
  assert.equal(names("_queue_").length, 1);
});
