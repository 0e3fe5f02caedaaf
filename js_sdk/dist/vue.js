// wrappers/vue.js
import { footfall, init } from "footfall";
import { inject } from "vue";
var FOOTFALL = /* @__PURE__ */ Symbol("footfall"), FootfallPlugin = {
  /** @param {any} app @param {any} [settings] with `tag`, another tag than the module's (tests do) */
  install(app, { tag = footfall, ...settings } = {}) {
    app.provide(FOOTFALL, tag), app.config.globalProperties.$footfall = tag, tag === footfall && typeof window < "u" && init(settings);
  }
}, useFootfall = () => inject(FOOTFALL, footfall);
export {
  FOOTFALL,
  FootfallPlugin,
  useFootfall
};
