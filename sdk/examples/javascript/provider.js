// Keeps DNS records behind the small zone API that `dns-fake` and the template speak too, in JavaScript.
//
// There is no SDK for JavaScript: this is the contract by hand, and `sdk/wit/v1/provider.wit` says what each part means.
// The engine is QuickJS. It knows no fetch, no timers and no TextEncoder, and needs none: everything outside comes
// through the four imports.

import clock from "linecamp:provider/clock@1.0.0";
import http from "linecamp:provider/http@1.0.0";

// Pages that are read. More have no end.
const PAGES_MAX = 1000;

// Brackets in brackets that are read. The engine calls itself for each, and deeper ones would use up its stack.
const DEPTH_MAX = 64;

// Letters of a service's own words in a failure.
const WORDS_MAX = 300;

const SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: ["api"],
  properties: {
    api: {
      description: "Where the zone API is, such as `https://dns.example.org`.",
      type: "string",
      format: "uri",
      examples: ["https://dns.example.org"],
    },
  },
};

export const provider = {
  describe: () => ({
    name: "dns-zone-js",
    version: "0.1.0",
    about: "Keeps records behind a small zone API; written in JavaScript.",
    abilities: {
      tag: "dns",
      val: { atomic: true, listsZones: true, ttlMin: 0, ttlMax: 2147483647, changesMax: 100 },
    },
    configSchema: JSON.stringify(SCHEMA),
    secrets: [{ name: "token", about: "The API's bearer token.", required: true }],
    reaches: ["{api}"],
    extra: [],
  }),

  check: (config) =>
    ended(() => {
      okay(send("get", `${settings(config).api}/zones`));
    }),
};

export const dns = {
  observe: (config, zone, names) =>
    ended(() => {
      const base = `${settings(config).api}/zones/${encodeURIComponent(zone)}/records`;
      const query = names.map((name) => `name=${encodeURIComponent(name)}`);
      // Each name and type comes once; a page may repeat what another had.
      const found = new Map();
      let page = null;
      for (let turned = 0; turned < PAGES_MAX; turned += 1) {
        const asked = page === null ? query : [...query, `page=${page}`];
        const url = asked.length === 0 ? base : `${base}?${asked.join("&")}`;
        const listing = listingOf(okay(send("get", url)));
        for (const { name, zone: below } of listing.elsewhere) throw inZoneBelow(name, below);
        for (const set of listing.records.map(recordOf)) {
          if (isAskedFor(set, names)) found.set(`${set.name} ${set.rtype}`, set);
        }
        if (listing.next === null) return [...found.values()];
        page = listing.next;
      }
      throw refused(`the zone has more than ${PAGES_MAX} pages`);
    }),

  apply: (config, zone, key, changes) =>
    ended(() => {
      const url = `${settings(config).api}/zones/${encodeURIComponent(zone)}/changes`;
      const order = { key, changes: changes.map((c) => ({ before: written(c.before), after: written(c.after) })) };
      const answer = send("post", url, order);
      if (answer.status === 409) {
        const obstacle = jsonOf(answer);
        throw { tag: "conflict", val: { name: String(obstacle?.name), owner: String(obstacle?.found) } };
      }
      if (answer.status === 421) {
        const elsewhere = jsonOf(answer);
        throw inZoneBelow(String(elsewhere?.name), String(elsewhere?.zone));
      }
      okay(answer);
      // What is done is answered without a word; whoever says more is not the service.
      if (answer.status !== 204) throw malformed(answer, "no 204");
      return changes.filter((change) => change.after).map((change) => change.after);
    }),
};

// Lets endings through, and makes one of everything else that is thrown: an exception would be a trap without words.
function ended(call) {
  try {
    return call();
  } catch (thrown) {
    throw typeof thrown?.tag === "string" ? thrown : refused(`the plugin failed: ${thrown}`);
  }
}

function settings(text) {
  let config = null;
  try {
    config = parsed(text);
  } catch {
    throw refused("the config is no JSON");
  }
  if (typeof config !== "object" || config === null || Array.isArray(config)) throw refused("the config is no object");
  for (const name of Object.keys(config)) {
    if (name !== "api") throw refused(`there is no setting \`${name}\``, name);
  }
  if (typeof config.api !== "string") throw refused("`api` is a URL", "api");
  return { api: config.api.replace(/\/+$/, "") };
}

function send(method, url, body) {
  const request = {
    method,
    url,
    headers: body ? [["content-type", "application/json"]] : [],
    body: body ? bytesOf(JSON.stringify(body)) : new Uint8Array(),
    auth: { tag: "bearer", val: "token" },
    timeoutMillis: null,
  };
  try {
    return { place: `${method.toUpperCase()} ${url.split("?")[0]}`, ...http.send(request) };
  } catch (error) {
    // What the import gave as its error, or the exception that carries it.
    const { tag, val } = error?.payload ?? error;
    const reason = `${url.split("?")[0]}: ${tag}${val === undefined || val === null ? "" : `: ${val}`}`;
    throw ["denied", "too-large", "budget"].includes(tag) ? refused(reason) : retry(reason);
  }
}

// Returns the answer if its status is a success, and throws what the status means if it is not.
function okay(answer) {
  const { status, place } = answer;
  if (status >= 200 && status < 300) return answer;
  const words = (textOf(answer.body) ?? "").replace(/\s+/g, " ").slice(0, WORDS_MAX);
  const reason = `${place} answered ${status}: ${words}`;
  if (status === 401 || status === 403) throw { tag: "unauthorized", val: reason };
  if (status === 408 || status === 425 || status === 429 || status >= 500) throw retry(reason, retryAfter(answer));
  throw refused(reason);
}

// Milliseconds, of a `Retry-After` in seconds or as a date.
function retryAfter(answer) {
  const header = answer.headers.find(([name]) => name === "retry-after");
  if (!header) return null;
  if (/^\d{1,9}$/.test(header[1])) return Number(header[1]) * 1000;
  const at = Date.parse(header[1]);
  return Number.isNaN(at) ? null : Math.max(0, at - Number(clock.nowMillis()));
}

function jsonOf(answer) {
  try {
    return parsed(textOf(answer.body));
  } catch (error) {
    throw malformed(answer, error);
  }
}

function parsed(text) {
  let depth = 0;
  let isText = false;
  for (let at = 0; at < (text ?? "").length; at += 1) {
    const letter = text[at];
    if (letter === "\\") at += 1;
    else if (letter === '"') isText = !isText;
    else if (isText) continue;
    else if (letter === "[" || letter === "{") depth += 1;
    else if (letter === "]" || letter === "}") depth -= 1;
    if (depth > DEPTH_MAX) throw new SyntaxError(`brackets in more than ${DEPTH_MAX} brackets`);
  }
  return JSON.parse(text);
}

// Looks at every value: what is absent or of another type must not be taken for an empty zone.
function listingOf(answer) {
  const listing = jsonOf(answer);
  const isRecord = (record) =>
    typeof record?.name === "string" &&
    typeof record.type === "string" &&
    Number.isInteger(record.ttl) &&
    Array.isArray(record.values) &&
    record.values.every((value) => typeof value === "string");
  if (!Array.isArray(listing?.records) || !listing.records.every(isRecord)) throw malformed(answer, "no records");
  if (listing.next !== null && !Number.isInteger(listing.next)) throw malformed(answer, "no next page");
  const isElsewhere = ({ name, zone } = {}) => typeof name === "string" && typeof zone === "string";
  if (!Array.isArray(listing.elsewhere) || !listing.elsewhere.every(isElsewhere)) throw malformed(answer, "no elsewhere");
  return listing;
}

// An answer may hold sets that were not asked for, and sets without values, which are none. Nothing follows from them.
function isAskedFor(set, names) {
  return set.values.length > 0 && (names.length === 0 || names.includes(set.name));
}

function recordOf({ name, type, ttl, values }) {
  return { name: name.toLowerCase().replace(/\.$/, ""), rtype: type.toUpperCase(), ttl, values };
}

function written(set) {
  return set ? { name: set.name, type: set.rtype, ttl: set.ttl, values: set.values } : null;
}

function retry(reason, afterMillis = null) {
  return { tag: "retry", val: { afterMillis, reason } };
}

function refused(reason, field = null) {
  return { tag: "refused", val: { reason, field, name: null } };
}

// What is written for the name into the configured zone is served to nobody. The name is blamed, so that the host sets
// it aside and goes on with the others.
function inZoneBelow(name, zone) {
  const reason = `name ${name} lies in zone ${zone}, which is served separately: add zone ${zone} to the provider, or choose another name template`;
  return { tag: "refused", val: { reason, field: null, name } };
}

function malformed(answer, why) {
  return retry(`${answer.place} answered what was not expected: ${why}`);
}

// UTF-8, by the oldest functions that know it.
function bytesOf(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text)), (letter) => letter.charCodeAt(0));
}

function textOf(bytes) {
  const PIECE = 8192;
  let binary = "";
  for (let at = 0; at < bytes.length; at += PIECE) {
    binary += String.fromCharCode(...bytes.slice(at, at + PIECE));
  }
  try {
    return decodeURIComponent(escape(binary));
  } catch {
    return null;
  }
}
