/**
 * Scenarios around footfall.more.js, which comes when the visitor first does something, and around the time that a page is
 * attended to.
 */

/** The page's clock, moved on by hand with `pass`; events keep the browser's own. */
export const movableClock = (context) =>
  context.addInitScript(() => {
    const real = performance.now.bind(performance);
    let aheadMs = 0;
    performance.now = () => real() + aheadMs;
    window.pass = (ms) => {
      aheadMs += ms;
    };
  });
export const pass = (page, ms) => page.evaluate((time) => window.pass(time), ms);

/** Until the second part has come; its address. With `asking`, the pointer moves until it does. */
export const fetched = (page, asking = false) =>
  page.waitForFunction((moves) => {
    if (moves) dispatchEvent(new Event("pointermove"));
    return performance
      .getEntriesByType("resource")
      .find(({ name, responseEnd }) => /footfall\.more\.js$/.test(name) && responseEnd)?.name;
  }, asking);

/** Has the second part come, and waits until it works: presses before it are no dead clicks. */
export async function complete(page) {
  const file = await fetched(page, true);
  // A module that is already there is given to the next import of it, after the tag's own.
  await page.evaluate((address) => import(address).then(() => {}), await file.jsonValue());
}

/** The second part is on its way until the function given back is called. */
export async function holdMore(context) {
  const held = [];
  await context.route("**/footfall.more.js", (route) =>
    new Promise((go) => held.push(go)).then(() => route.continue()),
  );
  return () => {
    for (const go of held.splice(0)) go();
  };
}

/** The first seconds, which belong to the page, or another such time, are over when window.settle() says so. */
export const holdStart = (context, time = 4000) =>
  context.addInitScript((held) => {
    const waiting = [];
    const real = setTimeout;
    window.setTimeout = (run, ms, ...rest) => (ms === held ? waiting.push(run) : real(run, ms, ...rest));
    window.settle = () => {
      for (const run of waiting.splice(0)) run();
    };
  }, time);
