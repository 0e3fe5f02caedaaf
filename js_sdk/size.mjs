/**
 * Prints what each script of dist/ weighs in bytes: minified, gzip -9, brotli -11, and the most it may weigh.
 * test/dist.test.js fails above that.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, gzipSync } from "node:zlib";

const DIST = new URL("dist/", import.meta.url);

/** The most bytes of brotli; the goals of the project. @type {Record<string, number>} */
export const BUDGETS = { "footfall.core.js": 2400, "footfall.js": 3900 };

/** @returns {{name: string, minified: number, gzip: number, brotli: number}[]} */
export const sizes = () =>
  readdirSync(DIST)
    .filter((name) => /^footfall.*\.js$/.test(name))
    .map((name) => {
      const script = readFileSync(new URL(name, DIST));
      const gzip = gzipSync(script, { level: 9 }).length;
      return { name, minified: script.length, gzip, brotli: brotliCompressSync(script).length };
    });

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const { name, minified, gzip, brotli } of sizes()) {
    const most = BUDGETS[name] ? `  of ${BUDGETS[name]}` : "";
    console.log(`${name.padEnd(20)} min ${minified}  gzip ${gzip}  brotli ${brotli}${most}`);
  }
}
