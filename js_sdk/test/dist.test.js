import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { bundle } from "../build.mjs";
import { BUDGETS, sizes } from "../size.mjs";

const dist = new URL("../dist/", import.meta.url);

test("dist/ is what the sources build; run `npm run build` when this fails", async () => {
  const files = await bundle();
  assert.deepEqual(readdirSync(dist).sort(), Object.keys(files).sort());
  for (const [name, text] of Object.entries(files)) {
    assert.ok(readFileSync(new URL(name, dist)).equals(Buffer.from(text)), `${name} is not fresh`);
  }
});

for (const [name, most] of Object.entries(BUDGETS)) {
  test(`${name} weighs at most ${most} bytes of brotli`, () => {
    assert.ok((sizes().find((size) => size.name === name)?.brotli ?? Number.POSITIVE_INFINITY) <= most);
  });
}

test("importing the module does nothing, and its calls on a server neither fail nor do anything", async () => {
  const { footfall, init, track } = await import("../dist/index.js");
  init({ writeKey: "KEY", endpoint: "https://collector.example" });
  track("x", { a: 1 });
  assert.equal(footfall.version, JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")).version);
});
