/** All that the tag sees by itself. */
import { keepCampaign } from "./campaign.js";
import { watch } from "./features/index.js";

export const autocapture = () => {
  keepCampaign();
  watch();
};
