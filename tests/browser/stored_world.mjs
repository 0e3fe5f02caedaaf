/**
 * Where the scenarios of stored.mjs take place: one server that is every site, told apart by the host's name, and for each
 * scenario a gate between the browser and the real collector. The gate passes every byte on and knows what the collector
 * took; a scenario may have it fail as networks and servers do. Waits end on a condition or at a deadline.
 */
import { EventEmitter, once } from "node:events";
import { createServer, request as forward } from "node:http";

const DEADLINE_MS = 20_000;

async function listen(handler) {
  const server = createServer(handler);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return server;
}

/** Give a request to the collector as it is. @returns {Promise<{status, headers, body: Buffer}>} its answer */
function pass(url, { method, headers }, path, body) {
  return new Promise((resolve, reject) => {
    const asked = forward(
      new URL(path, url),
      { method, headers: { ...headers, connection: "close" } },
      async (answer) => {
        const chunks = [];
        for await (const chunk of answer) chunks.push(chunk);
        resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(chunks) });
      },
    );
    asked.on("error", reject);
    asked.end(body);
  });
}

const read = async (stream) => {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks);
};

const nameOf = ({ type, event }) => (type === "page" ? "page_view" : (event ?? type));

/**
 * What stands between a browser and the collector. `act` may be replaced: (number, from 1, batch) => what becomes of a POST
 * of events, or a promise of it:
 *
 *     "pass"   on to the collector, its answer back      "cut"     the connection ends, nothing reached the collector
 *     "deaf"   on to the collector, its answer is lost   {status, headers}   an answer of the gate's own
 */
export class Gate extends EventEmitter {
  posts = 0;
  /** @type {string[]} what was asked for, by path */
  paths = [];
  /** @type {object[]} every event the collector took, copies included */
  taken = [];
  act = () => "pass";

  async start(url) {
    this.url = url;
    this.server = await listen((request, response) => this.handle(request, response).catch(() => response.destroy()));
    this.origin = `http://127.0.0.1:${this.server.address().port}`;
    return this;
  }

  async handle(request, response, path = request.url) {
    const body = await read(request); // throws when the browser goes away in the middle
    this.paths.push(path);
    const batch = request.method === "POST" && path.startsWith("/v1/b") ? JSON.parse(body).batch : undefined;
    const shown = path.startsWith("/v1/p.gif?") && new URLSearchParams(path.split("?")[1]).get("data");
    const fate = batch ? await this.act(++this.posts, batch) : "pass";
    this.emit("seen");
    if (fate === "cut") {
      request.socket.destroy();
    } else if (fate.status) {
      response.writeHead(fate.status, {
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Expose-Headers": "Retry-After",
        ...fate.headers,
      });
      response.end("{}");
    } else {
      const answer = await pass(this.url, request, path, body);
      if (batch && answer.status === 200) this.taken.push(...batch);
      if (shown && answer.status === 200) this.taken.push(JSON.parse(shown));
      this.emit("seen");
      if (fate === "deaf") request.socket.destroy();
      else response.writeHead(answer.status, answer.headers).end(answer.body);
    }
  }

  /** How many different events of this name the collector took. */
  count(name) {
    return new Set(this.taken.filter((event) => nameOf(event) === name).map(({ messageId }) => messageId)).size;
  }

  /** @param {() => unknown} condition looked at after each request @param {string} what for the error at the deadline */
  async until(condition, what) {
    const signal = AbortSignal.timeout(DEADLINE_MS);
    while (!condition()) {
      try {
        await once(this, "seen", { signal });
      } catch {
        const seen = `${this.posts} requests, taken: ${this.taken.map(nameOf)}`;
        throw new Error(`${what}: not within ${DEADLINE_MS} ms; the gate saw ${seen}`);
      }
    }
  }

  /** Until the collector took so many events of a name. */
  took(name, count = 1) {
    return this.until(() => this.count(name) >= count, `${count} ${name}`);
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

/**
 * Every site at once: `a.s7.localhost` and `s7.localhost` are of scenario s7. As a proxy it is also `www.s7.example`, and the
 * gate at `t.s7.example`, so that hosts which are not this machine's own can be had.
 */
export class Sites {
  /** @type {Record<string, object>} of each scenario: see World.site in stored.mjs */
  of = {};

  async start() {
    this.server = await listen((request, response) => this.#handle(request, response));
    this.port = this.server.address().port;
    return this;
  }

  #handle(request, response) {
    const { host, pathname, search } = new URL(request.url, `http://${request.headers.host}`);
    const site = this.of[/\bs\d+\b/.exec(host)?.[0] ?? ""];
    if (!site || pathname === "/favicon.ico") {
      response.writeHead(404).end();
    } else if (host.startsWith("t.")) {
      site.gate.handle(request, response, pathname + search).catch(() => response.destroy());
    } else if (site.holds[pathname]) {
      site.holds[pathname](response);
    } else {
      const given = site.headers[pathname] ?? site.headers["*"];
      response.writeHead(site.statuses[pathname] ?? 200, { "Content-Type": "text/html; charset=utf-8", ...given });
      const snippet = site.bare.includes(pathname) ? "" : site.snippet;
      response.end(
        `<!doctype html><html lang="en"><head><title>Page ${pathname}</title>${site.heads[pathname] ?? ""}${snippet}</head>` +
          `<body>${site.bodies[pathname] ?? "<p>Hello</p>"}</body></html>`,
      );
    }
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
