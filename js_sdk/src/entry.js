/** dist/footfall.js: the core and all that the tag sees by itself. */
import { autocapture } from "./autocapture.js";
import { run } from "./classic.js";
import { guard } from "./guard.js";

guard(run)(autocapture);
