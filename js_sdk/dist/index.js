// src/json.js
var { parse, stringify } = JSON, bytesOf = (text) => new TextEncoder().encode(text).length, toJson = (value) => {
  let left2 = 3e4, quote = (text) => {
    let quoted = stringify(text.slice(0, left2 / 8).replace(/[\uD800-\uDFFF]/gu, "\uFFFD"));
    return left2 -= bytesOf(quoted), quoted;
  }, write = (value2, above) => {
    if (left2 -= 25, left2 < 0 || above.includes(value2) || above[16]) return;
    if (value2?.nodeType) return quote(value2.nodeName);
    if (/^(str|big)/.test(typeof value2)) return quote(`${value2}`);
    if (Object(value2) !== value2) return value2 - value2 === 0 ? `${value2}` : void 0;
    if (typeof value2 == "function") return;
    let path = [...above, value2], list = Array.isArray(value2);
    if (!list && value2.toJSON !== /** @type {any} */
    Object.prototype.toJSON) return write(value2.toJSON(), path);
    let parts = [];
    for (let key of Object.keys(value2)) {
      if (left2 < 0) break;
      let name = list ? "" : `${quote(key)}:`, text;
      try {
        text = write(value2[key], path);
      } catch {
      }
      (text || list) && parts.push(name + (text ?? null));
    }
    return list ? `[${parts}]` : `{${parts}}`;
  };
  try {
    return write(value, []) ?? "{}";
  } catch {
    return "{}";
  }
}, clean = (value) => parse(toJson(value));

// src/settings.js
var settings = {}, isOff = (name) => /^(off|false)$/.test(settings[name]);

// src/storage.js
var memory = {}, disk, keyOf = (name) => `${settings.global ?? "footfall"}_${name}`, attempt = (use) => {
  try {
    return use();
  } catch {
  }
}, load = (name) => memory[name] ?? attempt(() => disk[keyOf(name)]), store = (name, text) => {
  delete memory[name], text && (memory[name] = `${text}`), attempt(() => {
    delete disk[keyOf(name)], text && (disk[keyOf(name)] = text), delete memory[name];
  });
}, names = (start2) => Object.keys(attempt(() => ({ ...disk })) ?? {}).map((key) => key.replace(keyOf(""), "")).concat(Object.keys(memory)).filter((name) => name.startsWith(start2)).sort(), permit = (allowed) => {
  disk = allowed ? attempt(() => localStorage) : void 0;
}, settleDown = () => {
  for (let name of Object.keys(memory)) store(name, memory[name]);
}, wipe = () => {
  for (let name of names("")) store(name);
};

// src/consent.js
var state, categories, decide = (given) => {
  permit(!0);
  let stored = given ? given !== "pending" && toJson(given) : load("consent"), answer = given ?? attempt(() => JSON.parse(
    /** @type {string} */
    stored
  )) ?? (navigator.globalPrivacyControl && !isOff("gpc") || settings.dnt && navigator.doNotTrack === "1" ? "denied" : settings.consent ?? "granted");
  categories = answer.big ? void 0 : answer, state = categories ? Object.values(answer).includes(!0) ? "granted" : "denied" : answer, given && (state === "denied" && wipe(), store("consent", stored)), permit(state === "granted" && settings.storage !== "none"), settleDown();
};

// src/guard.js
var watchers = [], watch = (hook) => {
  watchers.push(hook);
}, tell = (kind, what) => {
  for (let hook of watchers)
    try {
      hook(kind, what);
    } catch {
    }
}, warn = (...words) => tell("warning", words), guard = (run2) => (...args) => {
  try {
    return run2(...args);
  } catch (error) {
    warn(error);
  }
}, on = (target, type, listener, options) => target.addEventListener(type, guard(listener), options);

// src/context.js
var ZONE_AFTER_MS = 3e3, inner, zone = () => `zone${(/* @__PURE__ */ new Date()).getTimezoneOffset()}`, measure = () => {
  inner = { innerWidth, innerHeight }, load(zone()) ?? setTimeout(
    guard(() => store(zone(), Intl.DateTimeFormat().resolvedOptions().timeZone)),
    ZONE_AFTER_MS
  );
}, batchContext = (dropped) => ({
  library: { name: "footfall.js", version: "0.1.0" },
  locale: navigator.language,
  timezone: load(zone()),
  screen: { width: screen.width, height: screen.height, ...inner, density: devicePixelRatio },
  connection: navigator.connection?.effectiveType,
  webdriver: navigator.webdriver || void 0,
  dropped: dropped || void 0
});

// src/queue.js
var QUEUE_EVENTS_MAX = 300, flying = /* @__PURE__ */ new Set(), queueName = () => `queue_${settings.writeKey}_`, waiting = () => names(queueName()), add = (words, text) => store(queueName() + words.join(" "), text), trim = () => {
  let oldest = waiting().slice(0, -QUEUE_EVENTS_MAX);
  for (let name of oldest) store(name);
  return oldest.length;
}, take = (count, bytes) => {
  let taken = [];
  for (let name of waiting()) {
    let [, ...needs] = name.split(" ");
    if (categories && !needs.every((category) => categories?.[category])) store(name);
    else if (!flying.has(name)) {
      if (bytes -= bytesOf(load(name) ?? "") + 1, taken[0] && (taken.length >= count || bytes < 0)) break;
      flying.add(name), taken.push(name);
    }
  }
  return taken;
}, land = (taken, done) => {
  for (let name of taken)
    flying.delete(name), done && store(name);
};

// src/retry.js
var waitMs = (retryAfter, failures2, random) => Math.min(retryAfter * 1e3 || 0, 36e5) + Math.min(1e3 * 2 ** failures2, 6e4) * (1 + random) / 2;

// src/send.js
var ANSWER_MS_MAX = 3e4, send = async (body, leaving) => {
  let address = `${settings.endpoint}/v1/b${settings.debug == null ? "" : "?debug=1"}`;
  return leaving && !("keepalive" in Request.prototype) ? navigator.sendBeacon(address, body) : fetch(address, {
    method: "POST",
    body,
    // a string: text/plain;charset=UTF-8
    keepalive: !0,
    credentials: "omit",
    signal: AbortSignal.timeout?.(ANSWER_MS_MAX)
  });
};

// src/deliver.js
var BATCH_MS = 1e3, BATCH_EVENTS_MAX = 100, BATCH_BYTES_MAX = 3e4, timer = 0, failures = 0, countMax = BATCH_EVENTS_MAX, letGo = () => {
}, record = { sent: 0, dropped: 0 }, untilMs = () => {
  let until = Math.max(Number(load("wait") ?? 0), Number(load("silence") ?? 0));
  return until > Date.now() + 2 * 36e5 ? 0 : until;
}, next = () => state === "granted" && Date.now() >= untilMs() ? take(countMax, BATCH_BYTES_MAX) : [], sendAll = async (leaving) => {
  for (let taken = next(); taken[0]; taken = next()) {
    let batch = `[${taken.map(load)}]`, response, answer = {};
    try {
      let { writeKey } = settings, rest = toJson({ context: batchContext(record.dropped), writeKey, sentAt: /* @__PURE__ */ new Date() }), sending = send(`{"batch":${batch},${rest.slice(1)}`, leaving);
      leaving && sendAll(leaving), response = await sending, answer = await response.json();
    } catch (error) {
      answer.error = error;
    }
    let status2 = response?.status ?? 0, count = taken.length, refused = /400|413/.test(status2);
    land(taken, response?.ok || refused && count < 2), countMax = BATCH_EVENTS_MAX, response?.ok ? (record.sent += count, failures = 0) : refused ? (countMax = count / 2, count < 2 && record.dropped++) : store(
      status2 ? "wait" : "silence",
      Date.now() + waitMs(response?.headers.get("Retry-After"), failures++, Math.random())
    ), record.lastStatus = status2, record.lastError = answer.error, tell("answer", { status: status2, events: JSON.parse(batch), ...answer });
  }
}, flush = async () => {
  clearTimeout(timer), timer = 0, record.dropped += trim();
  try {
    await navigator.locks.request(
      queueName(),
      { ifAvailable: !0 },
      (lock) => lock && Promise.race([sendAll(), new Promise((done) => letGo = () => done(0))])
    );
  } catch {
    await sendAll();
  }
  waiting()[0] && plan();
}, plan = () => {
  timer ||= setTimeout(flush, BATCH_MS);
}, push = (words, event) => {
  add(words, event), plan(), document.hidden && queueMicrotask(leave);
}, leave = () => {
  letGo(), sendAll(!0);
}, resume = () => {
  store("silence"), flush();
};

// src/ids.js
var counter = 4096, uuidv7 = (nowMs, counter2, random) => `0${nowMs.toString(16)}7${(counter2 | 4096).toString(16).slice(-3)}8${random}`.replace(
  /(.{8})(.{4})(.{4})(.{4})(.{12}).*/,
  "$1-$2-$3-$4-$5"
), newId = () => uuidv7(Date.now(), counter++, crypto.getRandomValues(new Uint32Array(4)).join("7"));

// src/page.js
var pageOf = ({ href, pathname, search, hash }, title, referrer2, routed) => ({
  url: routed ? href : href.replace(/#.*/s, ""),
  path: routed ? pathname + hash : pathname,
  referrer: referrer2,
  search,
  title: title.slice(0, 1024)
});

// src/navigation.js
var told, referrer, tell2 = () => {
}, moves = [], leaves = [], onMove = (hook) => {
  moves.push(guard(hook));
}, onLeave = (hook) => {
  leaves.push(guard(hook));
}, page = () => pageOf(location, document.title, referrer ?? document.referrer, settings.hash != null), mark = (again) => {
  let old = told, moved = page().url !== old?.url;
  if (old && moved && (referrer = old.url), told = page(), old && (moved || again)) for (let hook of moves) hook(old);
  return moved;
}, settle = () => {
  mark() && tell2();
}, left = () => {
  settle();
  for (let hook of leaves) hook();
}, watchNavigation = (seen2) => {
  tell2 = seen2;
  let later = () => setTimeout(guard(settle));
  for (
    let name of
    /** @type {const} */
    ["pushState", "replaceState"]
  ) {
    let original = history[name];
    history[name] = (...args) => {
      original.apply(history, args), later();
    };
  }
  on(window, "popstate", later), on(window, "pageshow", (event) => {
    event.persisted && (mark(!0), seen2());
  });
};

// src/visitor.js
var visitor = (id) => {
  if (settings.storage !== "none")
    return id ??= load("id") ?? newId(), store("id", id), id;
};

// src/emit.js
var sequence = 0, hooks = [], before = (hook) => {
  hooks.push(guard(hook));
}, emit = (type, fields, options = {}) => {
  let seen2 = type === "page";
  if (seen2 || settle(), state === "denied") {
    if (!seen2) return;
    wipe();
  }
  let messageId = newId(), event = {
    type,
    messageId,
    anonymousId: visitor(),
    userId: load("user"),
    groupId: load("group"),
    timestamp: /* @__PURE__ */ new Date(),
    sequence: ++sequence,
    context: { page: options.page ?? page(), consent: categories },
    ...fields
  };
  for (let hook of hooks) {
    let changed = hook(event);
    if (changed === !1) {
      record.dropped++;
      return;
    }
    event = changed ?? event;
  }
  push([messageId].concat(options.consent ?? []), toJson(event)), tell("event", event);
};

// src/api.js
var common = {}, track = (event, properties, options) => emit(
  "track",
  { event: `${event ?? ""}`, properties: { ...common, ...clean(properties) }, extra: options?.extra },
  options
), named = (name, facts) => typeof name == "object" ? [void 0, name] : [name, facts], view = (first, second) => {
  let [name, properties] = named(first, second);
  mark(), emit("page", { name, properties: { ...page(), ...common, ...clean(properties) } });
}, know = (type, kept) => (first, second) => {
  let [id, traits] = named(first, second);
  id && store(kept, id), emit(type, { traits: clean(traits) });
}, calls = {
  page: view,
  track,
  identify: know("identify", "user"),
  group: know("group", "group"),
  alias(user) {
    let previousId = load("user") ?? visitor();
    store("user", user), emit("alias", { previousId });
  },
  // Somebody else sits at the device: nothing of the last person is carried over.
  reset() {
    for (let name of ["user", "group", "campaign"]) store(name);
    common = {}, visitor(newId());
  },
  consent(answer) {
    decide(answer), tell("consent", state), flush();
  },
  set(properties) {
    for (let [name, value] of Object.entries(clean(properties))) common[name] = value ?? void 0;
  },
  flush,
  status: () => ({
    ...settings,
    ...record,
    version: "0.1.0",
    consent: state,
    visitor: load("id"),
    queued: waiting().length,
    waitsUntil: untilMs()
  })
};

// src/start.js
var HOLD_MS_MAX = 2e3, EARLY_MAX = 300, early = [], holds = [], run = guard(([name, ...rest]) => {
  if (!early || /^(in|pl|st)/.test(name)) return calls[name]?.(...rest);
  early.length < EARLY_MAX && early.push([name, ...rest]);
}), tag = (...call) => run(call), gone = () => {
  left(), leave();
}, start = guard(() => {
  let waited = early;
  waited && (early = void 0, state || decide(), measure(), watchNavigation(() => isOff("pageViews") || view()), settings.plugins?.forEach(calls.plugin), settle(), waited.forEach(run), resume(), on(window, "pagehide", gone), on(document, "visibilitychange", () => document.hidden ? gone() : resume()), on(window, "online", resume), on(window, "storage", ({ key }) => {
    key?.startsWith(keyOf("")) && (decide(), flush());
  }));
}), loadExtra = (name) => import(`${settings.endpoint}/footfall.${name}.js`).then((extra) => extra.default(tag)).catch(warn), seen = guard(() => {
  decide();
  let extras = `${settings.extras ?? ""}`.match(/\w+/g) ?? [];
  /[?&]footfall-debug/.test(location.search) && (settings.debug = "");
  for (let name of ["debug", "linkDomains", "cookieDomain"])
    settings[name] != null && extras.push(name.replace(/D.*/, ""));
  setTimeout(start, HOLD_MS_MAX), Promise.all(extras.map(loadExtra)).then(() => Promise.all(holds)).then(start, start);
});
calls.plugin = (plugin2) => plugin2(tag);
calls.init = (options) => {
  let running = settings.writeKey;
  Object.assign(settings, options).writeKey && !running && (requestAnimationFrame(() => setTimeout(seen)), on(window, "pagehide", start));
};
for (let name in calls) tag[name] = (...rest) => tag(name, ...rest);
Object.assign(tag, {
  before,
  watch,
  warn,
  hold: (promise) => holds.push(promise),
  emit,
  settings,
  visitor,
  version: "0.1.0",
  // The stub pushes into the global's q, whatever stands there by then.
  q: { push: run }
});

// src/campaign.js
var SESSION_MS = 18e5, PARAMETERS = /[?&](utm_\w+|\w*clk?id|[gw]braid)=[^&]+/gi, campaignOf = (search) => (search.match(PARAMETERS) ?? []).join("").slice(1), keepCampaign = () => before((event) => {
  let own = campaignOf(location.search), [atMs, last] = load("campaign")?.split(" ") ?? [], now = Date.now(), known = own || (now - Number(atMs) < SESSION_MS ? last : "");
  known && store("campaign", `${now} ${known}`), !own && known && (event.context.campaign = known);
});

// src/features/element.js
var PRIVATE = "[data-footfall-private]", UNREADABLE = `input,textarea,select,[contenteditable],${PRIVATE}`, TEXT_CHARS_MAX = 128, STEPS_MAX = 5, LASTING_ID = /^[a-z][a-z_-]{0,63}\d?\d?$/i, cut = (text) => (text ?? "").replace(/\s+/g, " ").trim().slice(0, TEXT_CHARS_MAX), selectorOf = (element, depth = 1) => {
  let { id, localName, parentNode: parent } = element;
  if (LASTING_ID.test(id)) return `#${id}`;
  let above = parent.host ?? element.parentElement, step = `${localName}:nth-child(${[...parent.children].indexOf(element) + 1})`;
  return above && depth < STEPS_MAX ? `${selectorOf(above, depth + 1)} > ${step}` : step;
}, describe = (element) => ({
  element_id: cut(element.id),
  element_role: cut(element.getAttribute("role") || element.localName.replace(/^a(rea)?$/, "link")),
  element_name: cut(
    element.getAttribute("aria-label") || (element.closest(UNREADABLE) || element.querySelector(UNREADABLE) ? "" : element.textContent?.trim() || element.querySelector("img")?.alt)
  ),
  selector: selectorOf(element)
});

// src/features/hear.js
var ONLY_LOOKING = { capture: !0, passive: !0 }, hear = (types, listener) => {
  for (let type of types.split(" ")) on(window, type, listener, ONLY_LOOKING);
}, within = (event, selector) => event.composedPath().find((node) => (
  /** @type {Element} */
  node.matches?.(selector)
));

// src/features/marks.js
var MARK = "data-footfall-event", PROPERTY = "data-footfall-prop-", parsed = (text) => {
  try {
    return /\d{16}/.test(text) ? text : JSON.parse(text);
  } catch {
    return text;
  }
}, markOf = (element) => {
  let event = element.getAttribute(MARK), properties = {};
  for (let { name, value } of element.attributes)
    name.startsWith(PROPERTY) && (properties[name.slice(PROPERTY.length).replace(/-/g, "_")] = parsed(value));
  return event ? [event, properties] : void 0;
};

// src/features/trouble.js
var PAUSE_MS = 1e3, RAGE_PX = 30, ANY_CHANGE = { subtree: !0, childList: !0, attributes: !0, characterData: !0 }, selecting = () => getSelection()?.type === "Range", watchTrouble = () => {
  let burst = [], calmMs = 0, watching = !1, timer2 = 0, answered = () => {
    observer.disconnect(), clearTimeout(timer2), timer2 = 0, watching = !1;
  }, observer = new MutationObserver(answered);
  return hear("pointerdown", (event) => {
    watching = !0;
    for (let node of event.composedPath().slice(0, -1)) observer.observe(node, ANY_CHANGE);
  }), hear("scroll focus blur submit input toggle play pagehide", () => timer2 && answered()), on(window.navigation ?? window, "navigate", answered), onMove(answered), (event, clicked, link) => {
    if (!event.isTrusted || !clicked && within(event, UNREADABLE)) return;
    let element = (
      /** @type {Element} */
      clicked ?? event.composedPath()[0]
    ), { timeStamp: nowMs, clientX, clientY } = event;
    burst = burst.filter(
      (old) => nowMs - old.timeStamp < PAUSE_MS && Math.hypot(clientX - old.clientX, clientY - old.clientY) <= RAGE_PX
    ), burst.push(event) > 2 && (clicked || !selecting()) && (nowMs > calmMs && track("rage_click", describe(element)), calmMs = nowMs + PAUSE_MS), !(!watching || timer2 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) && (timer2 = setTimeout(
      guard(() => {
        answered();
        let leaves2 = link && !event.defaultPrevented;
        (clicked || getComputedStyle(element).cursor === "pointer") && !leaves2 && !selecting() && track("dead_click", describe(element));
      }),
      PAUSE_MS
    ));
  };
};

// src/features/clicks.js
var LINK = "a[*|href],area[href]", CLICKABLE = `${LINK},button,summary,[type=submit],[type=button],[type=image],[role=button],[role=link],[role=menuitem],[role=tab],[role=switch]`, FILE = /\.(pdf|zip|gz|7z|rar|dmg|exe|msi|apk|csv|txt|rtf|epub|mp[34]|(doc|xls|ppt)x?)$/i, KINDS = { "mailto:": "email", "tel:": "phone" }, linkFacts = (link) => {
  let { protocol, host, pathname, href } = Object.assign(document.createElement("a"), {
    href: link.href.baseVal ?? link.href
  }), web = /^http/.test(protocol), file = link.hasAttribute("download") || FILE.test(pathname);
  return {
    href: web ? href.replace(/#.*/, "") : protocol,
    link_kind: web && host !== location.host ? "outbound" : file ? "download" : KINDS[protocol]
  };
}, watchClicks = () => {
  if (isOff("clicks")) return;
  let suspect = watchTrouble(), lastMs = 0;
  hear("click auxclick", (event) => {
    let link = within(event, LINK);
    if (event.button > (link ? 1 : 0) || within(event, `${PRIVATE},button:disabled,[aria-disabled=true]`) || event.isTrusted && event.timeStamp === lastMs) return;
    lastMs = event.timeStamp;
    let clicked = within(event, CLICKABLE), marked = within(event, `[${MARK}]:not(form)`), told2 = marked ? markOf(marked) : !!clicked && ["click", { ...describe(clicked), ...link && linkFacts(link) }];
    told2 && track(...told2), suspect(event, clicked, link);
  });
};

// src/features/engagement.js
var IDLE_MS = 3e4, LEAST_MS = 1e3, SETTLED_MS = 1e3, watchEngagement = () => {
  let sinceMs = 0, engagedMs = 0, seenPx = 0, heightPx = 0, scrolled = !1, viewed = !1, beat = () => {
    let nowMs = performance.now();
    sinceMs && (engagedMs += Math.min(nowMs - sinceMs, IDLE_MS)), sinceMs = document.hasFocus() && !document.hidden ? nowMs : 0;
  }, look = guard(() => {
    let box = (
      /** @type {Element} */
      document.scrollingElement
    );
    heightPx = box.scrollHeight, seenPx = Math.max(seenPx, box.scrollTop + box.clientHeight);
  }), tell3 = (page3) => {
    beat(), !(!viewed || engagedMs < LEAST_MS && !scrolled) && (track(
      "engagement",
      {
        engaged_ms: Math.round(engagedMs),
        scroll_depth: heightPx ? +Math.min(seenPx / heightPx, 1).toFixed(2) : void 0
      },
      { page: page3 }
    ), engagedMs = 0, scrolled = !1);
  };
  before(({ type }) => {
    viewed ||= type === "page";
  }), hear("pointermove pointerdown keydown focus blur visibilitychange", beat), hear("scroll", () => {
    scrolled = !0, beat(), requestAnimationFrame(() => setTimeout(look));
  }), new ResizeObserver(() => setTimeout(look)).observe(document.documentElement), onLeave(tell3), onMove((page3) => {
    tell3(page3), engagedMs = seenPx = heightPx = 0, viewed = scrolled = !1, setTimeout(look, SETTLED_MS);
  }), beat();
};

// src/features/forms.js
var FIELDS_MAX = 50, SETTLED_MS2 = 1e3, watchForms = () => {
  let begun = /* @__PURE__ */ new Map(), end = (form) => {
    let fields = [...begun.get(form) ?? []];
    return begun.delete(form), {
      form_id: cut(form.getAttribute("id")),
      form_name: cut(form.getAttribute("name")),
      fields,
      last_field: fields[fields.length - 1]
    };
  };
  hear("input submit", (event) => {
    let { target } = event, { form } = target;
    if (!within(event, PRIVATE)) {
      if (event.type === "submit") {
        let facts = end(target);
        track(...markOf(target) ?? ["form_submit", facts]);
      } else if (form) {
        let field = cut(target.name || target.id), fields = begun.get(form) ?? /* @__PURE__ */ new Set();
        begun.set(form, fields), fields.delete(field), fields.size < FIELDS_MAX && fields.add(field);
      }
    }
  });
  let leave2 = (page3) => {
    for (let form of begun.keys()) (!page3 || !form.isConnected) && track("form_abandoned", end(form), { page: page3 });
  };
  hear("pagehide", () => leave2()), onMove((page3) => setTimeout(guard(leave2), SETTLED_MS2, page3));
};

// src/features/media.js
var watchMedia = () => {
  let told2 = /* @__PURE__ */ new Set();
  onMove(() => told2.clear()), hear("play timeupdate", (event) => {
    let { type, target: media } = event, { currentSrc, duration, ended } = media, percent = type === "play" ? 0 : Math.floor(ended ? 4 : 4 * media.currentTime / duration) * 25 || 0, key = percent + currentSrc;
    told2.has(key) || media.paused && !ended || within(event, PRIVATE) || (told2.add(key), track("media_progress", {
      media_kind: media.localName,
      src: currentSrc.replace(/([?#]|;base64).*/s, ""),
      title: cut(media.title || media.getAttribute("aria-label")),
      percent,
      duration_s: Math.round(duration)
    }));
  });
};

// src/features/page_facts.js
var pageFacts = (search, status2 = 0) => {
  let asked = [...new URLSearchParams(search)].find(([name]) => /^(q(uery)?|s(earch)?|keyword)$/.test(name));
  return { search_query: cut(asked?.[1]) || void 0, status: status2 < 400 ? void 0 : status2 };
};

// src/features/index.js
var watch2 = () => {
  let [load2] = (
    /** @type {PerformanceNavigationTiming[]} */
    performance.getEntriesByType("navigation")
  ), status2 = load2?.responseStatus;
  before((event) => {
    event.type === "page" && (event.properties = { ...pageFacts(location.search, status2), ...event.properties }, status2 = 0);
  }), watchClicks(), watchForms(), watchEngagement(), watchMedia();
};

// src/autocapture.js
var autocapture = () => {
  keepCampaign(), watch2();
};

// src/entry.module.js
var { init, page: page2, track: track2, identify, alias, group, reset, consent, set, plugin, flush: flush2, status } = tag;
export {
  alias,
  autocapture,
  consent,
  flush2 as flush,
  tag as footfall,
  group,
  identify,
  init,
  page2 as page,
  plugin,
  reset,
  set,
  status,
  track2 as track
};
