import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { brotliCompressSync } from "node:zlib";
import { bundle } from "../build.mjs";

const committed = readFileSync(new URL("../dist/footfall.js", import.meta.url), "utf8");

test("dist/footfall.js is what the sources build; run `npm run build` when this fails", async () => {
  assert.equal(committed, await bundle());
});

test("the tag stays below 3.9 KB brotli", () => {
  assert.ok(brotliCompressSync(committed).length <= 3900);
});
