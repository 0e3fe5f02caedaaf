import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { campaignOf } from "../src/campaign.js";
import { page } from "../src/navigation.js";
import { settings } from "../src/settings.js";

const at = { origin: "https://a.example", pathname: "/x", search: "?y", hash: "#access_token=z\n#" };

/** As much of a window as a page's facts need. */
const show = (location, title) => Object.assign(globalThis, { location, document: { title, referrer: "" } });

afterEach(() => {
  for (const name of ["location", "document"]) delete globalThis[name];
  delete settings.hash;
});

test("the fragment, where sign-in flows put secrets, is left out, and a title longer than the plan allows is cut", () => {
  show(at, "t".repeat(2000));
  const { url, path, search, title } = page();
  assert.deepEqual([url, path, search, title.length], ["https://a.example/x?y", "/x", "?y", 1024]);
});

test("a site that routes by the fragment has it in the address", () => {
  show({ ...at, hash: "#/z" }, "");
  settings.hash = "";
  assert.deepEqual([page().url, page().path], ["https://a.example/x?y#/z", "/x#/z"]);
});

for (const [search, rest] of [
  ["?footfall_link=t", ""],
  ["?a=1&footfall_link=t", "?a=1"],
  ["?footfall_link=t&a=1", "?a=1"],
  ["?a=1&footfall_link=t&b=2", "?a=1&b=2"],
  ["?my_footfall_links=t", "?my_footfall_links=t"],
]) {
  test(`the token of a link from another site is in no address: ${search}`, () => {
    show({ ...at, search }, "");
    assert.deepEqual([page().url, page().search], [`https://a.example/x${rest}`, rest]);
  });
}

for (const [search, campaign] of [
  ["?utm_source=x&a=1&utm_term=y%20z&gclid=g", "utm_source=x&utm_term=y%20z&gclid=g"],
  ["?a=1&wbraid=w&msclkid=m&fbclid=f", "wbraid=w&msclkid=m&fbclid=f"],
  ["?ScCid=s&rdt_cid=r&cart_id=1&epik=e&irclickid=i", "ScCid=s&rdt_cid=r&epik=e&irclickid=i"],
  ["?li_fat_id=l&awc=a&user_id=9&cjevent=c&order_id=4", "li_fat_id=l&awc=a&cjevent=c"],
  ["?igsh=x&srsltid=s&sid=1&gbraid=g&ob_click_id=o", "igsh=x&srsltid=s&gbraid=g&ob_click_id=o"],
  ["?id=3&utm_source=&client=2", undefined],
  ["", undefined],
]) {
  test(`campaign of ${search || "no query"}`, () => assert.equal(campaignOf(search), campaign));
}
