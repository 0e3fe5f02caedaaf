import assert from "node:assert/strict";
import { test } from "node:test";

const { waitMs } = await import("../src/queue.js");

test("waits double, jitter by half, and stop growing at a minute", () => {
  assert.deepEqual(
    [0, 1, 2, 50].map((failures) => [waitMs(null, failures, 0), waitMs(null, failures, 1)]),
    [
      [500, 1000],
      [1000, 2000],
      [2000, 4000],
      [30_000, 60_000],
    ],
  );
});

for (const [header, ms] of [
  ["120", 120_000],
  ["999999999", 3_600_000],
  ["Thu, 01 Jan 2026 00:00:30 GMT", 0],
  ["soon", 0],
  ["", 0],
  [null, 0],
  [undefined, 0],
]) {
  test(`Retry-After ${JSON.stringify(header)} adds ${ms} ms`, () => assert.equal(waitMs(header, 0, 1), ms + 1000));
}
