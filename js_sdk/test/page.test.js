import assert from "node:assert/strict";
import { test } from "node:test";
import { pageOf, withoutFragment } from "../src/page.js";

test("the fragment, where sign-in flows put secrets, is left out", () => {
  assert.equal(withoutFragment("https://a.example/x?y=1#access_token=z\n#"), "https://a.example/x?y=1");
});

test("a title longer than the plan allows is cut", () => {
  const page = pageOf({ href: "https://a.example/x?y#z", pathname: "/x", search: "?y" }, "t".repeat(2000), "");
  assert.deepEqual([page.url, page.path, page.search, page.title.length], ["https://a.example/x?y", "/x", "?y", 1024]);
});
