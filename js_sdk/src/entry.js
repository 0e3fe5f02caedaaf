/** dist/footfall.js: the core and all that the tag sees by itself. */
import { begin } from "./classic.js";
import { watch } from "./features/index.js";
import { watchLater } from "./features/later.js";
import { guard } from "./guard.js";
import { when } from "./whole.js";

when({
  start() {
    watch();
    watchLater();
  },
});
guard(begin)();
