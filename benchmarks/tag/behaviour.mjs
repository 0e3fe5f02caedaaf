/**
 * What each tag does where it matters, counted by the server that receives: single-page navigation, the back/forward
 * cache, prerendering, an outage, a closing tab, and how many copies of an event arrive.
 */
import { Stage } from "./stage.mjs";

const QUIET_MS = 2500; // the longest any of these tags lets a batch fill is 3 s after load; all are past it by then
const OUTAGE_MS = 15_000;

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

const opened = async (browser, peer, path = "/") => {
  const stage = await new Stage(peer).start();
  const context = await browser.newContext();
  const page = await context.newPage();
  await page.goto(stage.origin + path);
  await wait(QUIET_MS + 1500);
  return { stage, context, page, close: () => context.close().then(() => stage.stop()) };
};

/** Page views that a step in the page causes. */
const viewsOf = async ({ stage, page }, step) => {
  const before = stage.views().length;
  await page.evaluate(step);
  await wait(QUIET_MS);
  return stage.views().length - before;
};

const navigation = async (browser, peer) => {
  const at = await opened(browser, peer);
  const found = {
    "first load": at.stage.views().length,
    pushState: await viewsOf(at, "history.pushState({}, '', '/a')"),
    "same address pushed again": await viewsOf(at, "history.pushState({}, '', '/a')"),
    "query changed": await viewsOf(at, "history.pushState({}, '', '/a?page=2')"),
    replaceState: await viewsOf(at, "history.replaceState({}, '', '/b')"),
    "same address replaced again": await viewsOf(at, "history.replaceState({}, '', '/b')"),
    "in-page anchor": await viewsOf(at, "location.hash = 'top'"),
    back: await viewsOf(at, "history.go(-2)"),
  };
  await at.close();
  return found;
};

const restored = async (browser, peer) => {
  const at = await opened(browser, peer);
  await at.page.evaluate("window.addEventListener('pageshow', (event) => { window.persisted = event.persisted })");
  await at.page.goto(`${at.stage.origin}/other`);
  await wait(QUIET_MS);
  const before = at.stage.views().length;
  await at.page.goBack({ waitUntil: "commit" }); // a restored page has no load event
  await wait(QUIET_MS);
  const persisted = await at.page.evaluate("window.persisted === true");
  const found = {
    "kept in the back/forward cache": persisted ? "yes" : "no",
    "restored page counted": at.stage.views().length - before,
  };
  await at.close();
  return found;
};

const prerendered = async (browser, peer) => {
  const at = await opened(browser, peer, "/?rules=1");
  const seen = at.stage.views().filter(({ url }) => url.includes("/ahead")).length;
  await at.close();
  return { "prerendered page counted unseen": seen };
};

const outage = async (browser, peer) => {
  const at = await opened(browser, peer);
  at.stage.status = 503;
  for (let i = 0; i < 5; i++) await at.page.evaluate(peer.track(`lost_${i}`));
  await wait(QUIET_MS);
  at.stage.status = 200;
  const deadline = Date.now() + OUTAGE_MS;
  const names = () => new Set(at.stage.events("lost_").map(({ name }) => name)).size;
  while (names() < 5 && Date.now() < deadline) await wait(200);
  const back = names();
  await at.page.reload();
  await wait(QUIET_MS + 5000);
  const later = names();
  await at.close();
  return { "5 events of an outage, back in 15 s": back, "the same, after a reload": later };
};

const closing = async (browser, peer) => {
  let kept = 0;
  for (let i = 0; i < 6; i++) {
    const at = await opened(browser, peer);
    at.stage.preflightMs = 300;
    await at.page.evaluate(peer.track("last_words"));
    await at.page.close();
    await wait(1500);
    kept += Math.min(1, at.stage.events("last_words").length);
    await at.close();
  }
  return { "event, then the tab closed, of 6": kept };
};

const leaving = async (browser, peer) => {
  const at = await opened(browser, peer);
  for (let i = 0; i < 12; i++) {
    await at.page.evaluate(peer.track(`leave_${i}`));
    await at.page.goto(`${at.stage.origin}/p${i}`);
  }
  await wait(QUIET_MS + 5000);
  const events = at.stage.events("leave_");
  const found = {
    "12 events sent at navigation: arrived": new Set(events.map(({ name }) => name)).size,
    "copies of them": events.length,
    "preflights in that time": at.stage.requests.filter(({ method }) => method === "OPTIONS").length,
  };
  await at.close();
  return found;
};

const ROWS = [navigation, restored, prerendered, outage, closing, leaving];

/** @returns {Promise<Record<string, number | string>>} row name to what was counted */
export async function behaviourOf(browser, peer) {
  const found = {};
  for (const row of ROWS) Object.assign(found, await row(browser, peer));
  return found;
}
