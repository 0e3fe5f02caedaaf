/**
 * One event, as the wire has it: what happened, to whom, where and when. The ids are read from storage each time, so that
 * all tabs agree the moment one of them signs in or out.
 */
import { push } from "./deliver.js";
import { newId } from "./ids.js";
import { toJson } from "./json.js";
import { referrer } from "./navigation.js";
import { pageOf } from "./page.js";
import { load, store } from "./storage.js";

let sequence = 0;

/** @returns {string} the device's own random id, made when first asked for */
export const visitor = () => {
  if (!load("id")) store("id", newId());
  return load("id");
};

export const page = () => pageOf(location, document.title, referrer);

/** @param {string} type @param {Record<string, unknown>} fields */
export const emit = (type, fields) =>
  push(
    toJson({
      type,
      messageId: newId(),
      anonymousId: visitor(),
      userId: load("user") || undefined,
      groupId: load("group") || undefined,
      timestamp: new Date(),
      sequence: ++sequence,
      context: { page: page() },
      ...fields,
    }),
  );
