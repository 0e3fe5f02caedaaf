/**
 * Two small servers on two origins: a site whose pages carry the tag, and a collector that records every byte it is sent
 * and answers as a scenario tells it to. Waits end on a condition or at a deadline, never after a guessed time.
 */
import { EventEmitter, once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { createServer } from "node:http";

const DIST = new URL("../../js_sdk/dist/", import.meta.url);
const DEADLINE_MS = 15_000;

async function listen(handler) {
  const server = createServer(handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, origin: `http://127.0.0.1:${server.address().port}` };
}

/** Records POSTs to /v1/b. `answer` may be replaced: (number, from 1, record) => {status, headers} or "cut", or a promise of it. */
export class Collector extends EventEmitter {
  requests = [];
  answer = () => ({ status: 200 });
  reply = { accepted: 0, rejected: [] };

  async start() {
    Object.assign(this, await listen((request, response) => this.#handle(request, response)));
    return this;
  }

  async #handle(request, response) {
    if (/^\/footfall[.\w]*\.js$|^\/index\.js$/.test(request.url)) {
      const file = new URL(request.url.slice(1), DIST);
      const found = existsSync(file);
      const headers = { "Content-Type": "text/javascript; charset=utf-8", "Access-Control-Allow-Origin": "*" };
      response.writeHead(found ? 200 : 404, headers).end(found ? readFileSync(file) : "");
      return;
    }
    const chunks = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return; // the browser went away in the middle
    }
    const body = Buffer.concat(chunks).toString();
    const record = { method: request.method, url: request.url, headers: request.headers, body, at: Date.now() };
    this.requests.push(record);
    // As the collector does: a page that is torn down can send a request without its body.
    const torn = request.method === "POST" && body === "";
    const answer = torn ? { status: 400 } : await this.answer(this.requests.length, record);
    record.status = answer === "cut" ? 0 : answer.status;
    if (answer === "cut") {
      request.socket.destroy();
    } else {
      response.writeHead(answer.status, {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Retry-After",
        "Content-Type": "application/json",
        ...answer.headers,
      });
      response.end(JSON.stringify(this.reply));
    }
    this.emit("request");
  }

  /** Every event of every request with a 2xx answer, in order of arrival, copies included. */
  get copies() {
    return this.requests
      .filter(({ status }) => status >= 200 && status < 300)
      .flatMap(({ body }) => JSON.parse(body).batch);
  }

  /** The same, each message id once, as the collector stores them. */
  get stored() {
    return [...new Map(this.copies.map((event) => [event.messageId, event])).values()];
  }

  /** Stored page views, as paths with their query. */
  get views() {
    return this.stored
      .filter(({ type }) => type === "page")
      .map(({ properties }) => properties.path + properties.search);
  }

  /** Stored track events, as names. */
  get tracked() {
    return this.stored.filter(({ type }) => type === "track").map(({ event }) => event);
  }

  /** @param {() => unknown} condition looked at after each request; throws with `what` and what was seen at the deadline */
  async until(condition, what, deadlineMs = DEADLINE_MS) {
    const signal = AbortSignal.timeout(deadlineMs);
    while (!condition()) {
      try {
        await once(this, "request", { signal });
      } catch {
        const seen = this.requests.map(({ status, body }) => [status, ...named(body)].join(" "));
        throw new Error(`${what}: not within ${deadlineMs} ms; the collector saw ${JSON.stringify(seen)}`);
      }
    }
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

function named(body) {
  try {
    return JSON.parse(body).batch.map(({ type, event, properties }) => event ?? `${type}:${properties?.path ?? ""}`);
  } catch {
    return [body.slice(0, 80)];
  }
}

/** Serves any path as a page with the snippet. `bodies` gives a path its own body, `attributes` goes into the script. */
export class Site {
  bodies = {};
  holds = {}; // path -> (response) => void, for answers that a scenario gives itself
  headers = {};
  attributes = "";
  snippet = ""; // in place of the usual script element
  head = "";
  scripts = 1;

  constructor(collector) {
    this.collector = collector;
  }

  async start() {
    Object.assign(this, await listen((request, response) => this.#handle(request, response)));
    return this;
  }

  #handle(request, response) {
    const { pathname } = new URL(request.url, this.origin);
    if (pathname === "/favicon.ico") {
      response.writeHead(404).end();
      return;
    }
    if (this.holds[pathname]) {
      this.holds[pathname](response);
      return;
    }
    const script =
      this.snippet ||
      `<script defer src="${this.collector.origin}/footfall.js" data-write-key="key" ${this.attributes}></script>`;
    response.writeHead(200, { "Content-Type": "text/html; charset=utf-8", ...this.headers });
    response.end(
      `<!doctype html><html lang="en"><head><title>Page ${pathname}</title>${this.head}${script.repeat(this.scripts)}` +
        `</head><body>${this.bodies[pathname] ?? "<p>Hello</p>"}</body></html>`,
    );
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
