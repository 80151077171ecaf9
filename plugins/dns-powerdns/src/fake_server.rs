//! An in-memory fake of PowerDNS's API with one zone, following its documentation.

use std::collections::BTreeMap;

use linecamp_provider::http::{HttpResponse, Method};
use linecamp_provider::txt::{self, Escape};
use linecamp_provider::{RecordSet, names};
use linecamp_testkit::{Request, Service, reply};
use serde_json::{Value, json};

/// The API key.
pub(crate) const KEY: &str = "changeme";

/// A server with one zone.
#[derive(Debug)]
pub(crate) struct FakeServer {
    zone: String,
    kind: &'static str,
    /// Whether the server can list a single name, as newer versions do.
    filters: bool,
    /// Whether the backend can search.
    searches: bool,
    sets: BTreeMap<(String, String), RecordSet>,
    /// Disabled records: in the listing of the whole zone and in searches, but not in the listing of one name.
    disabled: BTreeMap<(String, String), RecordSet>,
    /// Whether the zone has a record that the server cannot read, so that listing the zone fails.
    is_unreadable: bool,
    /// Zones in addition to the zone.
    zones: Vec<String>,
    is_unusual: bool,
    writes: u64,
}

impl FakeServer {
    /// Creates an older server, which ignores the name filter.
    pub(crate) fn old(zone: &str) -> Self {
        Self {
            zone: zone.to_owned(),
            kind: "Native",
            filters: false,
            searches: true,
            sets: BTreeMap::new(),
            disabled: BTreeMap::new(),
            is_unreadable: false,
            zones: Vec::new(),
            is_unusual: false,
            writes: 0,
        }
    }

    /// Creates a newer server.
    pub(crate) fn new(zone: &str) -> Self {
        Self { kind: "Primary", filters: true, ..Self::old(zone) }
    }

    /// Creates a server whose backend never finds anything.
    pub(crate) fn without_search(zone: &str) -> Self {
        Self { searches: false, ..Self::new(zone) }
    }

    /// Adds a foreign record that the server cannot read, such as a TXT record without quotes.
    pub(crate) fn plant_unreadable(&mut self) {
        self.is_unreadable = true;
    }

    /// Creates a server on which the zone is a secondary.
    pub(crate) fn secondary(zone: &str) -> Self {
        Self { kind: "Slave", ..Self::old(zone) }
    }

    fn list(&self, only: Option<&str>) -> HttpResponse {
        let only = only.filter(|_| self.filters);
        if self.is_unreadable && only.is_none() {
            return reply::body(500, "text/plain", "Internal Server Error");
        }
        let apex = names::fqdn(&self.zone);
        let mut rrsets = Vec::<Value>::new();
        for record in self.records() {
            let is_asked = only.is_none_or(|only| record["name"] == names::fqdn(only) && record["disabled"] == false);
            let is_its = |set: &&mut Value| set["name"] == record["name"] && set["type"] == record["type"];
            let content = json!({ "content": record["content"], "disabled": record["disabled"] });
            match rrsets.iter_mut().find(is_its) {
                _ if !is_asked => {}
                Some(set) => set["records"].as_array_mut().expect("a list").push(content),
                None => rrsets.push(json!({
                    "name": record["name"], "type": record["type"], "ttl": record["ttl"], "records": [content],
                    "comments": [],
                })),
            }
        }
        if self.is_unusual {
            self.make_odd(&mut rrsets);
        }
        reply::json(200, &json!({ "id": apex, "name": apex, "kind": self.kind, "serial": 1, "rrsets": rrsets }))
    }

    /// Returns all records of the zone in the format of a search.
    fn records(&self) -> Vec<Value> {
        let apex = names::fqdn(&self.zone);
        let soa = format!("ns1.{apex} hostmaster.{apex} 1 10800 3600 604800 3600");
        let own = [("SOA", soa), ("NS", format!("ns1.{apex}"))];
        let own = own.into_iter().map(|(rtype, value)| RecordSet::new(&*apex, rtype, 3600, [value]));
        let enabled = own.chain(self.sets.values().cloned()).map(|set| (set, false));
        let disabled = self.disabled.values().cloned().map(|set| (set, true));
        let records = enabled.chain(disabled).flat_map(|(set, is_disabled)| {
            let record = |value: &String| {
                json!({
                    "object_type": "record", "zone": apex, "zone_id": apex, "name": names::fqdn(&set.name),
                    "type": set.rtype, "ttl": set.ttl, "content": written(&set.rtype, value), "disabled": is_disabled,
                })
            };
            set.values.iter().map(record).collect::<Vec<_>>()
        });
        records.collect()
    }

    /// Finds records by name or content. An asterisk matches any text, a question mark any single character.
    fn search(&self, pattern: &str, max: usize) -> HttpResponse {
        let is_match = |text: &Value| {
            let text = text.as_str().expect("a text");
            matches(pattern.as_bytes(), text.strip_suffix('.').unwrap_or(text).as_bytes())
        };
        let mut hits = self.records();
        hits.retain(|hit| self.searches && (is_match(&hit["name"]) || is_match(&hit["content"])));
        hits.truncate(max);
        if self.is_unusual {
            hits.reverse();
            hits.iter_mut().for_each(|hit| hit["name"] = text(&hit["name"]).to_ascii_uppercase().into());
        }
        reply::json(200, &hits)
    }

    /// Adds comments to every listing, whatever name was requested: to their set, or as a set without records. Reverses
    /// all orders and changes the letter case of names.
    fn make_odd(&self, rrsets: &mut Vec<Value>) {
        let comment = json!([{ "account": "operator", "content": "not in use", "modified_at": 1 }]);
        for (label, rtype) in [("commented", "A"), ("mail", "MX"), ("taken", "TXT")] {
            let name = format!("{label}.{}.", self.zone);
            match rrsets.iter_mut().find(|set| set["name"] == *name && set["type"] == rtype) {
                Some(set) => set["comments"] = comment.clone(),
                None => rrsets
                    .push(json!({ "name": name, "type": rtype, "ttl": 0, "records": [], "comments": comment.clone() })),
            }
        }
        rrsets.reverse();
        for set in rrsets {
            set["name"] = text(&set["name"]).to_ascii_uppercase().into();
            set["records"].as_array_mut().into_iter().for_each(|records| records.reverse());
        }
    }

    fn list_zones(&self, only: Option<&str>) -> HttpResponse {
        if let Some(name) = only.filter(|name| name.contains('*')) {
            return reply::error(422, &format!("Name '{name}' contains unsupported characters"));
        }
        let zones = self.zones.iter().chain([&self.zone]).map(|zone| names::fqdn(zone));
        let wanted = |zone: &String| only.is_none_or(|only| !self.filters || *zone == only);
        let zone = |name: String| json!({ "id": name, "name": name, "kind": self.kind });
        reply::json(200, &zones.filter(wanted).map(zone).collect::<Vec<_>>())
    }

    fn patch(&mut self, body: &Value) -> HttpResponse {
        let (mut sets, mut disabled) = (self.sets.clone(), self.disabled.clone());
        let rrsets = body["rrsets"].as_array().cloned().unwrap_or_default();
        for set in &rrsets {
            let (name, rtype) = (text(&set["name"]), text(&set["type"]));
            if !name.ends_with(&format!("{}.", self.zone)) {
                return reply::error(422, &format!("RRset {name} IN {rtype}: Name is out of zone"));
            }
            let key = (names::canonical(&name), rtype.clone());
            // Deleting or replacing a set also deletes its disabled records.
            disabled.remove(&key);
            if set["changetype"] == "DELETE" {
                sets.remove(&key);
                continue;
            }
            let mut values = Vec::new();
            for record in set["records"].as_array().into_iter().flatten() {
                let content = text(&record["content"]);
                match understood(&rtype, &content) {
                    Ok(value) => values.push(value),
                    Err(why) => return reply::error(422, &format!("Record {name}/{rtype} '{content}': {why}")),
                }
            }
            let is_other = |other: &&(String, String)| other.0 == key.0 && other.1 != rtype;
            if sets.keys().filter(is_other).any(|other| rtype == "CNAME" || other.1 == "CNAME") {
                return reply::error(422, &format!("RRset {name} IN {rtype}: Conflicts with pre-existing RRset"));
            }
            let ttl = set["ttl"].as_u64().and_then(|ttl| u32::try_from(ttl).ok()).expect("a replacement has a TTL");
            sets.insert(key, RecordSet::new(names::canonical(&name), rtype, ttl, values));
        }
        (self.sets, self.disabled) = (sets, disabled);
        self.writes += 1;
        reply::status(204)
    }
}

impl Service for FakeServer {
    fn handle(&mut self, request: &Request) -> HttpResponse {
        if request.header("x-api-key") != Some(KEY) {
            return reply::body(401, "text/plain", "Unauthorized");
        }
        let zone = names::fqdn(&self.zone);
        match (request.method, &request.segments()[..]) {
            (Method::Get, ["api", "v1", "servers", "localhost"]) => reply::json(200, &json!({ "type": "Server" })),
            (Method::Get, ["api", "v1", "servers", "localhost", "zones"]) => self.list_zones(request.parameter("zone")),
            (Method::Get, ["api", "v1", "servers", "localhost", "zones", name]) if *name == zone => {
                self.list(request.parameter("rrset_name"))
            }
            (Method::Get, ["api", "v1", "servers", "localhost", "search-data"]) => {
                let max = request.parameter("max").map_or(100, |max| max.parse().expect("a number"));
                self.search(request.parameter("q").expect("a pattern"), max)
            }
            (Method::Patch, ["api", "v1", "servers", "localhost", "zones", name]) if *name == zone => {
                self.patch(&request.json().expect("the plugin writes JSON"))
            }
            _ => reply::error(404, "Not Found"),
        }
    }

    fn seed(&mut self, set: &RecordSet) -> bool {
        self.sets.insert((set.name.clone(), set.rtype.clone()), set.clone());
        true
    }

    fn seed_disabled(&mut self, set: &RecordSet) -> bool {
        self.disabled.insert((set.name.clone(), set.rtype.clone()), set.clone());
        true
    }

    fn disabled(&self) -> Vec<RecordSet> {
        self.disabled.values().cloned().collect()
    }

    fn records(&self) -> Vec<RecordSet> {
        self.sets.values().cloned().collect()
    }

    fn writes(&self) -> u64 {
        self.writes
    }

    fn send_unusual_responses(&mut self) -> bool {
        self.is_unusual = true;
        true
    }

    fn delegate(&mut self, name: &str) -> bool {
        self.zones.push(name.to_owned());
        true
    }
}

/// Matches without regard to case.
fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([], []) => true,
        ([b'*', rest @ ..], _) => matches(rest, text) || (!text.is_empty() && matches(pattern, &text[1..])),
        ([b'?', pattern @ ..], [_, text @ ..]) => matches(pattern, text),
        ([a, pattern @ ..], [b, text @ ..]) => a.eq_ignore_ascii_case(b) && matches(pattern, text),
        ([_, ..], []) | ([], [_, ..]) => false,
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("the plugin writes a text").to_owned()
}

fn written(rtype: &str, value: &str) -> String {
    match rtype {
        "TXT" => txt::quoted(value, Escape::Decimal),
        "CNAME" => names::fqdn(value),
        _ => value.to_owned(),
    }
}

fn understood(rtype: &str, content: &str) -> Result<String, &'static str> {
    match rtype {
        "A" => {
            content.parse::<std::net::Ipv4Addr>().map(|address| address.to_string()).map_err(|_| "unable to parse IP")
        }
        "AAAA" => {
            content.parse::<std::net::Ipv6Addr>().map(|address| address.to_string()).map_err(|_| "unable to parse IP")
        }
        "TXT" if content.starts_with('"') => txt::unquoted(content, Escape::Decimal).map_err(|_| "a quote is open"),
        "TXT" => Err("Data field in DNS should start with quote (\")"),
        "CNAME" if content.ends_with('.') => Ok(names::canonical(content)),
        "CNAME" => Err("Not in expected format (parsed as 'CNAME')"),
        _ => Err("not known here"),
    }
}
