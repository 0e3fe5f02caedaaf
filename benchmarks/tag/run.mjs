/**
 * node run.mjs [cost] [behaviour] [--repetitions N] [--beside FOLDER] [--peers A,B]: prints Markdown tables. Without names,
 * both. FOLDER is the dist of another build of Footfall, to be measured in the same run. Peers are all, or those named:
 * `--peers Plausible,PostHog`.
 *
 * Run on a machine that does nothing else; read the ratios, not the milliseconds.
 */
import { launch } from "../../tests/browser/chromium.mjs";
import { behaviourOf } from "./behaviour.mjs";
import { costOf } from "./cost.mjs";
import { peers } from "./peers.mjs";

const words = process.argv.slice(2);
const option = (name) => (words.includes(name) ? words[words.indexOf(name) + 1] : undefined);
const repetitions = Number(option("--repetitions") ?? 5);
const wanted = (name) => words.includes(name) || !words.some((word) => ["cost", "behaviour"].includes(word));

const median = (values) => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
};
const shown = (value) => (typeof value !== "number" ? value : Number.isInteger(value) ? value : value.toPrecision(3));

/** @param {string[]} names of the columns @param {Record<string, unknown[]>} rows */
const table = (names, rows) => {
  console.log(`\n| | ${names.join(" | ")} |\n|---|${"--:|".repeat(names.length)}`);
  for (const [name, cells] of Object.entries(rows)) console.log(`| ${name} | ${cells.map(shown).join(" | ")} |`);
};

const all = await peers(option("--beside"), option("--peers")?.split(","));
const names = all.map(({ name, version }) => `${name} ${version}`);
const browser = await launch();
console.log(`Chromium ${browser.version()}`);
table(names, {
  minified: all.map(({ bytes }) => bytes.min),
  gzip: all.map(({ bytes }) => bytes.gzip),
  brotli: all.map(({ bytes }) => bytes.brotli),
});

if (wanted("cost")) {
  const measured = new Map(all.map((peer) => [peer, []]));
  for (let i = 0; i < repetitions; i++) {
    const bare = await costOf(browser, null);
    for (const peer of all) {
      const found = await costOf(browser, peer);
      for (const [name, us] of Object.entries(bare)) found[name] = Math.max(0, found[name] - us);
      measured.get(peer).push(found);
    }
  }
  const rows = {};
  for (const name of Object.keys(measured.get(all[0])[0])) {
    const columns = all.map((peer) => measured.get(peer).map((found) => found[name]));
    const isCount = typeof columns[0][0] === "boolean";
    rows[name] = columns.map((values) => (isCount ? `${values.filter(Boolean).length} of ${repetitions}` : median(values)));
    if (/ms|us/.test(name)) {
      rows[`${name}: lowest to highest`] = columns.map(
        (values) => `${shown(Math.min(...values))} to ${shown(Math.max(...values))}`,
      );
    }
  }
  console.log(`\nMain thread, throttled 4 times, median of ${repetitions}`);
  table(names, rows);
}

if (wanted("behaviour")) {
  const found = [];
  for (const peer of all) found.push(await behaviourOf(browser, peer));
  table(names, Object.fromEntries(Object.keys(found[0]).map((name) => [name, found.map((each) => each[name])])));
}
await browser.close();
