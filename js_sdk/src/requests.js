/**
 * What requests get where there is room for it, which the first file of the tag has not: a limit to the wait for an answer,
 * and a way out for a leaving page whose browser ends its requests with it (Firefox before 133).
 */

const ANSWER_MS_MAX = 30_000;

/** @param {[address: string, options: any, leaving: unknown]} request changed in place */
export const assist = ([address, options, leaving]) => {
  options.signal ??= AbortSignal.timeout?.(ANSWER_MS_MAX);
  // No answer ever comes from a beacon, and blockers swallow it while it reports success: beside the request, whose answer
  // alone takes an event out of the queue. The collector knows a second copy by its message id.
  if (leaving && !("keepalive" in Request.prototype)) navigator.sendBeacon(address, options.body);
};
