/**
 * One event, as the wire has it: what happened, to whom, where and when. The ids are read from storage each time, so that
 * all tabs agree the moment one of them signs in or out.
 */
import { categories, state } from "./consent.js";
import { push, record } from "./deliver.js";
import { guard, tell } from "./guard.js";
import { newId } from "./ids.js";
import { toJson } from "./json.js";
import { page, settle } from "./navigation.js";
import { load, wipe } from "./storage.js";
import { visitor } from "./visitor.js";

let sequence = 0;
/** @type {((event: any) => any)[]} */
const hooks = [];

/** @param {(event: any) => any} hook may change an event, return another, or false to drop it */
export const before = (hook) => {
  hooks.push(guard(hook));
};

/** @param {string} type @param {Record<string, unknown>} fields @param {{page?: object, consent?: string | string[]}} [options] */
export const emit = (type, fields, options = {}) => {
  const seen = type === "page";
  if (!seen) settle(); // a page view comes before what is done on the page
  if (state === "denied") {
    // Whoever opts in later on this page has seen it; nothing else of the time before is kept, and this in memory alone.
    if (!seen) return;
    wipe();
  }
  const messageId = newId();
  /** @type {any} */
  let event = {
    type,
    messageId,
    anonymousId: visitor(),
    userId: load("user"),
    groupId: load("group"),
    timestamp: new Date(),
    sequence: ++sequence,
    context: { page: options.page ?? page(), consent: categories },
    ...fields,
  };
  for (const hook of hooks) {
    const changed = hook(event);
    if (changed === false) {
      record.dropped++;
      return;
    }
    event = changed ?? event;
  }
  push([messageId].concat(options.consent ?? []), toJson(event));
  tell("event", event);
};
