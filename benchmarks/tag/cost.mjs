/**
 * What a tag costs the main thread: CPU profiles (sampled each 100 us) under a throttle of 4, the time below the tag's own
 * functions, so that what the browser does on their behalf counts as theirs. All tags in turn in each repetition.
 *
 * load       until 3 s after a page's load event
 * load, CPU  the same from a trace, without sampling and without throttle, in CPU time of the main thread: other work on the
 *            machine changes it least. The stage's pages have no script of their own, so that all script is the tag's.
 *            "without layout": less the layout that fell into the script because it asked for one before the page's own;
 *            "loads with layout" says in how many of them that was so. "load throttled": the same under the throttle
 * 10 s, CPU  the same until 10 s after the load event, of a page that nobody touches: with what a tag puts off
 * click      100 clicks, one each 20 ms, on a button that each tag with such a feature is told to record
 * plain      the same on a link that no tag is told of: work for those that see clicks by themselves
 * pushState  100 calls to new addresses, one each 20 ms
 * "in all" is everything the tag did because of it, sending included; "held up" is how much later the page's own call
 * returned: of a click the median, that without any tag taken off; of pushState the mean, what the browser's own function
 * took taken off call by call
 * stress 10,000 elements and 100 clicks a second for 3 s: long tasks (over 50 ms) that hold code of the tag
 */
import { Stage } from "./stage.mjs";

const THROTTLE = 4;
const INTERVAL_US = 100;
const LOAD_MS = 3000;
const LATER_MS = 10_000;
const TIMES = 100;
const STEP_MS = 20;

const wait = (ms) => new Promise((done) => setTimeout(done, ms));

// The tag, and what it fetches by itself; a page of the stage has no other script file.
const OURS = /\/(tag|footfall\.more)\.js$/;

/** Milliseconds below functions of the tag's scripts, each sample counted once. */
const tagMs = ({ nodes, samples, timeDeltas }) => {
  const parents = new Map();
  const byId = new Map(nodes.map((node) => [node.id, node]));
  for (const node of nodes) for (const child of node.children ?? []) parents.set(child, node.id);
  const ours = new Map();
  const isOurs = (id) => {
    if (id === undefined) return false;
    if (!ours.has(id)) ours.set(id, OURS.test(byId.get(id).callFrame.url) || isOurs(parents.get(id)));
    return ours.get(id);
  };
  let us = 0;
  samples.forEach((id, i) => {
    if (isOurs(id)) us += timeDeltas[i];
  });
  return us / 1000;
};

/** Milliseconds the browser took to compile the tag, from a trace. */
const compileMs = (events) =>
  events
    .filter(({ name, args }) => name === "v8.compile" && OURS.test(args?.data?.url))
    .reduce((sum, { dur }) => sum + (dur ?? 0), 0) / 1000;

const profiled = async (session, act) => {
  await session.send("Profiler.enable");
  await session.send("Profiler.setSamplingInterval", { interval: INTERVAL_US });
  await session.send("Profiler.start");
  await act();
  return tagMs((await session.send("Profiler.stop")).profile);
};

const traced = async (session, act) => {
  const events = [];
  const heard = ({ value }) => events.push(...value);
  session.on("Tracing.dataCollected", heard);
  const ended = new Promise((done) => session.once("Tracing.tracingComplete", done));
  await session.send("Tracing.start", {
    transferMode: "ReportEvents",
    traceConfig: {
      includedCategories: ["devtools.timeline", "v8", "v8.execute", "disabled-by-default-devtools.timeline"],
    },
  });
  await act();
  await session.send("Tracing.end");
  await ended;
  session.off("Tracing.dataCollected", heard);
  return events;
};

const within = (inner, outer) =>
  inner.tid === outer.tid && inner.pid === outer.pid && inner.ts >= outer.ts && inner.ts < outer.ts + outer.dur;

const LAYOUT = /^(Layout|UpdateLayoutTree)$/;
const SCRIPT = /^(FunctionCall|EvaluateScript|v8\.(compile|evaluate)(Module)?|RunMicrotasks|TimerFire|Fire(Animation|Idle).*)$/;

/**
 * Milliseconds of CPU of all script, its compiling included, until so long after the load event, and of the layout in it; of
 * calls within calls the outermost counts.
 */
const scriptCpu = (events, untilMs) => {
  let ended = 0;
  let us = 0;
  let layoutUs = 0;
  const [evaluated] = events.filter(({ name, args }) => name === "EvaluateScript" && OURS.test(args?.data?.url));
  const ofPage = ({ name, ph, pid, tid }) =>
    ph === "X" && SCRIPT.test(name) && pid === evaluated.pid && tid === evaluated.tid;
  const loaded = events.find(({ name, pid, args }) => name === "MarkLoad" && pid === evaluated.pid && args.data.isMainFrame);
  const layouts = events.filter(({ name }) => LAYOUT.test(name));
  for (const script of events.filter(ofPage).sort((a, b) => a.ts - b.ts || b.dur - a.dur)) {
    const { ts, dur, tdur } = script;
    if (ts < ended || ts > loaded.ts + untilMs * 1000) continue;
    ended = ts + dur;
    us += tdur ?? 0;
    for (const layout of layouts) if (within(layout, script)) layoutUs += layout.tdur ?? 0;
  }
  return { cpuMs: us / 1000, layoutMs: layoutUs / 1000 };
};

/** Long tasks and forced layouts with code of the tag in them. */
const burdens = (events) => {
  const calls = events.filter(
    ({ name, dur, args }) =>
      dur && /^(FunctionCall|EvaluateScript|v8.evaluateModule)$/.test(name) && OURS.test(args?.data?.url),
  );
  const ofTag = (candidates) => candidates.filter((task) => calls.some((call) => within(call, task)));
  const inTag = (candidates) => candidates.filter((one) => calls.some((call) => within(one, call)));
  return {
    // A task's time is mostly the page's own; what the tag itself took in one go is the longest of its calls.
    "long tasks": ofTag(events.filter(({ name, dur }) => name === "RunTask" && dur > 50_000)).filter((task) =>
      calls.some((call) => within(call, task) && call.dur > 50_000),
    ).length,
    "forced layouts": inTag(events.filter(({ name }) => LAYOUT.test(name))).length,
  };
};

const page = async (browser, peer, path = "/", rate = THROTTLE) => {
  const stage = await new Stage(peer).start();
  const context = await browser.newContext();
  const tab = await context.newPage();
  const session = await context.newCDPSession(tab);
  await session.send("Emulation.setCPUThrottlingRate", { rate });
  return { stage, tab, session, go: () => tab.goto(stage.origin + path), close: () => context.close().then(() => stage.stop()) };
};

/** In the page before any tag: how long the browser's own pushState took, so that what is around it can be told apart. */
const timePushState = () => {
  const own = history.pushState;
  window.ownMs = 0;
  history.pushState = function (...args) {
    const start = performance.now();
    own.apply(this, args);
    window.ownMs += performance.now() - start;
  };
};

/** Runs a step 100 times in the page and gives how long each took, and the browser's own pushState in all, in microseconds. */
const repeated = (step) => `new Promise((done) => {
  const took = [];
  window.ownMs = 0;
  const timer = setInterval(() => {
    if (took.length < ${TIMES}) {
      const left = took.length;
      const start = performance.now();
      ${step};
      took.push((performance.now() - start) * 1000);
    } else {
      clearInterval(timer);
      done({ took, ownUs: window.ownMs * 1000 });
    }
  }, ${STEP_MS});
})`;

const medianOf = (values) => [...values].sort((a, b) => a - b)[values.length / 2];
const sumOf = (values) => values.reduce((sum, value) => sum + value, 0);

const STEPS = {
  click: 'document.getElementById("buy").click()',
  "plain click": 'document.getElementById("row").click()',
  pushState: 'history.pushState({}, "", "/p" + left)',
};

/** One repetition: what was measured, by name. Without a peer only what a page without a tag takes. */
export async function costOf(browser, peer) {
  const found = {};

  const first = await page(browser, peer);
  await first.tab.addInitScript(timePushState);
  const load = await profiled(first.session, async () => {
    await first.go();
    await wait(LOAD_MS);
  });
  if (peer) found["load, ms"] = load;
  for (const [name, step] of Object.entries(STEPS)) {
    let times;
    const spent = await profiled(first.session, async () => {
      times = await first.tab.evaluate(repeated(step));
    });
    found[`${name} held up, us`] =
      name === "pushState" ? (sumOf(times.took) - times.ownUs) / TIMES : medianOf(times.took);
    if (peer) found[`${name} in all, us`] = (spent * 1000) / TIMES;
  }
  await first.close();
  if (!peer) return found;

  const browserSession = await browser.newBrowserCDPSession();
  const loadTraced = async (rate, untilMs) => {
    const loaded = await page(browser, peer, "/", rate);
    const events = await traced(browserSession, async () => {
      await loaded.go();
      await wait(untilMs);
    });
    await loaded.close();
    return events;
  };
  const loading = await loadTraced(1, LATER_MS);
  const { cpuMs, layoutMs } = scriptCpu(loading, LOAD_MS);
  found["load, CPU ms"] = cpuMs;
  found["load without layout, CPU ms"] = cpuMs - layoutMs;
  found["loads with layout"] = layoutMs > 0;
  found["10 s, CPU ms"] = scriptCpu(loading, LATER_MS).cpuMs;
  found["load throttled, CPU ms"] = scriptCpu(await loadTraced(THROTTLE, LOAD_MS), LOAD_MS).cpuMs;

  const second = await page(browser, peer, "/?elements=10000");
  const events = await traced(browserSession, async () => {
    await second.go();
    await wait(1000);
    await second.tab.evaluate(
      `new Promise((done) => { let left = 300; const timer = setInterval(() => {
        if (left-- > 0) document.getElementById("buy").click(); else { clearInterval(timer); done(); } }, 10); })`,
    );
  });
  await browserSession.detach();
  found["compile, ms"] = compileMs(events);
  Object.assign(found, burdens(events));
  await second.close();
  return found;
}
