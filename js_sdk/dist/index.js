// src/requests.js
var assist = ([address, options, leaving]) => {
  options.signal ??= AbortSignal.timeout?.(3e4), leaving && !("keepalive" in Request.prototype) && navigator.sendBeacon(address, options.body);
};

// src/json.js
var { parse, stringify } = JSON, bytesOf = (text) => encodeURI(text).length, toJson = (value) => {
  let left = 3e4, write = (holder, key, ...above) => {
    try {
      let value2 = holder[key];
      if (left -= 25, left < 0 || above.includes(value2) || above[16]) return;
      if (value2 = value2?.nodeType ? value2.nodeName : value2, /g/.test(typeof value2))
        return value2 = stringify(`${value2}`.slice(0, left / 8).replace(/\p{Cs}/gu, "\uFFFD")), left -= bytesOf(value2), value2;
      if (!value2 || typeof value2 != "object") return value2 - value2 === 0 ? `${value2}` : void 0;
      let list = Array.isArray(value2);
      if (!list && value2.toJSON !== /** @type {any} */
      Object.prototype.toJSON)
        return write([value2.toJSON()], 0, value2, ...above);
      let parts = [];
      for (let name of Object.keys(value2)) {
        let start2 = list ? "" : `${write([name], 0)}:`, text = write(value2, name, value2, ...above);
        (list ? left > 0 : text) && parts.push(start2 + (text ?? null));
      }
      return list ? `[${parts}]` : `{${parts}}`;
    } catch {
    }
  };
  return write([value], 0) ?? "{}";
}, clean = (value) => parse(toJson(value));

// src/guard.js
var hooks = [], pass = (kind, what) => {
  for (let hook of hooks) what = hook(kind, what) ?? what;
  return what;
}, guard = (run2) => (...args) => {
  try {
    return run2(...args);
  } catch (error) {
    pass("warning", [error]);
  }
}, on = (types, listener) => {
  for (let type of types.split(" "))
    addEventListener(type, guard(listener), { capture: !0, passive: !0 });
};

// src/settings.js
var settings = { global: "footfall" }, isOff = (setting) => /^f|ff/.test(
  /** @type {string} */
  setting
);

// src/ids.js
var counter = 0, newId = (nowMs = Date.now(), count = counter++, random = Math.random()) => {
  let hex = nowMs.toString(16), digits = `${8e15 + random * 1e15}`;
  return `0${hex.slice(0, 7)}-${hex.slice(7)}-${7e3 + count % 1e3}-${digits.slice(0, 4)}-${digits.slice(4)}`;
};

// src/storage.js
var memory = {}, disk = memory, keyOf = (name) => settings.global + name, load = (name) => memory[keyOf(name)] ?? disk[keyOf(name)], store = (name, text) => {
  let key = keyOf(name);
  delete memory[key];
  try {
    text ? disk[key] = `${text}` : delete disk[key];
  } catch {
    delete disk[key], memory[key] = `${text}`;
  }
}, names = (start2) => [.../* @__PURE__ */ new Set([...Object.keys(disk), ...Object.keys(memory)])].filter((key) => key.startsWith(keyOf(start2))).map((key) => key.replace(settings.global, "")).sort(), permit = (allowed) => {
  disk = memory;
  try {
    allowed && (disk = localStorage);
  } catch {
  }
}, settleDown = () => {
  for (let key in memory) store(key.replace(settings.global, ""), memory[key]);
}, wipe = () => {
  for (let name of names("_")) store(name);
}, visitor = (id = load("_id") ?? newId()) => {
  if (settings.storage !== "none")
    return store("_id", id), id;
};

// src/queue.js
var QUEUE_EVENTS_MAX = 300, BATCH_MS = 1e3, BATCH_EVENTS_MAX = 100, BATCH_BYTES_MAX = 3e4, FIRST_MS = 1e3, WAIT_MS_MAX = 6e4, RETRY_AFTER_MS_MAX = 36e5, flying = /* @__PURE__ */ new Set(), timer, failures = 0, countMax = BATCH_EVENTS_MAX, letGo = () => {
}, pauseMs = BATCH_MS, context = { library: { name: "footfall.js", version: "0.1.0" }, dropped: 0 }, record = { sent: 0 }, waitMs = (retryAfter, failures2, random) => Math.min(retryAfter * 1e3 || 0, RETRY_AFTER_MS_MAX) + Math.min(FIRST_MS * 2 ** failures2, WAIT_MS_MAX) * (1 + random) / 2, queueName = () => `_queue_${settings.writeKey}_`, waiting = () => names(queueName()), drop = (name) => {
  store(name), context.dropped++;
}, take = () => {
  let taken = [], bytes = BATCH_BYTES_MAX;
  decide();
  let all = waiting();
  all.splice(0, all.length - QUEUE_EVENTS_MAX).forEach(drop);
  let restMs = (
    /** @type {any} */
    load("_wait") - Date.now()
  );
  if (state === "granted" && !(restMs > 0 && restMs < 2 * RETRY_AFTER_MS_MAX)) {
    for (let name of all)
      if (categories && name.split(",").slice(1).some((category) => !/** @type {any} */
      categories[category])) store(name);
      else if (!flying.has(name)) {
        if (bytes -= bytesOf(
          /** @type {string} */
          load(name)
        ) + 1, taken[0] && (taken.length >= countMax || bytes < 0)) break;
        flying.add(name), taken.push(name);
      }
  }
  return taken;
}, send = async (body, leaving) => {
  let request = [
    `${settings.endpoint}/v1/b`,
    {
      method: "POST",
      body,
      // a string: text/plain;charset=UTF-8
      keepalive: !0,
      credentials: "omit"
    },
    leaving
  ];
  return pass("request", request), fetch(.../** @type {[string, RequestInit]} */
  request);
}, sendAll = async (leaving) => {
  for (let taken = take(); taken[0]; taken = take()) {
    let events = `[${taken.map(load)}]`, rest = toJson({ context, sentAt: /* @__PURE__ */ new Date(), writeKey: settings.writeKey }), sending = send(`{"batch":${events},${rest.slice(1)}`, leaving);
    leaving && sendAll(leaving);
    let response = await sending.catch((error2) => ({ error: error2 })), { ok, status: status2 = 0, headers, error } = response, refused = [400, 413].includes(status2);
    countMax = refused ? taken.length / 2 : BATCH_EVENTS_MAX;
    for (let name of taken)
      flying.delete(name), ok ? store(name) : countMax < 1 && drop(name);
    if (pauseMs = BATCH_MS, ok) failures = 0;
    else if (!refused) {
      let ms = waitMs(headers?.get("Retry-After"), failures++, Math.random());
      status2 ? store("_wait", Date.now() + ms) : pauseMs = ms;
    }
    if (record.lastStatus = status2, record.lastError = error, ok && (record.sent += taken.length), pass("answer", { response, events }), !status2) return;
  }
}, flush = async () => {
  timer = clearTimeout(timer);
  try {
    await navigator.locks.request(
      queueName(),
      { ifAvailable: !0 },
      (lock) => lock && new Promise((done) => {
        letGo = /** @type {() => void} */
        done, sendAll().then(letGo);
      })
    );
  } catch {
    await sendAll();
  }
  waiting()[0] && plan();
}, plan = () => {
  timer ||= setTimeout(flush, pauseMs);
}, push = (words, event) => {
  store(queueName() + words, event), plan(), document.hidden && !failures && queueMicrotask(leave);
}, leave = () => {
  letGo(), sendAll(1);
};

// src/consent.js
var state, categories, decide = (given) => {
  permit(!0);
  let said = given ?? parse(
    /** @type {any} */
    load("_consent") ?? null
  ) ?? (state === "granted" ? categories : context.consent), answer = said ?? (navigator.globalPrivacyControl && !isOff(settings.gpc) || settings.dnt && navigator.doNotTrack === "1" ? "denied" : settings.consent ?? "granted");
  categories = answer.big ? void 0 : answer, state = categories ? /:true/.test(toJson(answer)) ? "granted" : "denied" : answer, given && (state === "denied" && wipe(), store("_consent", given !== "pending" && toJson(given))), context.consent = said, permit(state === "granted" && settings.storage !== "none"), settleDown();
};

// src/navigation.js
var TITLE_CHARS_MAX = 1024, told, referrer, page = () => {
  let { origin: url, pathname: path, search, hash } = location;
  return search &&= search.replace(/footfall_link=[^&]*&|.footfall_link=[^&]*$/, ""), url += path + search, settings.hash != null && (url += hash, path += hash), {
    url,
    path,
    search,
    title: document.title.slice(0, TITLE_CHARS_MAX),
    referrer: referrer ?? document.referrer
  };
}, mark = () => {
  let old = told;
  return told = page(), told.url === old?.url ? !1 : (old && (told.referrer = referrer = old.url, pass("move", old)), !0);
}, watchNavigation = (settle2) => {
  let later = () => setTimeout(guard(settle2));
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
  on("popstate", later), on("pageshow", (event) => {
    event.persisted && (pass("move", told), told = void 0, settle2());
  });
};

// src/tag.js
var EARLY_MAX = 300, sequence = 0, early = [], settle = () => mark() && (isOff(settings.pageViews) || calls.page()), emit = (type, fields, options) => {
  let { page: at, consent: consent2 = [] } = options ?? {}, seen = type === "page";
  if (seen || settle(), decide(), state === "denied") {
    if (!seen) return;
    for (let name of waiting()) store(name);
  }
  let messageId = newId(), event = {
    type,
    messageId,
    sequence: ++sequence,
    anonymousId: visitor(),
    userId: load("_user"),
    ...clean({ context: { page: at ?? page() }, timestamp: /* @__PURE__ */ new Date(), ...fields })
  };
  if (seen && (event.properties = { ...event.context.page, ...event.properties }), event = pass("before", event), !event) {
    context.dropped++;
    return;
  }
  push([messageId].concat(consent2), toJson(event)), pass("event", event);
}, track = (event, properties, options) => emit("track", { event: `${event ?? ""}`, properties, extra: options?.extra }, options), calls = {
  /**
   * Starts the tag once there is a write key.
   * @param {undefined} _ @param {Record<string, any>} options as the data attributes, in camelCase
   */
  init(_, options) {
    Object.assign(settings, options).writeKey && (on("pagehide", () => document.hidden || start()), requestAnimationFrame(
      () => setTimeout(async () => {
        await pass("seen"), start();
      })
    ));
  },
  page(name, properties) {
    mark(), emit("page", { name, properties });
  },
  track,
  identify(id, traits) {
    id && store("_user", id), emit("identify", { traits });
  },
  consent(answer, each) {
    decide(answer ?? each), pass("consent", state), flush();
  },
  flush,
  status: () => ({
    .../** @type {any} */
    decide(),
    // adds nothing: a look whether another tab was given an answer
    ...settings,
    ...record,
    version: "0.1.0",
    consent: state,
    waitsUntil: Number(load("_wait")) || 0,
    visitor: load("_id"),
    queued: waiting().length,
    dropped: context.dropped
  })
}, run = guard((call) => {
  let [name, ...rest] = call;
  if (typeof rest[0] == "object" && rest.unshift(void 0), !early || /in|ta/.test(name))
    return pass("call", call), calls[name](...rest);
  early[EARLY_MAX] || early.push(call);
}), tag = (...call) => run(call), teach = (more) => {
  for (let name in Object.assign(calls, more)) tag[name] = (...rest) => tag(name, ...rest);
};
tag.q = { push: run };
tag.version = "0.1.0";
teach(calls);
var gone = () => {
  settle(), leave();
}, start = guard(() => {
  let waited = early;
  waited && (early = void 0, decide(), context.locale = navigator.language, context.webdriver = navigator.webdriver, watchNavigation(settle), pass("start"), waited.forEach(run), settle(), flush(), on("online", flush), on("pagehide", gone), on("visibilitychange", () => document.hidden ? gone() : flush()));
});

// src/campaign.js
var SESSION_MS = 18e5, campaignOf = (search) => search ? search.match(/[?&](utm_\w+|\w*c[lick_]*id|\wbraid|li_fat_id|epik|awc|cjevent|igsh(id)?|srsltid|tblci|dicbo)=[^&]+/gi)?.join("").slice(1) : void 0, campaign = (now) => {
  let own = campaignOf(location.search), [atMs, last] = (
    /** @type {any[]} */
    (load("_campaign") ?? "").split(" ")
  ), known = own || now - atMs < SESSION_MS && last;
  return known && store("_campaign", `${now} ${known}`), !own && known || void 0;
};

// src/classic.js
var folder;

// src/whole.js
var HOLD_MS_MAX = 2e3, ZONE = "_zone", ASKING = /,(extr|debug|link|cook)|footfall-debug/, common = {}, when = (moments) => {
  hooks.push((kind, what) => moments[kind]?.(what));
};
when({
  seen() {
    if (ASKING.test(Object.keys(settings) + location.search))
      return setTimeout(start, HOLD_MS_MAX), import(`${folder ?? settings.endpoint}/footfall.extras.js`).then((extras) => extras.default(tag), tag.warn);
  },
  start() {
    let { width, height } = screen;
    context.screen = { width, height, innerWidth, innerHeight, density: devicePixelRatio }, context.connection = navigator.connection?.effectiveType, context.timezone = load(ZONE + (/* @__PURE__ */ new Date()).getTimezoneOffset()), settings.plugins?.forEach(calls.plugin);
  },
  before(event) {
    event.groupId = load("_group"), event.type > "o" && (event.properties = { ...common, ...event.properties }), event.context.campaign = campaign(Date.now());
  }
});
teach({
  group(id, traits) {
    id && store("_group", id), emit("group", { traits });
  },
  alias(user) {
    let previousId = load("_user") ?? visitor();
    user && store("_user", user), emit("alias", { previousId });
  },
  // Somebody else sits at the device: nothing of the last person is carried over.
  reset() {
    for (let name of ["_user", "_group", "_campaign"]) store(name);
    common = {}, visitor(newId());
  },
  set(_, properties) {
    let given = clean(properties);
    for (let name in given) common[name] = given[name] ?? void 0;
  },
  plugin: (plugin2) => plugin2(tag)
});
Object.assign(tag, {
  /** @param {(event: any) => any} hook may change an event, return another, or false to drop it */
  before(hook) {
    let change = guard(hook);
    when({
      before(event) {
        let changed = event && change(event);
        return changed?.type || changed === !1 ? changed : event;
      }
    });
  },
  /** @param {(kind: string, what: any) => unknown} hook whoever throws at a warning is not warned of that */
  watch(hook) {
    hooks.push((kind, what) => {
      try {
        hook(kind, what);
      } catch {
      }
    });
  },
  warn: (...words) => pass("warning", words),
  hooks,
  emit,
  context,
  settings,
  store,
  visitor
});

// src/features/within.js
var PRIVATE = "[data-footfall-private]", within = (path, selector) => path.find((node) => (
  /** @type {Element} */
  node.matches?.(selector)
));

// src/features/element.js
var UNREADABLE = `input,textarea,select,[contenteditable],${PRIVATE}`, TEXT_CHARS_MAX = 128, STEPS_MAX = 5, LASTING_ID = /^[a-z][a-z_-]{0,63}\d?\d?$/i, cut = (text) => (text ?? "").replace(/\s+/g, " ").trim().slice(0, TEXT_CHARS_MAX), selectorOf = (element, depth = 1) => {
  let { id, localName, parentNode: parent } = element;
  if (LASTING_ID.test(id)) return `#${id}`;
  if (!parent) return localName;
  let above = parent.host ?? element.parentElement, place = 1;
  for (let before = element.previousElementSibling; before; before = before.previousElementSibling) place++;
  let step = `${localName}:nth-child(${place})`;
  return above && depth < STEPS_MAX ? `${selectorOf(above, depth + 1)} > ${step}` : step;
}, describe = (element) => ({
  element_id: cut(element.id),
  element_role: cut(element.getAttribute("role") || element.localName.replace(/^a(rea)?$/, "link")),
  element_name: cut(
    element.getAttribute("aria-label") || (element.closest(UNREADABLE) || element.querySelector(UNREADABLE) ? "" : element.textContent?.trim() || element.querySelector("img")?.alt)
  ),
  selector: selectorOf(element)
});

// src/features/page_facts.js
var pageFacts = (search, status2 = 0) => ({
  search_query: (search && [...new URLSearchParams(search)].find(([name]) => /^(q(uery)?|s(earch)?|keyword)$/.test(name)))?.[1]?.trim().slice(0, TEXT_CHARS_MAX) || void 0,
  status: status2 < 400 ? void 0 : status2
});

// src/features/index.js
var watch = () => {
  let [load2] = (
    /** @type {PerformanceNavigationTiming[]} */
    performance.getEntriesByType("navigation")
  ), status2 = load2?.responseStatus;
  when({
    before(event) {
      event.type === "page" && (event.properties = { ...pageFacts(location.search, status2), ...event.properties }, status2 = 0);
    }
  });
};

// src/features/clickable.js
var LINK = "a[*|href],area[href]", CLICKABLE = `${LINK},button,summary,[type=submit],[type=button],[type=image],[role=button],[role=link],[role=menuitem],[role=tab],[role=switch]`;

// src/features/marks.js
var MARK = "data-footfall-event", PROPERTY = "data-footfall-prop-", parsed = (text) => {
  try {
    return /\d{16}/.test(text) ? text : parse(text);
  } catch {
    return text;
  }
}, markOf = (element) => {
  let event = element.getAttribute(MARK), properties = {};
  for (let { name, value } of element.attributes)
    name.startsWith(PROPERTY) && (properties[name.slice(PROPERTY.length).replace(/-/g, "_")] = parsed(value));
  return event ? [event, properties] : void 0;
};

// src/features/clicks.js
var FILE = /\.(pdf|zip|gz|7z|rar|dmg|exe|msi|apk|csv|txt|rtf|epub|mp[34]|(doc|xls|ppt)x?)$/i, KINDS = { "mailto:": "email", "tel:": "phone" }, linkFacts = (link) => {
  let { protocol, host, pathname, href } = Object.assign(document.createElement("a"), {
    href: link.href.baseVal ?? link.href
  }), web = /^http/.test(protocol), file = link.hasAttribute("download") || FILE.test(pathname);
  return {
    href: web ? href.replace(/#.*/, "") : protocol,
    link_kind: web && host !== location.host ? "outbound" : file ? "download" : KINDS[protocol]
  };
}, position = ({ detail, pageX, pageY }) => detail ? { x: Math.max(0, Math.round(pageX)), y: Math.max(0, Math.round(pageY)) } : {}, watchClicks = (tag2) => (event, path) => {
  if (!/click/.test(event.type) || isOff(tag2.settings.clicks)) return;
  let link = within(path, LINK);
  if (event.button > (link ? 1 : 0) || within(path, `${PRIVATE},button:disabled,[aria-disabled=true]`)) return;
  let clicked = within(path, CLICKABLE), marked = within(path, `[${MARK}]:not(form)`), told2 = marked ? markOf(marked) : !!clicked && ["click", { ...describe(clicked), ...position(event), ...link && linkFacts(link) }];
  told2 && tag2.track(...told2);
};

// src/features/engagement.js
var IDLE_MS = 3e4, LEAST_MS = 1e3, SETTLED_MS = 1e3, attentive = () => document.hasFocus() && !document.hidden, watchEngagement = (tag2, when2, startMs) => {
  let viewed = startMs >= 0, sinceMs = attentive() ? startMs || performance.now() : 0, engagedMs = 0, seenPx = 0, heightPx = 0, scrolled = !1, beat = () => {
    let nowMs = performance.now();
    sinceMs && (engagedMs += Math.min(nowMs - sinceMs, IDLE_MS)), sinceMs = attentive() ? nowMs : 0;
  }, look = guard(() => {
    let box = (
      /** @type {Element} */
      document.scrollingElement
    );
    heightPx = box.scrollHeight, seenPx = Math.max(seenPx, box.scrollTop + box.clientHeight);
  }), tell = (page3) => {
    beat(), !(!viewed || engagedMs < LEAST_MS && !scrolled) && (tag2.track(
      "engagement",
      {
        engaged_ms: Math.round(engagedMs),
        scroll_depth: heightPx ? +Math.min(seenPx / heightPx, 1).toFixed(2) : void 0
      },
      { page: page3 }
    ), engagedMs = 0, scrolled = !1);
  };
  return on("pointermove pointerdown keydown focus blur", beat), on("visibilitychange pagehide", ({ type }) => document.hidden || type === "pagehide" ? tell() : beat()), on("scroll", () => {
    scrolled = !0, beat(), requestAnimationFrame(() => setTimeout(look));
  }), new ResizeObserver(() => setTimeout(look)).observe(document.documentElement), when2({
    before({ type }) {
      viewed ||= type === "page";
    },
    move(page3) {
      tell(page3), engagedMs = seenPx = heightPx = 0, viewed = scrolled = !1, setTimeout(look, SETTLED_MS);
    }
  }), beat(), ({ type, target, timeStamp }, _, late) => {
    late && type === "blur" && target === window && timeStamp > startMs && (engagedMs = Math.min(timeStamp - startMs, IDLE_MS), sinceMs = attentive() ? performance.now() : 0);
  };
};

// src/features/forms.js
var FIELDS_MAX = 50, SETTLED_MS2 = 1e3, watchForms = (tag2, when2) => {
  let begun = /* @__PURE__ */ new Map(), end = (form) => {
    let fields = [...begun.get(form) ?? []];
    return begun.delete(form), {
      form_id: cut(form.getAttribute("id")),
      form_name: cut(form.getAttribute("name")),
      fields,
      last_field: fields[fields.length - 1]
    };
  }, leave2 = (page3) => {
    for (let form of begun.keys()) (!page3 || !form.isConnected) && tag2.track("form_abandoned", end(form), { page: page3 });
  };
  return on("pagehide", () => leave2()), when2({
    move(page3) {
      setTimeout(guard(leave2), SETTLED_MS2, page3);
    }
  }), ({ type }, path) => {
    let [first] = (
      /** @type {any[]} */
      path
    );
    if (!within(path, PRIVATE)) {
      if (type === "submit") {
        let facts = end(first);
        tag2.track(...markOf(first) ?? ["form_submit", facts]);
      } else if (type === "input" && first.form) {
        let field = cut(first.name || first.id), fields = begun.get(first.form) ?? /* @__PURE__ */ new Set();
        begun.set(first.form, fields), fields.delete(field), fields.size < FIELDS_MAX && fields.add(field);
      }
    }
  };
};

// src/features/last_resort.js
var FAILURES_MIN = 2, IMAGES_MAX = 5, DATA_CHARS_MAX = 8e3, watchFailures = (tag2, when2) => {
  let { context: context2, settings: settings2 } = tag2, failures2 = 0, whole = (name) => {
    try {
      return (settings2.storage === "none" ? [] : Object.keys(localStorage)).find((key) => key.startsWith(settings2.global + name))?.replace(settings2.global, "") ?? name;
    } catch {
      return name;
    }
  }, dataOf = (event) => {
    let { writeKey } = settings2, told2 = { ...event, context: { ...context2, ...event.context }, writeKey, sentAt: /* @__PURE__ */ new Date() };
    return encodeURIComponent(JSON.stringify(told2));
  }, show = ({ messageId, data }) => new Promise((done, failed) => {
    let image = new Image();
    image.onload = guard(() => {
      tag2.store(whole(`_queue_${settings2.writeKey}_${messageId}`)), done(0);
    }), image.onerror = failed, image.src = `${settings2.endpoint}/v1/p.gif?ack=1&data=${data}`;
  });
  when2({
    answer({ response, events }) {
      if (failures2 = response.status ? 0 : failures2 + 1, failures2 < FAILURES_MIN || !navigator.onLine) return;
      let short = JSON.parse(events).map((event) => ({ messageId: event.messageId, data: dataOf(event) })).filter(({ data }) => data.length <= DATA_CHARS_MAX).slice(0, IMAGES_MAX);
      short[0] && Promise.all(short.map(show)).then(tag2.flush, () => {
      });
    }
  });
};

// src/features/media.js
var watchMedia = (tag2, when2) => {
  let told2 = /* @__PURE__ */ new Set();
  when2({ move: () => told2.clear() });
  let progress = ({ type }, path) => {
    let [media] = path, { currentSrc, duration, ended } = media, percent = type === "play" ? 0 : Math.floor(ended ? 4 : 4 * media.currentTime / duration) * 25 || 0, key = percent + currentSrc;
    told2.has(key) || media.paused && !ended || within(path, PRIVATE) || (told2.add(key), tag2.track("media_progress", {
      media_kind: media.localName,
      src: currentSrc.replace(/([?#]|;base64).*/s, ""),
      title: cut(media.title || media.getAttribute("aria-label")),
      percent,
      duration_s: Math.round(duration)
    }));
  };
  return on("timeupdate", (event) => progress(event, event.composedPath())), (event, path) => {
    event.type === "play" && progress(event, path);
  };
};

// src/features/trouble.js
var PAUSE_MS = 1e3, RAGE_PX = 30, ANY_CHANGE = { subtree: !0, childList: !0, attributes: !0, characterData: !0 }, selecting = () => getSelection()?.type === "Range", watchTrouble = (tag2, when2) => {
  let burst = [], calmMs = 0, watching = !1, timer2 = 0, observer, answered = () => {
    observer?.disconnect(), clearTimeout(timer2), timer2 = 0, watching = !1;
  }, observe = () => {
    let { navigation } = (
      /** @type {any} */
      window
    );
    return navigation?.addEventListener("navigate", answered), on("scroll focus blur submit input toggle play pagehide", () => timer2 && answered()), new MutationObserver(answered);
  };
  return when2({ move: answered }), (event, path, late) => {
    let { type, timeStamp: nowMs, clientX, clientY } = event;
    if (isOff(tag2.settings.clicks)) return;
    if (type === "pointerdown" && !late) {
      watching = !0, observer ??= observe();
      for (let node of path.slice(0, -1)) observer.observe(
        /** @type {Node} */
        node,
        ANY_CHANGE
      );
    }
    if (!/click/.test(type) || !event.isTrusted) return;
    let link = within(path, LINK);
    if (event.button > (link ? 1 : 0) || within(path, `${PRIVATE},button:disabled,[aria-disabled=true]`)) return;
    let clicked = within(path, CLICKABLE);
    if (!clicked && within(path, UNREADABLE)) return;
    let element = (
      /** @type {Element} */
      clicked ?? path[0]
    );
    burst = burst.filter(
      (old) => nowMs - old.timeStamp < PAUSE_MS && Math.hypot(clientX - old.clientX, clientY - old.clientY) <= RAGE_PX
    ), burst.push(event) > 2 && (clicked || !selecting()) && (nowMs > calmMs && tag2.track("rage_click", describe(element)), calmMs = nowMs + PAUSE_MS), !(!watching || timer2 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) && (timer2 = setTimeout(
      guard(() => {
        answered();
        let leaves = link && !event.defaultPrevented;
        (clicked || getComputedStyle(element).cursor === "pointer") && !leaves && !selecting() && tag2.track("dead_click", describe(element));
      }),
      PAUSE_MS
    ));
  };
};

// src/features/zone.js
var AFTER_MS = 3e3, findZone = (tag2) => {
  if (tag2.context.timezone) return;
  let { Temporal } = (
    /** @type {any} */
    window
  ), find = () => {
    tag2.context.timezone = Temporal?.Now.timeZoneId() ?? Intl.DateTimeFormat().resolvedOptions().timeZone, tag2.store(`_zone${(/* @__PURE__ */ new Date()).getTimezoneOffset()}`, tag2.context.timezone);
  };
  Temporal ? find() : setTimeout(guard(find), AFTER_MS);
};

// src/features/more.js
var ANSWERED_MS = 50, more_default = (tag2, viewedMs) => {
  let when2 = (moments) => {
    tag2.hooks.push((kind, what) => moments[kind]?.(what));
  };
  tag2.hooks !== hooks && (hooks.push((_, what) => tag2.warn(...what)), when2({ request: assist }));
  let then = {}, seen = [], address = "", last = {}, here = () => tag2.settings.hash == null ? location.href.replace(/#.*/, "") : location.href, tell = (page3) => {
    for (let [fields, options] of seen.splice(0)) tag2.emit("track", fields, { page: page3, ...options });
  }, tellHere = () => {
    here() === address && tell();
  }, tellLater = guard(() => {
    tellHere(), seen[0] && setTimeout(guard(() => tell()));
  }), teller = {
    settings: tag2.settings,
    /** @param {string} event @param {object} properties @param {{page?: object}} [options] */
    track(event, properties, { page: page3 = then.page } = {}) {
      seen[0] || (address = here(), setTimeout(tellLater, ANSWERED_MS)), seen.push([{ event, properties, timestamp: then.at ?? /* @__PURE__ */ new Date() }, page3 ? { page: page3 } : {}]);
    }
  };
  findZone(tag2), watchFailures(tag2, when2);
  let watchers = [
    watchEngagement(teller, when2, viewedMs),
    ...[watchClicks, watchForms, watchMedia, watchTrouble].map((watch2) => watch2(teller, when2))
  ].map(guard);
  on("visibilitychange pagehide", () => tell()), when2({ move: tell, call: tellHere });
  let isEcho = ({ type, isTrusted, timeStamp }, target) => {
    if (!isTrusted || !/click/.test(type)) return !1;
    let before = last;
    return last = { at: timeStamp, target }, timeStamp === before.at && target !== before.target;
  };
  return (event, path, page3, at) => {
    if (!isEcho(event, path[0])) {
      then = { page: page3, at };
      for (let watcher of watchers) watcher(event, path, !!at);
      then = {};
    }
  };
};

// src/autocapture.js
var autocapture = () => {
  watch();
  let tell = more_default(tag, NaN);
  on("pointerdown click auxclick input submit play", (event) => tell(event, event.composedPath()));
};

// src/entry.module.js
when({ request: assist });
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
