/** Compiles with these wrappers' types, and only with them: each line marked as an error must be one. */
import { Footfall, useFootfall as useNext } from "footfall/next";
import { FootfallProvider, useFootfall, usePageView } from "footfall/react";
import { FootfallPlugin, useFootfall as useVue } from "footfall/vue";
import { createElement } from "react";
import { createApp } from "vue";

const settings = { writeKey: "key", endpoint: "https://collector.example" };

createElement(FootfallProvider, { ...settings, consent: "pending" });
createElement(Footfall, { ...settings, nonce: "n" });
createApp({}).use(FootfallPlugin, settings);

export const Component = () => {
  usePageView("home", { page_type: "home" });
  useFootfall().track("bought", { value: 3 });
  useVue().identify("user-1");
  useNext().consent("granted");
  // @ts-expect-error there is no such consent
  useFootfall().consent("maybe");
  // @ts-expect-error there is no such call
  useNext().trak("bought");
  // @ts-expect-error a page view has a name
  usePageView({ page_type: "home" });
  // @ts-expect-error the script needs to know where it comes from
  return createElement(Footfall, { writeKey: "key" });
};
