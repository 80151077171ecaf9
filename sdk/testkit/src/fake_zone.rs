//! The fake of the small zone API: a zone in memory, with an atomic compare-and-swap of changes.
//!
//! ```text
//! GET  /zones                               200 {"zones": ["example.org"]}
//! GET  /zones/{zone}/records?name=&page=    200 {"records": [{"name","type","ttl","values"}], "next": 2 or null,
//!                                                "delegated": [{"name", "zone"}]}
//! POST /zones/{zone}/changes                204, or 409 {"name": "…", "found": "…"} and nothing done,
//!      {"key": "…", "changes": [{"before": record or null, "after": record or null}]}
//!                                           or 421 {"name": "…", "zone": "…"} and nothing done
//! ```
//!
//! `name` may be repeated; without it, all records are listed. All requests need a bearer token. Errors are `{"error":
//! "…"}`: 400 for a malformed request, 401 without the token, 404 for another zone, 422 for an invalid record. A
//! requested name in a child zone is listed with that zone in `delegated`, and a change that adds records
//! there gets a 421; records that the zone contains there from before can be deleted.
//!
//! A response may contain more than was requested: other record sets, and sets without values, which count as absent. A
//! set that is currently not served has `"disabled": true`; it exists, and changes are compared with it as with any
//! other.

use std::collections::{BTreeMap, BTreeSet};

use linecamp_provider::http::{HttpResponse, Method};
use linecamp_provider::{Change, RecordSet, names, remaining_changes};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fake_service::{Request, Service, reply};

/// Records per page, unless a smaller page size is set.
const PAGE_RECORDS: usize = 100;

/// Maximum number of record sets in a zone. More are refused, so that a looping test does not exhaust memory.
const RECORDS_MAX: usize = 100_000;

/// A zone in memory, with its API.
#[derive(Debug)]
pub struct ZoneService {
    zone: String,
    token: String,
    records: BTreeMap<(String, String), RecordSet>,
    /// The keys of records that are not served.
    disabled: BTreeSet<(String, String)>,
    writes: u64,
    page: usize,
    is_unusual: bool,
    /// Delegated zones below this one.
    delegated: Vec<String>,
}

#[derive(Deserialize)]
struct ChangeRequest {
    changes: Vec<Change>,
}

impl ZoneService {
    /// Makes an empty zone that accepts this token.
    pub fn new(zone: &str, token: &str) -> Self {
        let (zone, token) = (zone.to_owned(), token.to_owned());
        let (is_unusual, delegated, disabled) = (false, Vec::new(), BTreeSet::new());
        Self { zone, token, records: BTreeMap::new(), disabled, writes: 0, page: PAGE_RECORDS, is_unusual, delegated }
    }

    /// Returns the record set of this name and type.
    pub fn record(&self, name: &str, rtype: &str) -> Option<&RecordSet> {
        self.records.get(&(name.to_owned(), rtype.to_owned()))
    }

    fn list(&self, request: &Request) -> HttpResponse {
        let names: Vec<_> = request.parameters("name").collect();
        let Ok(page) = request.parameter("page").unwrap_or("1").parse::<usize>() else {
            return reply::error(400, "`page` is a number");
        };
        let delegated: Vec<_> = names.iter().filter_map(|name| self.delegated(name)).collect();
        let is_here = |set: &RecordSet| self.delegated(&set.name).is_none();
        let wanted = |set: &&RecordSet| names.is_empty() || (names.contains(&&*set.name) && is_here(set));
        let skipped = page.saturating_sub(1).saturating_mul(self.page);
        let mut sets = self.records.values().filter(wanted).skip(skipped);
        let mut records: Vec<_> = sets.by_ref().take(self.page).cloned().collect();
        let next = sets.next().map(|_| page + 1);
        if self.is_unusual {
            self.make_unusual(&mut records);
        }
        let records: Vec<_> = records.iter().map(|set| self.shown(set)).collect();
        reply::json(200, &json!({ "records": records, "next": next, "delegated": delegated }))
    }

    fn shown(&self, set: &RecordSet) -> Value {
        let mut shown = serde_json::to_value(set).expect("a record set is JSON");
        if self.disabled.contains(&key(&set.canonical())) {
            shown["disabled"] = true.into();
        }
        shown
    }

    /// Returns the child zone that contains a name, if any.
    fn delegated(&self, name: &str) -> Option<Value> {
        let below = self.delegated.iter().find(|below| names::is_within(name, below))?;
        Some(json!({ "name": name, "zone": below }))
    }

    /// Adds a set that was not requested and one without values, and changes the case of names and the order.
    fn make_unusual(&self, records: &mut Vec<RecordSet>) {
        let unasked = self.records.values().find(|set| !records.iter().any(|asked| asked.name == set.name));
        records.extend(unasked.cloned());
        records.push(RecordSet::new(format!("commented.{}", self.zone), "A", 0, [""; 0]));
        records.reverse();
        for set in records {
            set.name = names::fqdn(&set.name.to_ascii_uppercase());
            set.values.reverse();
        }
    }

    fn change(&mut self, request: &Request) -> HttpResponse {
        let Some(ChangeRequest { changes }) = request.json::<ChangeRequest>() else {
            return reply::error(400, "the body is not `{\"key\", \"changes\"}`");
        };
        if let Some(refusal) = changes.iter().find_map(|change| self.refusal(change)) {
            return reply::error(422, &refusal);
        }
        let adding = changes.iter().filter(|change| !change.only_removes());
        if let Some(delegated) = adding.into_iter().find_map(|change| self.delegated(change.name())) {
            return reply::json(421, &delegated);
        }
        let found: Vec<_> = self.records.values().cloned().collect();
        let left = match remaining_changes(&changes, &found) {
            Ok(left) => left,
            Err(error) => {
                let (name, found) = match &error {
                    linecamp_provider::ProviderError::Conflict { name, found } => (name.as_str(), found.as_str()),
                    other => ("", other.reason()),
                };
                return reply::json(409, &json!({ "name": name, "found": found }));
            }
        };
        for change in &left {
            self.writes += 1;
            match (&change.before, &change.after) {
                (_, Some(after)) => drop(self.keep(after)),
                (Some(before), None) => {
                    self.records.remove(&key(&before.canonical()));
                    self.disabled.remove(&key(&before.canonical()));
                }
                (None, None) => {}
            }
        }
        reply::status(204)
    }

    /// Returns why a change is invalid, if it is.
    fn refusal(&self, change: &Change) -> Option<String> {
        let is_ours = |set: &RecordSet| set.name == self.zone || set.name.ends_with(&format!(".{}", self.zone));
        let sets = || change.before.iter().chain(&change.after);
        if let Some(set) = sets().find(|set| !is_ours(set)) {
            return Some(format!("{} is not in {}", set.name, self.zone));
        }
        if sets().any(|set| set.values.is_empty()) {
            return Some("a record set without values".to_owned());
        }
        (RECORDS_MAX <= self.records.len()).then(|| format!("the zone has {RECORDS_MAX} record sets"))
    }

    fn keep(&mut self, set: &RecordSet) -> Option<RecordSet> {
        let set = set.canonical();
        self.disabled.remove(&key(&set));
        self.records.insert(key(&set), set)
    }
}

fn key(set: &RecordSet) -> (String, String) {
    (set.name.clone(), set.rtype.clone())
}

impl Service for ZoneService {
    fn handle(&mut self, request: &Request) -> HttpResponse {
        if !request.bears(&self.token) {
            return reply::error(401, "invalid token");
        }
        match (request.method, &request.segments()[..]) {
            (Method::Get, ["zones"]) => reply::json(200, &json!({ "zones": [self.zone] })),
            (_, ["zones", zone, ..]) if *zone != self.zone => reply::error(404, &format!("no zone {zone}")),
            (Method::Get, ["zones", _, "records"]) => self.list(request),
            (Method::Post, ["zones", _, "changes"]) => self.change(request),
            _ => reply::error(404, "no such resource"),
        }
    }

    fn seed(&mut self, set: &RecordSet) -> bool {
        self.keep(set);
        true
    }

    fn seed_disabled(&mut self, set: &RecordSet) -> bool {
        self.keep(set);
        self.disabled.insert(key(&set.canonical()))
    }

    fn records(&self) -> Vec<RecordSet> {
        let served = self.records.iter().filter(|(key, _)| !self.disabled.contains(*key));
        served.map(|(_, set)| set.clone()).collect()
    }

    fn disabled(&self) -> Vec<RecordSet> {
        self.disabled.iter().filter_map(|key| self.records.get(key)).cloned().collect()
    }

    fn writes(&self) -> u64 {
        self.writes
    }

    fn set_page_size(&mut self, records: usize) {
        self.page = records.max(1);
    }

    fn send_unusual_responses(&mut self) -> bool {
        self.is_unusual = true;
        true
    }

    fn delegate(&mut self, name: &str) -> bool {
        self.delegated.push(name.to_owned());
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(service: &mut ZoneService, method: Method, path: &str, body: &str) -> (u16, Value) {
        let headers = vec![("authorization".to_owned(), "Bearer t".to_owned())];
        let url = format!("http://zone.test{path}");
        let response = service.handle(&Request::new(method, &url, headers, body.as_bytes().to_vec()));
        (response.status, serde_json::from_slice(&response.body).unwrap_or_default())
    }

    const CREATE: &str = r#"{"key": "k", "changes": [
        {"before": null, "after": {"name": "a.x", "type": "A", "ttl": 60, "values": ["192.0.2.1"]}}]}"#;

    #[test]
    fn a_change_is_a_compare_and_swap() {
        let mut service = ZoneService::new("x", "t");
        assert_eq!(call(&mut service, Method::Post, "/zones/x/changes", CREATE).0, 204);
        assert_eq!(call(&mut service, Method::Post, "/zones/x/changes", CREATE).0, 204);
        assert_eq!((service.writes(), service.records().len()), (1, 1), "done once");
        let other = CREATE.replace("192.0.2.1", "192.0.2.2");
        let (status, obstacle) = call(&mut service, Method::Post, "/zones/x/changes", &other);
        assert_eq!((status, &obstacle["name"]), (409, &json!("a.x")));
        assert_eq!(service.writes(), 1);
    }

    #[test]
    fn a_list_is_paginated() {
        let mut service = ZoneService::new("x", "t");
        service.set_page_size(2);
        for host in ["a", "b", "c"] {
            service.seed(&RecordSet::new(format!("{host}.x"), "A", 60, ["192.0.2.1"]));
        }
        let (_, first) = call(&mut service, Method::Get, "/zones/x/records", "");
        assert_eq!((first["records"].as_array().unwrap().len(), &first["next"]), (2, &json!(2)));
        let (_, last) = call(&mut service, Method::Get, "/zones/x/records?page=2", "");
        assert_eq!((&last["records"][0]["name"], &last["next"]), (&json!("c.x"), &Value::Null));
        let (_, one) = call(&mut service, Method::Get, "/zones/x/records?name=b.x", "");
        assert_eq!(one["records"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn an_unusual_response_has_unrequested_sets_and_sets_without_values() {
        let mut service = ZoneService::new("x", "t");
        service.send_unusual_responses();
        for host in ["a", "b"] {
            service.seed(&RecordSet::new(format!("{host}.x"), "A", 60, ["192.0.2.1", "192.0.2.2"]));
        }
        let (_, listed) = call(&mut service, Method::Get, "/zones/x/records?name=b.x", "");
        let names: Vec<_> = listed["records"].as_array().unwrap().iter().map(|set| set["name"].clone()).collect();
        assert_eq!(names, ["COMMENTED.X.", "A.X.", "B.X."]);
        assert_eq!(listed["records"][0]["values"], json!([]));
    }

    #[test]
    fn a_name_in_a_child_zone_is_reported_and_can_only_be_deleted() {
        let mut service = ZoneService::new("x", "t");
        call(&mut service, Method::Post, "/zones/x/changes", CREATE);
        service.delegate("a.x");
        let delegated = json!({ "name": "a.x", "zone": "a.x" });
        let (_, listed) = call(&mut service, Method::Get, "/zones/x/records?name=b.x&name=a.x", "");
        assert_eq!(listed, json!({ "records": [], "next": null, "delegated": [delegated] }));
        assert_eq!(call(&mut service, Method::Post, "/zones/x/changes", CREATE), (421, delegated));
        let delete = CREATE.replace("before", "other").replace("after", "before").replace("other", "after");
        assert_eq!(call(&mut service, Method::Post, "/zones/x/changes", &delete).0, 204);
        assert!(service.records().is_empty());
    }

    #[test]
    fn invalid_requests_are_rejected() {
        let mut service = ZoneService::new("x", "t");
        let headers = vec![("authorization".to_owned(), "Bearer u".to_owned())];
        assert_eq!(service.handle(&Request::new(Method::Get, "http://z/zones", headers, Vec::new())).status, 401);
        assert_eq!(call(&mut service, Method::Get, "/zones/y/records", "").0, 404);
        assert_eq!(call(&mut service, Method::Post, "/zones/x/changes", "{").0, 400);
        assert_eq!(call(&mut service, Method::Post, "/zones/x/changes", &CREATE.replace("a.x", "a.y")).0, 422);
    }
}
