import assert from "node:assert/strict";
import { test } from "node:test";
import { load, names, store } from "../src/storage.js";

test("without localStorage, text lives as long as the page", () => {
  assert.equal(load("id"), "");
  store("id", "x");
  assert.equal(load("id"), "x");
  store("id", "");
  assert.deepEqual([load("id"), names("")], ["", []]);
});
