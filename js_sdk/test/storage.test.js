import assert from "node:assert/strict";
import { test } from "node:test";
import { load, names, permit, store } from "../src/storage.js";

test("without localStorage, text lives as long as the page", () => {
  permit(true);
  assert.equal(load("id"), undefined);
  store("id", "x");
  store("user", 5);
  assert.deepEqual([load("id"), load("user"), names("")], ["x", "5", ["id", "user"]]);
  store("id");
  assert.deepEqual([load("id"), names("u")], [undefined, ["user"]]);
});
