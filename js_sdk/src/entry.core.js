/** dist/footfall.core.js: page views, calls, consent and the queue. */
import { begin } from "./classic.js";
import { guard } from "./guard.js";

guard(begin)();
