/**
 * src/, extras/ and wrappers/ -> dist/: what js_sdk ships, minified, for browsers of 2021 and later.
 *
 * `node build.mjs` writes the files; test/dist.test.js builds again in memory and compares, so that the committed files are
 * always what the sources say. The version comes from package.json and is the one place where it is written.
 */
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { brotliCompressSync } from "node:zlib";
import { build } from "esbuild";
import { minify } from "terser";

const here = new URL("./", import.meta.url);

/** @param {string} folder @returns {string[]} its modules, without the ending */
const modules = (folder) =>
  existsSync(new URL(folder, here))
    ? readdirSync(new URL(folder, here))
        .filter((name) => name.endsWith(".js"))
        .map((name) => name.slice(0, -3))
    : [];

const SCRIPT = { format: "iife", minifySyntax: true };
const MODULE = { format: "esm", minify: true };
const CORE = "footfall.core.js";
// A second look at what esbuild wrote: 4 % less, because terser puts functions that are used once where they are used.
const COMPRESS = {
  passes: 4,
  unsafe: true,
  unsafe_arrows: true,
  keep_fargs: false,
  toplevel: true,
  pure_getters: true,
  booleans_as_integers: true,
  unsafe_proto: true,
  unsafe_math: true,
  inline: 1,
  conditionals: false, // brotli makes less of `if(` than of what takes its place
};
const AGAIN = { compress: COMPRESS, ecma: 2020, mangle: { toplevel: true } };
// In the core alone nobody listens to hooks: what is told to them is left out.
const UNHEARD = { ...AGAIN, compress: { ...COMPRESS, pure_funcs: ["pass"] } };
// All of these runs while the page loads: V8 then compiles it beside the main thread, while it arrives, and not function by
// function as each is called (explicit compile hints, Chromium 136). Others take it for a comment.
const AT_LOAD = "//# allFunctionsCalledOnLoad\n";
// What a file begins with: that, or what others wrote and we ship.
const BEGINNINGS = {
  "footfall.js": AT_LOAD,
  "footfall.more.js": AT_LOAD,
  "footfall.vitals.js": "/*! With web-vitals, Copyright Google LLC, Apache-2.0 licence */\n",
};
// Of an application, which has its own bundler: readable, and what it brings itself is left to it.
const PACKAGE = { format: "esm", minifySyntax: true, external: ["footfall", "react", "vue", "next", "next/*"] };

/** @returns {[string, string, object][]} [file in dist, source, options] */
const targets = () => [
  ["footfall.core.js", "src/entry.core.js", SCRIPT],
  ["footfall.js", "src/entry.js", SCRIPT],
  ["footfall.more.js", "src/features/more.js", MODULE],
  ["footfall.extras.js", "src/extras.js", MODULE],
  ["index.js", "src/entry.module.js", PACKAGE],
  ...modules("extras").map((name) => [`footfall.${name}.js`, `extras/${name}.js`, MODULE]),
  ...modules("wrappers").map((name) => [`${name}.js`, `wrappers/${name}.js`, PACKAGE]),
];

/** @returns {Promise<Record<string, string | Buffer>>} all of dist: the content of each file by its name */
export async function bundle() {
  const { version } = JSON.parse(readFileSync(new URL("package.json", here), "utf8"));
  /** @type {Record<string, string | Buffer>} */
  const files = {};
  for (const [name, source, options] of targets()) {
    const result = await build({
      entryPoints: [fileURLToPath(new URL(source, here))],
      absWorkingDir: fileURLToPath(here),
      bundle: true,
      write: false,
      target: "es2021",
      legalComments: "none",
      define: { VERSION: JSON.stringify(version), WHOLE: String(name !== CORE) },
      ...options,
    });
    const { text } = result.outputFiles[0];
    const again = { ...(name === CORE ? UNHEARD : AGAIN), module: options === MODULE };
    const { code } = options === PACKAGE ? { code: text } : await minify(text, again);
    // The scripts mean the same in sloppy mode: nothing in them relies on `this`, undeclared names or refused assignments.
    files[name] = (BEGINNINGS[name] ?? "") + (options === SCRIPT ? code.replace('"use strict";', "") : code);
  }
  // What the collector serves, compressed once and for all; and what a page says that it expects (Subresource Integrity).
  const integrity = {};
  for (const [name, text] of Object.entries(files).filter(([name]) => name.startsWith("footfall"))) {
    files[`${name}.br`] = brotliCompressSync(text);
    integrity[name] = `sha384-${createHash("sha384").update(text).digest("base64")}`;
  }
  files["integrity.json"] = `${JSON.stringify(integrity, null, 2)}\n`;
  files["index.d.ts"] = readFileSync(new URL("src/index.d.ts", here), "utf8");
  for (const name of modules("wrappers")) {
    const types = new URL(`wrappers/${name}.d.ts`, here);
    if (existsSync(types)) files[`${name}.d.ts`] = readFileSync(types, "utf8");
  }
  return files;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  mkdirSync(new URL("dist/", here), { recursive: true });
  for (const [name, text] of Object.entries(await bundle())) writeFileSync(new URL(`dist/${name}`, here), text);
}
