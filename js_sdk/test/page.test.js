import assert from "node:assert/strict";
import { test } from "node:test";
import { campaignOf } from "../src/campaign.js";
import { pageOf } from "../src/page.js";

const at = {
  href: "https://a.example/x?y#access_token=z\n#",
  pathname: "/x",
  search: "?y",
  hash: "#access_token=z\n#",
};

test("the fragment, where sign-in flows put secrets, is left out, and a title longer than the plan allows is cut", () => {
  const page = pageOf(at, "t".repeat(2000), "");
  assert.deepEqual([page.url, page.path, page.search, page.title.length], ["https://a.example/x?y", "/x", "?y", 1024]);
});

test("a site that routes by the fragment has it in address and path", () => {
  const page = pageOf({ ...at, href: "https://a.example/x?y#/z", hash: "#/z" }, "", "", true);
  assert.deepEqual([page.url, page.path], ["https://a.example/x?y#/z", "/x#/z"]);
});

for (const [search, campaign] of [
  ["?utm_source=x&a=1&utm_term=y%20z&gclid=g", "utm_source=x&utm_term=y%20z&gclid=g"],
  ["?a=1&wbraid=w&msclkid=m&fbclid=f", "wbraid=w&msclkid=m&fbclid=f"],
  ["?id=3&utm_source=&client=2", ""],
  ["", ""],
]) {
  test(`campaign of ${search || "no query"}`, () => assert.equal(campaignOf(search), campaign));
}
