/** Prints what dist/footfall.js weighs in bytes: minified, gzip -9, brotli -11. */
import { readFileSync } from "node:fs";
import { brotliCompressSync, gzipSync } from "node:zlib";

const tag = readFileSync(new URL("dist/footfall.js", import.meta.url));
console.log(`min ${tag.length}  gzip ${gzipSync(tag, { level: 9 }).length}  brotli ${brotliCompressSync(tag).length}`);
