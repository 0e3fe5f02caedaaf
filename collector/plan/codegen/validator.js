/**
 * The rules of the plan in the browser, for development builds: what the collector would say of an event, in its words.
 *
 * It mirrors collector/plan/rules.py, the truth of the plan, line by line where it can; tests hold the two to the same
 * verdicts. It judges an event as it will be sent: what JSON cannot hold is gone, and numbers are what JSON writes.
 * Deliberately not here: what the collector does about a violation.
 *
 * @typedef {{ reason: string, pointer: string, fix: string }} Violation
 * @typedef {(value: any, at: string, out: Findings) => boolean} Rule true when the collector takes the value out
 * @typedef {[limit: string, what: string]} Complaint
 * @typedef {(value: any, at: string, out: Findings) => Complaint | undefined} Check
 * @typedef {{ action: string, starts?: string, before?: string }} Action
 * @typedef {{ negative: boolean, digits: string, exponent: number }} Decimal
 * @typedef {{ op: "<" | ">" | "<=" | ">=", bound: string, shown: string }} Bound
 * @typedef {{ kind: string, nullable?: boolean, sensitive?: boolean, advice?: string, enum?: (string | number)[],
 *   integers?: string[], bounds?: Bound[], step?: string, minLength?: number, maxLength?: number, pattern?: string,
 *   regex?: string, format?: string, digits?: number, minItems?: number, maxItems?: number, items?: Type,
 *   properties?: Property[], maxProperties?: number, values?: Type, members?: Type[] }} Type
 * @typedef {{ name: string, aliases?: string[], required?: boolean, type: Type }} Property
 * @typedef {{ rules: Record<string, Action>, properties: Property[], value?: string, ends?: string }} Major
 * @typedef {{ name: string, version: string, hash: string, unknownMax: number, rules: Record<string, Action>,
 *   personal: string[], date: string, datetime: string, events: Record<string, { newest: number, majors: Record<string, Major> }> }} Plan
 */

const VIOLATIONS_MAX = 100;
const SHOWN_MAX = 40;
const KEY_MAX = 200;
const NUMERIC_MAX = 80;
const SEARCHED_CHARS_MAX = 4096;
const SEARCHED_TEXTS_MAX = 64;
const NUMERIC = /^-?[0-9]+(?:\.[0-9]+)?(?:[eE][-+]?[0-9]{1,4})?$/;
const PROPERTIES = "/properties";

/** @type {Complaint} */
const WRONG_TYPE = ["wrong", "type"];

/** @type {Record<string, string>} */
const MUST = {
  string: "a string",
  integer: "a whole number",
  number: "a number",
  boolean: "true or false",
  decimal: "a decimal number",
  date: "a date such as 2026-09-01",
  datetime: "a date and time with its offset such as 2026-09-01T10:00:00Z",
  array: "a list",
  object: "an object",
  map: "an object",
  any: "anything",
};

/** @type {Record<string, [broken: (a: any, b: any) => boolean, limit: string, what: string, more: string]>} */
const SIDES = {
  "<": [(a, b) => a < b, "must be at least ", "send ", " or more"],
  ">": [(a, b) => a > b, "must be at most ", "send ", " or less"],
  "<=": [(a, b) => a <= b, "must be above ", "send more than ", ""],
  ">=": [(a, b) => a >= b, "must be below ", "send less than ", ""],
};

/** What was found in one event so far, by the actions of one day. */
class Findings {
  /** @param {Record<string, Action>} rules @param {string} day @param {number} unknownMax */
  constructor(rules, day, unknownMax) {
    this.rules = rules;
    this.day = day;
    this.unknownLeft = unknownMax;
    this.decided = "";
    /** @type {Violation[]} */
    this.listed = [];
  }

  /** @param {string} reason @returns {string} the action in force */
  action(reason) {
    const rule = this.rules[reason === "event_version_unknown" ? "unknown_event" : reason];
    if (!rule) return "allow";
    return rule.starts === undefined || this.day >= rule.starts ? rule.action : (rule.before ?? "allow");
  }

  /** @param {string} reason @param {string} pointer @param {string} fix @returns {boolean} is the value stripped? */
  add(reason, pointer, fix) {
    const action = this.action(reason);
    if (action === "allow") return false;
    const decides = (action === "quarantine" || action === "drop") && !this.decided.includes(action);
    if (reason === "unknown_property" && !decides) {
      if (this.unknownLeft <= 0) return action === "strip";
      this.unknownLeft -= 1;
    }
    if (this.listed.length < VIOLATIONS_MAX || decides) this.listed.push({ reason, pointer, fix });
    if (decides) this.decided += action;
    return action === "strip";
  }

  /** @param {any} value @param {string} pointer personal data in it that the plan does not declare */
  personal(value, pointer) {
    const kind = this.action("undeclared_pii") === "allow" ? "" : personalWithin(value);
    if (!kind) return;
    const fix = `${spoken(pointer)} holds ${PERSONAL[kind]}; declare it in the plan with pii, or stop sending it`;
    this.add("undeclared_pii", pointer, fix);
  }
}

/** @type {Record<string, string>} */
const PERSONAL = {
  email: "an e-mail address",
  token: "a secret token",
  card: "the number of a payment card",
  iban: "the number of a bank account",
};

/** @param {string} found the check digit of payment cards (ISO/IEC 7812-1), in the lengths and ranges that issuers use */
const luhn = (found) => {
  const digits = [...found.replace(/[^0-9]/g, "")].map(Number);
  const head = Number(digits.slice(0, 4).join(""));
  const { length } = digits;
  /** @param {number} low @param {number} high */
  const among = (low, high) => head >= low && head <= high;
  const known =
    ((length === 16 || length === 19) && among(4000, 4999)) ||
    (length === 16 &&
      (among(5100, 5599) || among(2221, 2720) || among(6440, 6599) || head === 6011 || among(3528, 3589))) ||
    (length === 15 && (among(3400, 3499) || among(3700, 3799))) ||
    (length === 14 && (among(3000, 3059) || among(3600, 3699) || among(3800, 3999)));
  const doubled = digits.reverse().map((digit, place) => (place % 2 === 0 ? digit : digit * 2 - (digit > 4 ? 9 : 0)));
  return known && doubled.reduce((sum, digit) => sum + digit, 0) % 10 === 0;
};

/** @param {string} found the check digits of an IBAN (ISO 13616) */
const mod97 = (found) => {
  const text = found.replace(/ /g, "");
  const number = [...text.slice(4), ...text.slice(0, 4)].map((char) => Number.parseInt(char, 36)).join("");
  return text.length >= 15 && text.length <= 34 && BigInt(number) % BigInt(97) === BigInt(1);
};

const always = () => true;
const WORD = "\\p{L}\\p{N}_";
/** @type {[kind: string, pattern: RegExp, holds: (found: string) => boolean][]} */
const DETECTORS = [
  [
    "email",
    RegExp(
      `(?<![${WORD}.%+-])[${WORD}.%+-]{1,64}(?:@|%40)(?:[${WORD}-]{1,63}\\.){1,8}[\\p{L}\\p{Nl}\\p{No}]{2,63}(?![${WORD}-])`,
      "gu",
    ),
    always,
  ],
  [
    "token",
    RegExp(
      `(?<![${WORD}])(?:eyJ[${WORD}-]{8,4096}\\.[${WORD}-]{8,4096}(?:\\.[${WORD}-]{0,1024})?|(?:sk|rk|pk)_(?:live|test)_[${WORD}]{16,128}` +
        `|AKIA[0-9A-Z]{16}(?![${WORD}])|gh[pousr]_[${WORD}]{30,128}|xox[abprs]-[${WORD}-]{10,128})`,
      "gu",
    ),
    always,
  ],
  ["card", RegExp(`(?<![${WORD}.+-])[2-6][0-9]{3}(?:[ -]?[0-9]){10,15}(?![${WORD}-])`, "gu"), luhn],
  ["iban", /(?<![A-Za-z0-9])[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])/gu, mod97],
];

/** @param {any} value @returns {string} the kind of personal data that gives itself away in it, as in collector/plan/pii.py */
const personalWithin = (value) => {
  const waiting = [value];
  for (let looked = 0; waiting.length > 0 && looked < SEARCHED_TEXTS_MAX; ) {
    const entry = waiting.pop();
    if (typeof entry === "object" && entry) waiting.push(...Object.values(entry).slice(0, SEARCHED_TEXTS_MAX));
    const long = Number.isInteger(entry) && entry > 1e12 && entry < 1e19;
    if (typeof entry !== "string" && !long) continue;
    looked += 1;
    const text = [...`${entry}`].slice(0, SEARCHED_CHARS_MAX).join("");
    for (const [kind, pattern, holds] of DETECTORS) if ((text.match(pattern) ?? []).some(holds)) return kind;
  }
  return "";
};

/** @param {object} value @param {string} key */
const has = (value, key) => Object.hasOwn(value, key);

/** @param {string} text @param {number} most @returns {string} */
const cut = (text, most) => {
  const points = [...text];
  return points.length > most ? `${points.slice(0, most).join("")}…` : text;
};

/** @param {string} key one key as a part of a JSON pointer */
const token = (key) => cut(key, KEY_MAX).replace(/~/g, "~0").replace(/\//g, "~1");

/** @param {string} pointer @returns {string} as people write it: items[0].sku */
const spoken = (pointer) => {
  const parts = pointer.split("/").slice(2);
  if (parts.length === 1 && !pointer.includes("~")) return `${parts[0]}`;
  const text = parts
    .map((part) => part.replace(/~1/g, "/").replace(/~0/g, "~"))
    .map((part) => (parts.length > 1 && /^[0-9]+$/.test(part) ? `[${part}]` : `.${part}`))
    .join("");
  return text.replace(/^\./, "") || "properties";
};

/** @param {any} value @returns {string} */
const shown = (value) => {
  if (typeof value === "string") return JSON.stringify(cut(value, SHOWN_MAX));
  if (typeof value === "number") return JSON.stringify(value).replace("e", "E");
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return value && typeof value === "object" ? "an object" : `${value}`;
};

/** @param {number} number @returns {string} 12345 as 12,345 */
const grouped = (number) => `${number}`.replace(/\B(?=(?:[0-9]{3})+$)/g, ",");

/** @param {any} value @returns {Decimal | undefined} the exact decimal of a number, or of a number as text */
const decimalOf = (value) => {
  if (typeof value === "string" && (value.length > NUMERIC_MAX || !NUMERIC.test(value))) return undefined;
  if (typeof value !== "number" && typeof value !== "string") return undefined;
  const [mantissa = "", power = "0"] = `${value}`.toLowerCase().split("e");
  const [whole = "", fraction = ""] = mantissa.replace("-", "").split(".");
  const digits = (whole + fraction).replace(/^0+/, "");
  return { negative: mantissa.startsWith("-"), digits, exponent: Number(power) - fraction.length };
};

/** @param {Decimal} number @returns {number} the power of ten of its first digit */
const adjusted = ({ digits, exponent }) => digits.length - 1 + exponent;

/** @param {Decimal} number @param {Decimal} step @returns {boolean} exact; too many digits to tell is not a multiple */
const stepped = (number, step) => {
  const low = Math.min(number.exponent, step.exponent);
  const [a, b] = [number, step].map(({ digits, exponent }) => BigInt(digits + "0".repeat(exponent - low) || "0"));
  const whole = /** @type {bigint} */ (a) / /** @type {bigint} */ (b);
  return `${whole}`.length <= 500 && whole * /** @type {bigint} */ (b) === a;
};

/** @param {Decimal} number @returns {bigint | undefined} the integer, when it is one of at most 20 digits */
const integerOf = ({ negative, digits, exponent }) => {
  if (!digits) return BigInt(0);
  const text = exponent < 0 ? digits.slice(0, exponent) : digits + "0".repeat(exponent);
  return BigInt(negative ? `-${text}` : text);
};

/** @param {Decimal} number */
const isWhole = ({ digits, exponent }) => exponent >= 0 || /^0*$/.test(digits.slice(exponent));

/** @param {Bound[]} stated @param {(text: string) => any} made @returns {(number: any) => Complaint | undefined} */
const boundsOf = (stated, made) => {
  const limits = stated.map(({ op, bound, shown }) => {
    const [broken, limit, what, more] = /** @type {(typeof SIDES)[string]} */ (SIDES[op]);
    const complaint = /** @type {Complaint} */ ([limit + shown, what + shown + more]);
    return { broken, bound: made(bound), complaint };
  });
  return (number) => limits.find(({ broken, bound }) => broken(number, bound))?.complaint;
};

/** @param {(string | number)[]} values @param {string[]} [texts] @returns {Complaint} */
const notListed = (values, texts = values.map((value) => JSON.stringify(value))) => {
  const more = texts.length > 10 ? ` and ${texts.length - 10} more` : "";
  return [`must be one of ${texts.slice(0, 10).join(", ")}${more}`, "send one of them, or add it to the plan"];
};

/** @param {string} text @returns {number} its code points */
const lengthOf = (text) => [...text].length;

/** @type {Record<string, (kind: Type, plan: Plan) => Check>} */
const CHECKS = {
  any: () => () => undefined,

  boolean: () => (value) => (typeof value === "boolean" ? undefined : WRONG_TYPE),

  string: (kind) => {
    const regex = kind.regex === undefined ? undefined : new RegExp(kind.regex, "u");
    const least = kind.minLength ?? 0;
    const most = kind.maxLength ?? Number.POSITIVE_INFINITY;
    /** @type {Complaint} */
    const mismatch = [
      kind.pattern ? `must match ${kind.pattern}` : `must be a valid ${kind.format}`,
      "correct it at the sender",
    ];
    return (value) => {
      if (typeof value !== "string") return WRONG_TYPE;
      if (kind.enum && !kind.enum.includes(value)) return notListed(kind.enum);
      const length = lengthOf(value);
      if (length > most) return [`has ${grouped(length)} characters, the limit is ${grouped(most)}`, "shorten it"];
      if (length < least)
        return [`has ${length} characters, the minimum is ${least}`, "send a longer text or leave it out"];
      return !regex || regex.test(value) ? undefined : mismatch;
    };
  },

  integer: (kind) => {
    const bounds = boundsOf(kind.bounds ?? [], BigInt);
    const allowed = kind.integers?.map(BigInt);
    /** @type {Complaint} */
    const tooLarge = ["must fit in 64 bits", "send a smaller number, or text"];
    return (value) => {
      const number = typeof value === "number" ? decimalOf(value) : undefined;
      if (!number || !isWhole(number)) return WRONG_TYPE;
      if (adjusted(number) > 19) return tooLarge;
      const whole = /** @type {bigint} */ (integerOf(number));
      if (BigInt.asIntN(64, whole) !== whole) return tooLarge;
      if (allowed && !allowed.includes(whole)) return notListed([], kind.integers);
      if (kind.step && whole % BigInt(kind.step))
        return [`must be a multiple of ${kind.step}`, "round it at the sender"];
      return bounds(whole);
    };
  },

  number: (kind) => {
    const bounds = boundsOf(kind.bounds ?? [], Number);
    const step = kind.step ? decimalOf(kind.step) : undefined;
    return (value) => {
      if (typeof value !== "number") return WRONG_TYPE;
      if (step && !stepped(/** @type {Decimal} */ (decimalOf(value)), step)) {
        return [`must be a multiple of ${kind.step}`, "round it at the sender"];
      }
      return bounds(value);
    };
  },

  decimal: (kind) => {
    const bounds = boundsOf(kind.bounds ?? [], Number);
    const step = kind.step ? decimalOf(kind.step) : undefined;
    const digits = kind.digits ?? 14;
    return (value) => {
      const number = decimalOf(value);
      if (!number) return WRONG_TYPE;
      if (number.digits && adjusted(number) >= digits) {
        return [`must have at most ${digits} digits before the point`, "send a smaller number"];
      }
      if (step && !stepped(number, step)) return [`must be a multiple of ${kind.step}`, "round it at the sender"];
      return bounds(Number(value));
    };
  },

  date: (_, plan) => timeOf(plan.date),
  datetime: (_, plan) => timeOf(plan.datetime),

  array: (kind, plan) => {
    const item = ruleOf(/** @type {Type} */ (kind.items), plan);
    const least = kind.minItems ?? 0;
    const most = kind.maxItems ?? Number.POSITIVE_INFINITY;
    return (value, at, out) => {
      if (!Array.isArray(value)) return WRONG_TYPE;
      if (value.length > most) return [`must have at most ${most} items`, "send fewer, or split the event"];
      const left = value.filter((entry, index) => !item(entry, `${at}/${index}`, out));
      return left.length < least ? [`must have at least ${least} items`, "send more, or no event"] : undefined;
    };
  },

  map: (kind, plan) => {
    const rule = ruleOf(/** @type {Type} */ (kind.values), plan);
    const most = kind.maxProperties ?? Number.POSITIVE_INFINITY;
    return (value, at, out) => {
      if (!isObject(value)) return WRONG_TYPE;
      const entries = Object.entries(value);
      if (entries.length > most) {
        return [`has ${grouped(entries.length)} keys and may have at most ${grouped(most)}`, "send fewer"];
      }
      for (const [key, entry] of entries) rule(entry, `${at}/${token(key)}`, out);
      return undefined;
    };
  },

  object: (kind, plan) => {
    const walk = membersOf(kind.properties ?? [], plan);
    return (value, at, out) => {
      if (!isObject(value)) return WRONG_TYPE;
      walk(value, at, out);
      return undefined;
    };
  },

  union: (kind, plan) => {
    const checks = (kind.members ?? []).map((member) => checkOf(member, plan));
    return (value, at, out) => {
      const complaints = checks.map((check) => check(value, at, out));
      if (complaints.includes(undefined)) return undefined;
      return complaints.find((complaint) => complaint !== WRONG_TYPE) ?? WRONG_TYPE;
    };
  },
};

/** @param {string} source @returns {Check} */
const timeOf = (source) => {
  const regex = new RegExp(source, "u");
  return (value) => (typeof value === "string" && regex.test(value) ? undefined : WRONG_TYPE);
};

/** @param {any} value @returns {value is Record<string, any>} */
const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** @param {Type} kind @param {Plan} plan */
const checkOf = (kind, plan) => /** @type {(typeof CHECKS)[string]} */ (CHECKS[kind.kind])(kind, plan);

/** @param {Type} kind @param {Plan} plan @returns {Rule} */
const ruleOf = (kind, plan) => {
  const must = kind.kind === "union" ? kind.members?.map((member) => MUST[member.kind]).join(" or ") : MUST[kind.kind];
  const check = checkOf(kind, plan);
  const advice = kind.advice === undefined ? "" : `send a value such as ${kind.advice}`;
  return (value, at, out) => {
    if (value === null && kind.nullable) return false;
    const complaint = check(value, at, out);
    if (!complaint) return false;
    const found = kind.sensitive ? "has a value that" : `is ${shown(value)}, it`;
    if (complaint === WRONG_TYPE) {
      const what = value === null ? "leave it out when there is no value" : advice || `send ${must}`;
      return out.add("wrong_type", at, `${spoken(at)} ${found} must be ${must}; ${what}`);
    }
    const [limit, what] = complaint;
    return out.add("constraint", at, `${spoken(at)} ${found} ${limit}; ${advice || what}`);
  };
};

/** @param {string} name @returns {string} without case and separators */
const fold = (name) => name.replace(/[-_. ]/g, "").toLowerCase();

/** @param {Property[]} properties @param {Plan} plan @returns {(value: any, at: string, out: Findings) => void} */
const membersOf = (properties, plan) => {
  /** @type {Map<string, Rule>} */
  const rules = new Map();
  /** @type {Map<string, string>} */
  const alike = new Map();
  for (const { name, aliases = [], type } of properties) {
    const rule = ruleOf(type, plan);
    for (const word of [name, ...aliases]) {
      rules.set(word, rule);
      alike.set(fold(word), word);
    }
  }
  const required = properties.filter((property) => property.required);
  return (value, at, out) => {
    /** @type {Set<string>} */
    const stripped = new Set();
    for (const [key, entry] of Object.entries(value)) {
      const pointer = `${at}/${token(key)}`;
      const rule = rules.get(key);
      if (rule) {
        if (rule(entry, pointer, out)) stripped.add(key);
        continue;
      }
      const near = alike.get(fold(key));
      const what = near ? `send it as "${near}"` : "add it to the plan or stop sending it";
      out.add("unknown_property", pointer, `${spoken(pointer)} is not in the plan; ${what}`);
      out.personal(entry, pointer);
    }
    for (const { name, aliases = [], type } of required) {
      if ([name, ...aliases].some((word) => has(value, word) && !stripped.has(word))) continue;
      const pointer = `${at}/${token(name)}`;
      const must = type.kind === "union" ? "a value" : MUST[type.kind];
      out.add("missing_required", pointer, `${spoken(pointer)} is missing, it is required; send ${must}`);
    }
  };
};

/** @param {any} value @returns {boolean} does it fit in a Decimal(18, 4) once it is rounded, half to even? */
const fitsMoney = (value) => {
  const number = decimalOf(value);
  if (!number?.digits) return true;
  if (adjusted(number) > 13) return false;
  if (number.exponent >= -4 || adjusted(number) < 13) return true;
  const kept = number.digits.slice(0, number.exponent + 4);
  const rest = number.digits.slice(number.exponent + 4);
  const half = `5${"0".repeat(rest.length - 1)}`;
  const up = rest > half || (rest === half && Number(kept.slice(-1)) % 2 === 1);
  return !(up && /^9+$/.test(kept));
};

/** @param {any} value @returns {any} as it will be sent: what JSON holds of it, without lone surrogates */
const sent = (value) => {
  const text = JSON.stringify(value, (_, entry) => (typeof entry === "string" ? whole(entry) : entry));
  return JSON.parse(text ?? "null", (_, entry) => {
    if (!isObject(entry)) return entry;
    return Object.fromEntries(Object.entries(entry).map(([key, inner]) => [whole(key), inner]));
  });
};

/** @param {string} text @returns {string} lone surrogates, the only ones a /u expression sees, become U+FFFD */
const whole = (text) => text.replace(/[\uD800-\uDFFF]/gu, "\uFFFD");

/** @param {string} name @returns {string} an event's name as the collector spells it: Order Completed is order_completed */
const snakeCase = (name) =>
  name
    .replace(/([a-z0-9])([A-Z])/g, "$1_$2")
    .replace(/([A-Z]+)([A-Z][a-z])/g, "$1_$2")
    .split(/[^\p{L}\p{N}\p{M}]+/u)
    .filter(Boolean)
    .join("_")
    .toLowerCase();

/**
 * The plan, ready to check events.
 *
 * @param {Plan} plan
 * @param {() => number} now milliseconds since the epoch
 */
export const planOf = (plan, now = Date.now) => {
  /** @type {Map<string, ReturnType<typeof membersOf>>} */
  const compiled = new Map();

  /** @param {string} event @param {number | undefined} stated @param {any} properties @param {string} day */
  const unplanned = (event, stated, properties, day) => {
    const out = new Findings(plan.rules, day, 0);
    if (has(plan.events, event)) {
      const versions = Object.keys(plan.events[event]?.majors ?? {}).join(", ");
      const fix = `the plan has no ${event}@${stated}; send version ${versions}, or add this one to the plan`;
      out.add("event_version_unknown", "/event", fix);
    } else {
      const what = "add it as events/<domain>/<event>.yaml or stop sending it";
      out.add("unknown_event", "/event", `${shown(event)} is not in the tracking plan; ${what}`);
    }
    for (const [key, entry] of Object.entries(isObject(properties) ? properties : {})) {
      if (!plan.personal.includes(key)) out.personal(entry, `${PROPERTIES}/${token(key)}`);
    }
    return out;
  };

  /** @param {string} event @param {number} number @param {Major} major @param {any} properties @param {string} day */
  const planned = (event, number, major, properties, day) => {
    const out = new Findings(major.rules, day, plan.unknownMax);
    const key = `${event}@${number}`;
    const walk = compiled.get(key) ?? membersOf(major.properties, plan);
    compiled.set(key, walk);
    if (major.ends !== undefined && day >= major.ends) {
      const newest = plan.events[event]?.newest;
      const what = newest === number ? "stop sending it, or move its sunset in the plan" : `send version ${newest}`;
      out.add("sunset_version", "/event", `${key} was to end before ${major.ends}; ${what}`);
    }
    if (!isObject(properties)) {
      const fix = `properties is ${shown(properties)}, it must be an object; send {} when there are none`;
      if (out.add("wrong_type", PROPERTIES, fix)) walk({}, PROPERTIES, out);
      return out;
    }
    walk(properties, PROPERTIES, out);
    const value = major.properties.find(({ name }) => name === major.value);
    const name = value && [value.name, ...(value.aliases ?? [])].find((word) => has(properties, word));
    const amount = name === undefined ? null : properties[name];
    if (value && name !== undefined && amount !== null && !fitsMoney(amount)) {
      if (checkOf(value.type, plan)(amount, "", new Findings({}, day, 0))) return out; // it was listed for its own rules
      const fix = `${name} is ${shown(amount)}, it must have at most 14 digits before the point; send a smaller number`;
      out.add("constraint", `${PROPERTIES}/${token(name)}`, fix);
    }
    return out;
  };

  return {
    name: plan.name,
    version: plan.version,
    hash: plan.hash,

    /**
     * @param {{ type?: string, event?: string, properties?: unknown, extra?: unknown }} event as the tag sends it
     * @returns {Violation[]} what the collector would list; nothing for calls that the plan does not cover
     */
    check(event) {
      const type = event.type ?? "track";
      if (type !== "track" && type !== "page" && type !== "screen") return [];
      const [, base, digits] = /^(.*)@([0-9]{1,4})$/s.exec(event.event ?? "") ?? [];
      const name = type === "track" ? snakeCase(base ?? event.event ?? "") : `${type}_view`;
      const day = new Date(now()).toISOString().slice(0, 10);
      try {
        const known = has(plan.events, name) ? plan.events[name] : undefined;
        const stated = type === "track" && digits ? Number(digits) : undefined;
        const number = stated ?? known?.newest ?? 0;
        const major = known?.majors[number];
        const properties = sent(event.properties ?? {});
        const out = major ? planned(name, number, major, properties, day) : unplanned(name, stated, properties, day);
        const beside = new Findings(major ? major.rules : plan.rules, day, 0);
        const extra = sent(event.extra ?? {});
        for (const [key, entry] of Object.entries(isObject(extra) ? extra : { extra })) {
          beside.personal(entry, `/extra/${token(key)}`);
        }
        return [...out.listed, ...beside.listed];
      } catch {
        const fix = "properties cannot be checked; send a JSON object with fewer levels and shorter numbers";
        return [{ reason: "wrong_type", pointer: PROPERTIES, fix }];
      }
    },
  };
};
