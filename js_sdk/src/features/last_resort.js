/**
 * The last resort where no request of a script reaches the collector (a policy without connect-src, a blocker) but an image
 * may: single events, each in the address of an image. One leaves the queue when its image has come, which the collector
 * sends only for what it has stored. Until requests go through again it is a few at a time, each time they have failed.
 */
import { guard } from "../guard.js";

// In a row, without any answer: one alone is a moment without network.
const FAILURES_MIN = 2;
const IMAGES_MAX = 5;
// The collector takes queries of 8,192 bytes; a longer event waits for a request, and after three of them so does the rest.
const DATA_CHARS_MAX = 8000;

/** @param {any} tag @param {(moments: Record<string, (what: any) => any>) => void} when */
export const watchFailures = (tag, when) => {
  const { context, settings } = tag;
  let failures = 0;

  /** @param {string} name of an entry of the queue @returns {string} the same with what follows it: the consent it needs */
  const whole = (name) => {
    try {
      const keys = settings.storage === "none" ? [] : Object.keys(localStorage);
      return keys.find((key) => key.startsWith(settings.global + name))?.replace(settings.global, "") ?? name;
    } catch {
      return name; // it is in memory
    }
  };

  /** @param {any} event @returns {string} what the image's address says of it: all that a batch would */
  const dataOf = (event) => {
    const { writeKey } = settings;
    const told = { ...event, context: { ...context, ...event.context }, writeKey, sentAt: new Date() };
    return encodeURIComponent(JSON.stringify(told));
  };

  /** @param {{messageId: string, data: string}} event @returns {Promise<unknown>} fulfilled when it is stored */
  const show = ({ messageId, data }) =>
    new Promise((done, failed) => {
      const image = new Image();
      image.onload = guard(() => {
        tag.store(whole(`_queue_${settings.writeKey}_${messageId}`));
        done(0);
      });
      image.onerror = failed;
      image.src = `${settings.endpoint}/v1/p.gif?ack=1&data=${data}`;
    });

  when({
    answer({ response, events }) {
      failures = response.status ? 0 : failures + 1;
      if (failures < FAILURES_MIN || !navigator.onLine) return;
      const short = JSON.parse(events)
        .map((/** @type {any} */ event) => ({ messageId: event.messageId, data: dataOf(event) }))
        .filter((/** @type {any} */ { data }) => data.length <= DATA_CHARS_MAX)
        .slice(0, IMAGES_MAX);
      if (short[0]) Promise.all(short.map(show)).then(tag.flush, () => {});
    },
  });
};
