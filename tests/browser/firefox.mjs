/**
 * Finds and starts Firefox, driven by WebDriver BiDi, for the scenarios that another engine can show: FOOTFALL_TEST_FIREFOX, or
 * the first usual name on PATH. `make test-firefox`; not part of what CI runs, for few machines have it.
 */
import { accessSync, constants } from "node:fs";
import { createRequire } from "node:module";
import { delimiter, join } from "node:path";

// Debian's Firefox 153 ESR opens no context for the driver's 1.65; for this one it does.
const { firefox } = createRequire(new URL("../../js_sdk/package.json", import.meta.url))("playwright-core-for-firefox");

function find() {
  const folders = (process.env.PATH ?? "").split(delimiter);
  const paths = folders.flatMap((folder) => ["firefox", "firefox-esr"].map((name) => join(folder, name)));
  for (const path of [process.env.FOOTFALL_TEST_FIREFOX, ...paths]) {
    try {
      if (path) accessSync(path, constants.X_OK);
      if (path) return path;
    } catch {
      // Not here; look on.
    }
  }
  throw new Error("no firefox or firefox-esr on PATH; install one, or set FOOTFALL_TEST_FIREFOX to its path");
}

/** @returns {Promise<import("playwright-core").Browser>} */
export const launch = () => firefox.launch({ executablePath: find(), channel: "moz-firefox", headless: true });
