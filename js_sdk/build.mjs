/**
 * src/entry.js -> dist/footfall.js: one classic script, minified, for browsers of 2020 and later.
 *
 * `node build.mjs` writes the file; test/dist.test.js builds again in memory and compares, so that the committed file is
 * always what the sources say. The version comes from package.json and is the one place where it is written.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const here = new URL("./", import.meta.url);

/** The built tag as text. */
export async function bundle() {
  const { version } = JSON.parse(readFileSync(new URL("package.json", here), "utf8"));
  const result = await build({
    entryPoints: [fileURLToPath(new URL("src/entry.js", here))],
    absWorkingDir: fileURLToPath(here),
    bundle: true,
    write: false,
    format: "iife",
    minify: true,
    target: "es2020",
    define: { VERSION: JSON.stringify(version) },
    banner: { js: `/* footfall.js ${version}, MIT licence */` },
  });
  return result.outputFiles[0].text;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  writeFileSync(new URL("dist/footfall.js", here), await bundle());
}
