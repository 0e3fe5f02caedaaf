/** All that the tag sees by itself, for an application that has it all in its bundle. */
import { watch } from "./features/index.js";
import more from "./features/more.js";
import { on } from "./guard.js";
import { tag } from "./tag.js";

export const autocapture = () => {
  watch();
  const tell = more(tag, NaN);
  on("pointerdown click auxclick input submit play", (event) => tell(event, event.composedPath()));
};
