/**
 * Finds and starts the Chromium that the browser tests drive, with a fresh profile and no talk of its own. There are two of
 * one release: the whole one, and its headless shell, the same engine without a desktop's browser around it, which needs
 * a third of the CPU for a page. The shell has no back/forward cache and no prerendering, its windows have no focus, and
 * its client hints say that it is headless.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { accessSync, constants, mkdtempSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

// playwright-core is a development dependency of the tag; it is looked up there.
const { chromium } = createRequire(new URL("../../js_sdk/package.json", import.meta.url))("playwright-core");

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
const SHELLS = ["chromium-headless-shell"];
// An ordinary desktop browser: the headless one names itself, and collectors flag it as a bot. A flag rather than the
// driver's own override, which the last requests of a leaving page do not get.
const USER_AGENT =
  "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36";
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
  `--user-agent=${USER_AGENT}`,
];

/** @param {string[]} names @returns {string} FOOTFALL_TEST_CHROMIUM, else the first of the names on PATH */
function find(names = NAMES) {
  if (process.env.FOOTFALL_TEST_CHROMIUM) return process.env.FOOTFALL_TEST_CHROMIUM;
  for (const folder of (process.env.PATH ?? "").split(delimiter)) {
    for (const name of names) {
      const path = join(folder, name);
      try {
        accessSync(path, constants.X_OK);
        return path;
      } catch {
        // Not here; look on.
      }
    }
  }
  throw new Error(`no Chromium on PATH (looked for ${names.join(", ")}); set FOOTFALL_TEST_CHROMIUM to its path`);
}

/** @param {boolean} [shell] its headless shell, where there is one @returns {Promise<import("playwright-core").Browser>} */
export const launch = (shell) =>
  chromium.launch({
    executablePath: find(shell ? [...SHELLS, ...NAMES] : NAMES),
    headless: true,
    args: FLAGS,
    // The driver turns the back/forward cache off for its own ease; visitors have it.
    ignoreDefaultArgs: ["--disable-back-forward-cache"],
  });

/**
 * Opens an address in a browser that nothing drives, as Chromium prerenders no page while a driver is attached.
 * @returns {() => Promise<void>} ends the browser and removes its profile
 */
export function visit(url) {
  const profile = mkdtempSync(join(tmpdir(), "footfall-chromium-"));
  const child = spawn(find(), ["--headless", ...FLAGS, `--user-data-dir=${profile}`, url], {
    stdio: "ignore",
    detached: true,
  });
  return async () => {
    const gone = once(child, "exit");
    process.kill(-child.pid, "SIGKILL"); // the browser and its helpers, which are one process group
    await gone;
    rmSync(profile, { recursive: true, force: true, maxRetries: 10 });
  };
}
