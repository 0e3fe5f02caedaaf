import assert from "node:assert/strict";
import { test } from "node:test";
import { backoffMs, retryAfterMs } from "../src/retry.js";

const NOW = Date.UTC(2026, 0, 1);

test("waits double, jitter by half, and stop growing at a minute", () => {
  assert.deepEqual(
    [1, 2, 3, 50].map((failures) => [backoffMs(failures, 0), backoffMs(failures, 1)]),
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
  ["Thu, 01 Jan 2026 00:00:30 GMT", 30_000],
  ["Wed, 31 Dec 2025 00:00:00 GMT", 0],
  ["999999999", 3_600_000],
  ["-5", 0],
  ["soon", 0],
  ["", 0],
  [null, 0],
  [undefined, 0],
]) {
  test(`Retry-After ${JSON.stringify(header)} means ${ms} ms`, () => assert.equal(retryAfterMs(header, NOW), ms));
}
