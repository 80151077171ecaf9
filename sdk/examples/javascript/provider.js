// Manages DNS records in the small zone API that `dns-fake` and the template also use, in JavaScript.
//
// There is no SDK for JavaScript: this file implements the contract directly; `sdk/wit/v1/provider.wit` documents it.
// The engine is QuickJS, which has no fetch, no timers and no TextEncoder. None of them is needed: all access to the
// outside goes through the imports.

import clock from "linecamp:provider/clock@1.0.0";
import http from "linecamp:provider/http@1.0.0";

// Maximum number of pages that are read. More pages than this do not seem to end.
const PAGES_MAX = 1000;

// Maximum nesting depth of JSON that is parsed. The engine parses recursively, and deeper nesting would exceed its
// stack.
const DEPTH_MAX = 64;

// Maximum length of a service's error message in an error, in characters.
const MESSAGE_CHARS_MAX = 300;

const SCHEMA = {
  type: "object",
  additionalProperties: false,
  required: ["api"],
  properties: {
    api: {
      description: "Base URL of the zone API, such as `https://dns.example.org`.",
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
    summary: "Manages DNS records in a small zone API; written in JavaScript.",
    capabilities: {
      tag: "dns",
      val: { atomic: true, canListRecords: true, ttlMin: 0, ttlMax: 2147483647, maxBatchSize: 100 },
    },
    configSchema: JSON.stringify(SCHEMA),
    secrets: [{ name: "token", summary: "Bearer token of the API.", required: true }],
    endpoints: ["{api}"],
    extra: [],
  }),

  validate: (config) =>
    withErrors(() => {
      errorForStatus(send("get", `${settings(config).api}/zones`));
    }),
};

export const dns = {
  observe: (config, zone, names) =>
    withErrors(() => {
      const base = `${settings(config).api}/zones/${encodeURIComponent(zone)}/records`;
      const query = names.map((name) => `name=${encodeURIComponent(name)}`);
      // Each name and type must occur once in the result, but pages may overlap.
      const found = new Map();
      let page = null;
      for (let pages = 0; pages < PAGES_MAX; pages += 1) {
        const parameters = page === null ? query : [...query, `page=${page}`];
        const url = parameters.length === 0 ? base : `${base}?${parameters.join("&")}`;
        const listing = listingOf(errorForStatus(send("get", url)));
        for (const { name, zone: childZone } of listing.delegated) throw inChildZone(name, childZone);
        for (const set of listing.records.map(recordOf)) {
          if (isRequested(set, names)) found.set(`${set.name} ${set.rtype}`, set);
        }
        if (listing.next === null) return [...found.values()];
        page = listing.next;
      }
      throw invalid(`the zone has more than ${PAGES_MAX} pages`);
    }),

  apply: (config, zone, idempotencyKey, changes) =>
    withErrors(() => {
      const url = `${settings(config).api}/zones/${encodeURIComponent(zone)}/changes`;
      const body = {
        key: idempotencyKey,
        changes: changes.map((c) => ({ before: toApi(c.before), after: toApi(c.after) })),
      };
      const response = send("post", url, body);
      if (response.status === 409) {
        const conflict = jsonOf(response);
        throw { tag: "conflict", val: { name: String(conflict?.name), found: String(conflict?.found) } };
      }
      if (response.status === 421) {
        const delegated = jsonOf(response);
        throw inChildZone(String(delegated?.name), String(delegated?.zone));
      }
      errorForStatus(response);
      // The service returns 204 on success; any other status comes from something in between.
      if (response.status !== 204) throw malformed(response, "expected status 204");
      return changes.filter((change) => change.after).map((change) => change.after);
    }),
};

// Passes errors of the contract on, and converts every other exception to one: otherwise it would be a trap without a
// message.
function withErrors(call) {
  try {
    return call();
  } catch (thrown) {
    throw typeof thrown?.tag === "string" ? thrown : invalid(`the plugin failed: ${thrown}`);
  }
}

function settings(text) {
  let config = null;
  try {
    config = parsed(text);
  } catch {
    throw invalid("invalid config: not JSON");
  }
  const isObject = typeof config === "object" && config !== null && !Array.isArray(config);
  if (!isObject) throw invalid("invalid config: not a JSON object");
  for (const name of Object.keys(config)) {
    if (name !== "api") throw invalid(`unknown setting \`${name}\``, name);
  }
  if (typeof config.api !== "string") throw invalid("`api` must be a URL", "api");
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
    // The error that the import returned, or the exception that carries it.
    const { tag, val } = error?.payload ?? error;
    const reason = `${url.split("?")[0]}: ${tag}${val === undefined || val === null ? "" : `: ${val}`}`;
    throw ["denied", "too-large", "limit-exceeded"].includes(tag) ? invalid(reason) : retry(reason);
  }
}

// Returns the response if its status is a success, and throws the error for the status otherwise.
function errorForStatus(response) {
  const { status, place } = response;
  if (status >= 200 && status < 300) return response;
  const message = (textOf(response.body) ?? "").replace(/\s+/g, " ").slice(0, MESSAGE_CHARS_MAX);
  const reason = `${place} returned ${status}: ${message}`;
  if (status === 401 || status === 403) throw { tag: "unauthorized", val: reason };
  if (status === 408 || status === 425 || status === 429 || status >= 500) throw retry(reason, retryAfter(response));
  throw invalid(reason);
}

// Returns the delay of a `Retry-After` header, in seconds or as a date, in milliseconds.
function retryAfter(response) {
  const header = response.headers.find(([name]) => name === "retry-after");
  if (!header) return null;
  if (/^\d{1,9}$/.test(header[1])) return Number(header[1]) * 1000;
  const at = Date.parse(header[1]);
  return Number.isNaN(at) ? null : Math.max(0, at - Number(clock.nowMillis()));
}

function jsonOf(response) {
  try {
    return parsed(textOf(response.body));
  } catch (error) {
    throw malformed(response, error);
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
    if (depth > DEPTH_MAX) throw new SyntaxError(`nested more than ${DEPTH_MAX} levels deep`);
  }
  return JSON.parse(text);
}

// Validates every value: a missing value or one of another type must not be mistaken for an empty zone.
function listingOf(response) {
  const listing = jsonOf(response);
  const isRecord = (record) =>
    typeof record?.name === "string" &&
    typeof record.type === "string" &&
    Number.isInteger(record.ttl) &&
    Array.isArray(record.values) &&
    record.values.every((value) => typeof value === "string");
  const areRecords = Array.isArray(listing?.records) && listing.records.every(isRecord);
  if (!areRecords) throw malformed(response, "invalid `records`");
  if (listing.next !== null && !Number.isInteger(listing.next)) throw malformed(response, "invalid `next`");
  const isDelegated = ({ name, zone } = {}) => typeof name === "string" && typeof zone === "string";
  const areDelegated = Array.isArray(listing.delegated) && listing.delegated.every(isDelegated);
  if (!areDelegated) throw malformed(response, "invalid `delegated`");
  return listing;
}

// A response may contain sets that were not requested, and sets without values, which do not exist. Nothing may be
// inferred from them.
function isRequested(set, names) {
  return set.values.length > 0 && (names.length === 0 || names.includes(set.name));
}

function recordOf({ name, type, ttl, values }) {
  return { name: name.toLowerCase().replace(/\.$/, ""), rtype: type.toUpperCase(), ttl, values };
}

function toApi(set) {
  return set ? { name: set.name, type: set.rtype, ttl: set.ttl, values: set.values } : null;
}

function retry(reason, afterMillis = null) {
  return { tag: "retry", val: { afterMillis, reason } };
}

function invalid(reason, field = null) {
  return { tag: "invalid", val: { reason, field, name: null } };
}

// Records written for this name to the configured zone would never be served. The error names it, so that the host
// excludes it and continues with the others.
function inChildZone(name, zone) {
  const problem = `name ${name} is in the child zone ${zone}, which is served separately`;
  const reason = `${problem}: add zone ${zone} to the provider, or choose another name template`;
  return { tag: "invalid", val: { reason, field: null, name } };
}

function malformed(response, why) {
  return retry(`unexpected response from ${response.place}: ${why}`);
}

// Returns the text in UTF-8. `escape` and `unescape` are the only functions of the engine that convert UTF-8.
function bytesOf(text) {
  return Uint8Array.from(unescape(encodeURIComponent(text)), (letter) => letter.charCodeAt(0));
}

function textOf(bytes) {
  const CHUNK = 8192;
  let binary = "";
  for (let at = 0; at < bytes.length; at += CHUNK) {
    binary += String.fromCharCode(...bytes.slice(at, at + CHUNK));
  }
  try {
    return decodeURIComponent(escape(binary));
  } catch {
    return null;
  }
}
