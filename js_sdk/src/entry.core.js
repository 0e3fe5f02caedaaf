/** dist/footfall.core.js: page views, calls, consent and the queue. */

import { run } from "./classic.js";
import { guard } from "./guard.js";

guard(run)();
