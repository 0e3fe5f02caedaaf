/**
 * A visitor's walk through the demo shop in a real browser: `node walk.mjs BASE_URL`, BASE_URL being where the collector
 * is reached, without /demo/. Prints one line of JSON:
 *
 *     {"visitor_id": …, "order_id": …, "expected": [[event, path], …]}   in the order of the visit, every event once
 *
 * The last event is tracked and its tab closed in the same moment. Exits with 1 and a reason when the walk fails.
 */
import { launch } from "./chromium.mjs";

const shop = `${process.argv[2]?.replace(/\/$/, "")}/demo/`;
const expected = [];

/** Note what the visitor now did, by page name. */
const did = (page, ...events) => {
  for (const event of events) expected.push([event, `/demo/${page}`]);
};

async function walk(page) {
  const arrive = (name) => page.waitForURL((url) => url.pathname === `/demo/${name}`);
  const click = (selector) => page.click(selector);
  page.setDefaultTimeout(20_000);

  await page.goto(`${shop}?utm_source=newsletter&utm_medium=email&utm_campaign=autumn`);
  did("", "page_view");
  await click("#shop-now");
  did("", "click");
  await arrive("category.html");
  did("category.html", "page_view");

  await click("#kind-bags"); // pushState: another page view, no load
  await page.waitForFunction(() => location.search === "?category=bags" && document.title.startsWith("Bags"));
  did("category.html", "click", "page_view");
  await page.fill("#q", "tote");
  await click("search button");
  await page.waitForFunction(() => location.search === "?q=tote");
  did("category.html", "click", "page_view", "search");

  await click("[data-sku=bag-02]");
  did("category.html", "click");
  await arrive("product.html");
  did("product.html", "page_view", "product_viewed");
  await page.fill("#quantity", "2");
  await click("#add-to-cart");
  did("product.html", "click", "add_to_cart");
  await click("#see-cart");
  did("product.html", "click");

  await arrive("cart.html");
  did("cart.html", "page_view");
  await click("#to-checkout");
  did("cart.html", "click");
  await arrive("checkout.html");
  did("checkout.html", "page_view", "checkout_started");
  await page.fill("#full-name", "Ann Example");
  await page.fill("#address", "1 Example Street");
  await click("#place-order"); // in a private part: no click is recorded
  await arrive("confirmation.html");
  did("confirmation.html", "page_view", "purchase");
  await page.waitForSelector("#nps:not([hidden])");

  const known = await page.evaluate(() => ({
    visitor_id: localStorage.getItem("footfall_id"),
    order_id: JSON.parse(localStorage.getItem("shop_order")).order_id,
  }));
  // The tag is deferred as the shop is, and stands before it: it runs by now.
  await page.evaluate(() => window.footfall("track", "sign_up", { method: "email" }));
  did("confirmation.html", "sign_up");
  await page.close();
  return known;
}

const browser = await launch();
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
  const known = await walk(await context.newPage());
  console.log(JSON.stringify({ ...known, expected }));
} catch (error) {
  console.error(`the walk failed: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
