/** What a Next.js root layout and a client component do with the wrapper. */
import { Footfall, useFootfall } from "footfall/next";
import { createElement } from "react";

const Buy = () => {
  const footfall = useFootfall();
  return createElement("button", { id: "buy", type: "button", onClick: () => footfall.track("bought") }, "Buy");
};

export const app = (settings) =>
  createElement(
    "html",
    { lang: "en" },
    createElement("head", null, createElement("title", null, "Shop")),
    createElement("body", null, createElement(Buy), createElement(Footfall, settings)),
  );
