/** A small Vue site: the tag by injection in setup, and as $footfall where a template would have it. */
import { FootfallPlugin, useFootfall } from "footfall/vue";
import { createSSRApp, h } from "vue";

const Buy = {
  setup() {
    const footfall = useFootfall();
    return () => h("button", { id: "buy", type: "button", onClick: () => footfall.track("bought") }, "Buy");
  },
};
const Root = {
  render() {
    return h("main", [
      h("button", { id: "go", type: "button", onClick: () => this.$footfall.track("went") }, "Go"),
      h(Buy),
    ]);
  },
};

export const app = (settings) => createSSRApp(Root).use(FootfallPlugin, settings);
