/** Two origins for one tag: a site whose pages carry it, and a server that hands it out and records what it sends. */
import { once } from "node:events";
import { createServer } from "node:http";

const listen = async (handler) => {
  const server = createServer(handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return { server, origin: `http://127.0.0.1:${server.address().port}` };
};

// What all these tags accept as success: an empty object, or for PostHog a status.
const ANSWER = JSON.stringify({ status: 1, success: true, accepted: 0, rejected: [] });

// Recorded by every tag that can be told to by markup.
const MARKED =
  '<button id="buy" type="button" data-footfall-event="buy" data-umami-event="buy" class="plausible-event-name=buy">Buy</button>';

export class Stage {
  requests = [];
  status = 200;
  preflightMs = 0; // how long the answer to a preflight takes

  /** @param {{script: string, later?: Record<string, string>, head: (origin: string) => string} | null} peer null: the same pages without a tag */
  constructor(peer) {
    this.peer = peer;
  }

  async start() {
    this.recorder = await listen((request, response) => this.#record(request, response));
    this.site = await listen((request, response) => this.#page(request, response));
    this.origin = this.site.origin;
    return this;
  }

  async #record(request, response) {
    const script = request.url === "/tag.js" ? this.peer.script : this.peer.later?.[request.url];
    if (script) {
      response.writeHead(200, { "content-type": "text/javascript; charset=utf-8", "access-control-allow-origin": "*" });
      response.end(script);
      return;
    }
    const cors = {
      "access-control-allow-origin": request.headers.origin ?? "*",
      "access-control-allow-credentials": "true",
      "access-control-allow-headers": request.headers["access-control-request-headers"] ?? "*",
      "access-control-allow-methods": "GET, POST, OPTIONS",
    };
    if (request.method === "OPTIONS") {
      this.requests.push({ method: "OPTIONS", url: request.url, status: 204, raw: Buffer.alloc(0), text: "" });
      setTimeout(() => response.writeHead(204, cors).end(), this.preflightMs);
      return;
    }
    const chunks = [];
    try {
      for await (const chunk of request) chunks.push(chunk);
    } catch {
      return; // the browser went away in the middle
    }
    const raw = Buffer.concat(chunks);
    this.requests.push({
      method: request.method,
      url: request.url,
      status: this.status,
      raw,
      text: raw.toString(),
      at: Date.now(),
    });
    response.writeHead(this.status, { "content-type": "application/json", ...cors }).end(ANSWER);
  }

  #page(request, response) {
    const { pathname, searchParams } = new URL(request.url, this.origin);
    if (pathname === "/favicon.ico") {
      response.writeHead(404).end();
      return;
    }
    const head = this.peer ? this.peer.head(this.recorder.origin) : "";
    const count = Number(searchParams.get("elements") ?? 300);
    const rows = Array.from({ length: count }, (_, i) => `<li><a href="#r${i}"${i ? "" : ' id="row"'}>Row ${i}</a></li>`).join("");
    const rules = searchParams.has("rules")
      ? `<script type="speculationrules">{"prerender":[{"urls":["/ahead"],"eagerness":"immediate"}]}</script>`
      : "";
    response.writeHead(200, { "content-type": "text/html; charset=utf-8" });
    response.end(
      `<!doctype html><html lang="en"><head><title>${pathname}</title>${head}${rules}</head><body><h1>${pathname}</h1>` +
        `${MARKED}<a id="next" href="/next">Next</a><ul>${rows}</ul></body></html>`,
    );
  }

  /** What the server has taken with a 2xx, read by the peer's adapter. */
  get taken() {
    return this.requests
      .filter(({ method, status }) => method !== "OPTIONS" && status < 300)
      .flatMap((request) => this.peer.read(request));
  }

  views() {
    return this.taken.filter(({ kind }) => kind === "view");
  }

  events(name) {
    return this.taken.filter((item) => item.kind === "event" && item.name.startsWith(name));
  }

  stop() {
    for (const { server } of [this.recorder, this.site]) {
      server.closeAllConnections();
      server.close();
    }
  }
}
