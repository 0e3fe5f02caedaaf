/** What build.mjs defines, for tests that import src as it is. */
globalThis.VERSION = "test";
globalThis.WHOLE = true;
