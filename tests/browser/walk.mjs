/**
 * A visitor's walk through the demo shop in a real browser: `node walk.mjs BASE_URL`, BASE_URL being where the collector
 * is reached, without /demo/. Prints one line of JSON:
 *
 *     {"visitor_id": …, "order_id": …, "expected": [[event, path], …]}   in the order of the visit, every event once
 *
 * The visitor looks at each page for a moment, long enough to count as engaged with it. The last event is tracked and its
 * tab closed in the same moment. Exits with 1 and a reason when the walk fails.
 */
import { launch } from "./chromium.mjs";
import { fetched } from "./second_part.mjs";

// Above the second that the tag takes for a glance.
const LOOK_MS = 1200;

const shop = `${process.argv[2]?.replace(/\/$/, "")}/demo/`;
const expected = [];

/** What the tag's collector took of this page, and its second part, show that the tag runs; from then on the visitor looks. */
async function look(page) {
  await page.waitForFunction(() => window.footfall?.status?.().sent);
  await page.mouse.move(400, 300);
  await page.mouse.move(410, 310);
  await fetched(page);
  await page.evaluate((ms) => new Promise((done) => setTimeout(done, ms)), LOOK_MS);
}

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
  await look(page);
  await click("#shop-now");
  did("", "click", "engagement");
  await arrive("category.html");
  did("category.html", "page_view");

  await look(page);
  await click("#kind-bags"); // pushState: another page view, no load
  await page.waitForFunction(() => location.search === "?category=bags" && document.title.startsWith("Bags"));
  did("category.html", "click", "engagement", "page_view");
  await look(page);
  await page.fill("#q", "tote");
  await click("search button");
  await page.waitForFunction(() => location.search === "?q=tote");
  did("category.html", "click", "form_submit", "engagement", "page_view", "search");

  await look(page);
  await click("[data-sku=bag-02]");
  did("category.html", "click", "engagement");
  await arrive("product.html");
  did("product.html", "page_view", "product_viewed");
  await look(page);
  await page.fill("#quantity", "2");
  await click("#add-to-cart");
  did("product.html", "click", "form_submit", "add_to_cart");
  await click("#see-cart");
  did("product.html", "click", "engagement");

  await arrive("cart.html");
  did("cart.html", "page_view");
  await look(page);
  await click("#to-checkout");
  did("cart.html", "click", "engagement");
  await arrive("checkout.html");
  did("checkout.html", "page_view", "checkout_started");
  await look(page);
  await page.fill("#full-name", "Ann Example");
  await page.fill("#address", "1 Example Street");
  await click("#place-order"); // in a private part: no click and no form is recorded
  did("checkout.html", "engagement");
  await arrive("confirmation.html");
  did("confirmation.html", "page_view", "purchase");
  await page.waitForSelector("#nps:not([hidden])");
  await look(page);

  const known = await page.evaluate(() => ({
    visitor_id: localStorage.getItem("footfall_id"),
    order_id: JSON.parse(localStorage.getItem("shop_order")).order_id,
  }));
  await page.evaluate(() => window.footfall("track", "sign_up", { method: "email" }));
  did("confirmation.html", "sign_up", "engagement");
  await page.close();
  return known;
}

const browser = await launch();
try {
  const context = await browser.newContext({ viewport: { width: 1280, height: 720 } });
  // A visitor's browser is driven by nobody; of a driven one the collector would say that it is a bot.
  await context.addInitScript(() => Object.defineProperty(Navigator.prototype, "webdriver", { get: () => false }));
  const known = await walk(await context.newPage());
  console.log(JSON.stringify({ ...known, expected }));
} catch (error) {
  console.error(`the walk failed: ${error.message}`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
