//! An in-memory fake of Route 53 with one hosted zone, following its documentation.

use std::collections::BTreeMap;

use linecamp_provider::http::{HttpResponse, Method};
use linecamp_provider::txt::{self, Escape};
use linecamp_provider::{RecordSet, names};
use linecamp_testkit::{Request, Service, reply};

use crate::xml::{Element, escape};

/// The access key.
pub(crate) const ACCESS_KEY_ID: &str = "AKIDEXAMPLE";
pub(crate) const SECRET_ACCESS_KEY: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";

/// The ID of the hosted zone.
pub(crate) const ZONE_ID: &str = "Z0123456789ABC";

/// The page size limit of the real service.
const PAGE_MAX: usize = 300;

/// An account with one hosted zone, or several of the same name.
#[derive(Debug)]
pub(crate) struct FakeServer {
    zone: String,
    ids: Vec<&'static str>,
    page: usize,
    sets: BTreeMap<(String, String), RecordSet>,
    /// Private zones in addition to the zone.
    private: Vec<&'static str>,
    is_private: bool,
    is_unusual: bool,
    writes: u64,
}

impl FakeServer {
    pub(crate) fn new(zone: &str) -> Self {
        Self {
            zone: zone.to_owned(),
            ids: vec![ZONE_ID],
            page: PAGE_MAX,
            sets: BTreeMap::new(),
            private: Vec::new(),
            is_private: false,
            is_unusual: false,
            writes: 0,
        }
    }

    /// Creates an account with private zones below the zone, which may be private as well.
    pub(crate) fn with_private(zone: &str, is_private: bool, below: &[&'static str]) -> Self {
        Self { private: below.to_vec(), is_private, ..Self::new(zone) }
    }

    /// Creates an account with a public and a private zone of the same name.
    pub(crate) fn twice(zone: &str) -> Self {
        Self { ids: vec![ZONE_ID, "ZPRIVATE"], ..Self::new(zone) }
    }

    fn zones(&self, request: &Request) -> HttpResponse {
        // The list starts at the name and continues with the names that follow it.
        let from = request.parameter("dnsname").map(|name| place(&names::canonical(name))).unwrap_or_default();
        let items: usize = request.parameter("maxitems").map_or(100, |items| items.parse().expect("a number"));
        let own = self.ids.iter().map(|id| (self.zone.as_str(), *id, self.is_private));
        let below = self.private.iter().map(|name| (*name, "ZBELOW", true));
        let mut zones: Vec<_> = own.chain(below).chain([("zzz.zzz", "ZOTHER", false)]).collect();
        zones.sort_by_key(|(name, ..)| place(name));
        zones.retain(|(name, ..)| from <= place(name));
        let next = zones.get(items).map(|(name, id, _)| {
            format!("<NextDNSName>{name}.</NextDNSName><NextHostedZoneId>{id}</NextHostedZoneId>")
        });
        let zone = |(name, id, is_private): &(&str, &str, bool)| {
            format!(
                "<HostedZone><Id>/hostedzone/{id}</Id><Name>{name}.</Name><Config><PrivateZone>{is_private}\
                 </PrivateZone></Config></HostedZone>"
            )
        };
        let (is_cut, next) = (next.is_some(), next.unwrap_or_default());
        let zones: String = zones.iter().take(items).map(zone).collect();
        xml(
            200,
            &format!(
                "<ListHostedZonesByNameResponse><HostedZones>{zones}</HostedZones><IsTruncated>{is_cut}</IsTruncated>\
                 {next}</ListHostedZonesByNameResponse>"
            ),
        )
    }

    fn list(&self, request: &Request) -> HttpResponse {
        let from = request.parameter("name").map(|name| (place(&names::canonical(name)), text(request, "type")));
        let asked: usize = request.parameter("maxitems").map_or(PAGE_MAX, |items| items.parse().expect("a number"));
        let mut sets: Vec<_> = self.sets.values().map(|set| ((place(&set.name), set.rtype.clone()), set)).collect();
        sets.sort_by(|one, other| one.0.cmp(&other.0));
        sets.retain(|(at, _)| from.as_ref().is_none_or(|from| from <= at));
        let page = asked.min(self.page);
        let next = sets.get(page).map(|(_, set)| {
            let (name, rtype) = (octal(&set.name), &set.rtype);
            format!("<NextRecordName>{name}.</NextRecordName><NextRecordType>{rtype}</NextRecordType>")
        });
        let (is_cut, next) = (next.is_some(), next.unwrap_or_default());
        let mut listed: Vec<_> = sets.iter().take(page).map(|(_, set)| (*set).clone()).collect();
        if self.is_unusual {
            make_odd(&mut listed);
        }
        let listed: String = listed.iter().map(record_set).collect();
        xml(
            200,
            &format!(
                "<ListResourceRecordSetsResponse xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
                 <ResourceRecordSets>{listed}</ResourceRecordSets><IsTruncated>{is_cut}</IsTruncated>{next}\
                 <MaxItems>{page}</MaxItems></ListResourceRecordSetsResponse>"
            ),
        )
    }

    fn change(&mut self, body: &[u8]) -> HttpResponse {
        let root = Element::parse(std::str::from_utf8(body).expect("the plugin writes text")).expect("and XML");
        let changes = root.child("ChangeBatch").and_then(|batch| batch.child("Changes")).expect("a batch");
        let mut sets = self.sets.clone();
        for change in changes.all("Change") {
            let set = read(change.child("ResourceRecordSet").expect("a set"));
            let key = (set.name.clone(), set.rtype.clone());
            let what = format!("[name='{}.', type='{}']", octal(&set.name), set.rtype);
            match (change.text_of("Action"), sets.get(&key)) {
                (Some("CREATE"), Some(_)) => {
                    return refused(&format!("Tried to create resource record set {what} but it already exists"));
                }
                (Some("CREATE"), None) => {
                    if let Err(why) = takes(&sets, &set) {
                        return refused(&why);
                    }
                    sets.insert(key, set);
                }
                (Some("DELETE"), None) => {
                    return refused(&format!("Tried to delete resource record set {what} but it was not found"));
                }
                (Some("DELETE"), Some(there)) if !there.equivalent(&set) => {
                    let why = "but the values provided do not match the current values";
                    return refused(&format!("Tried to delete resource record set {what} {why}"));
                }
                (Some("DELETE"), Some(_)) => drop(sets.remove(&key)),
                (action, _) => panic!("the plugin asks for {action:?}"),
            }
        }
        self.sets = sets;
        self.writes += 1;
        xml(
            200,
            "<ChangeResourceRecordSetsResponse><ChangeInfo><Status>PENDING</Status></ChangeInfo></ChangeResourceRecordSetsResponse>",
        )
    }
}

fn takes(sets: &BTreeMap<(String, String), RecordSet>, set: &RecordSet) -> Result<(), String> {
    let is_other = |(name, rtype): &&(String, String)| *name == set.name && *rtype != set.rtype;
    if sets.keys().filter(is_other).any(|(_, rtype)| set.rtype == "CNAME" || rtype == "CNAME") {
        let (rtype, name) = (&set.rtype, octal(&set.name));
        return Err(format!(
            "RRSet of type {rtype} with DNS name {name}. is not permitted as it conflicts with other records with the \
             same DNS name in zone"
        ));
    }
    match set.values.iter().find(|value| set.rtype == "A" && value.parse::<std::net::Ipv4Addr>().is_err()) {
        Some(value) => Err(format!(
            "Invalid Resource Record: FATAL problem: ARRDATAIllegalIPv4Address (Value is not a valid IPv4 address) \
             encountered with '{value}'"
        )),
        None => Ok(()),
    }
}

impl Service for FakeServer {
    fn handle(&mut self, request: &Request) -> HttpResponse {
        let authorization = request.header("authorization").unwrap_or_default();
        if !authorization.contains(&format!("Credential={ACCESS_KEY_ID}/")) {
            return error(403, "InvalidClientTokenId", "The security token included in the request is invalid.");
        }
        let is_ours = |id: &&str| self.ids.contains(id);
        match (request.method, &request.segments()[..]) {
            (Method::Get, ["2013-04-01", "hostedzonesbyname"]) => self.zones(request),
            (Method::Get, ["2013-04-01", "hostedzone", id, "rrset"]) if is_ours(id) => self.list(request),
            (Method::Post, ["2013-04-01", "hostedzone", id, "rrset"]) if is_ours(id) => self.change(&request.body),
            (_, ["2013-04-01", "hostedzone", id, "rrset"]) => {
                error(404, "NoSuchHostedZone", &format!("No hosted zone found with ID: {id}"))
            }
            _ => reply::status(404),
        }
    }

    fn seed(&mut self, set: &RecordSet) -> bool {
        self.sets.insert((set.name.clone(), set.rtype.clone()), set.clone());
        true
    }

    fn records(&self) -> Vec<RecordSet> {
        self.sets.values().cloned().collect()
    }

    fn writes(&self) -> u64 {
        self.writes
    }

    fn set_page_size(&mut self, records: usize) {
        self.page = records;
    }

    fn send_unusual_responses(&mut self) -> bool {
        self.is_unusual = true;
        true
    }

    fn delegate(&mut self, name: &str) -> bool {
        let servers = ["ns-1.awsdns-00.example.", "ns-2.awsdns-00.example."];
        self.seed(&RecordSet::new(name, "NS", 172_800, servers))
    }
}

/// Adds a set without values, and changes the letter case of all names and the order of all values.
fn make_odd(sets: &mut Vec<RecordSet>) {
    if let Some(first) = sets.first().cloned() {
        sets.insert(1, RecordSet { rtype: "SPF".to_owned(), values: Vec::new(), ..first });
    }
    for set in sets {
        set.name.make_ascii_uppercase();
        set.values.reverse();
    }
}

/// The sort key of a name in a listing: its labels from last to first, each followed by a dot.
fn place(name: &str) -> String {
    name.rsplit('.').map(|label| format!("{label}.")).collect()
}

fn octal(name: &str) -> String {
    name.replace('*', "\\052")
}

fn text(request: &Request, parameter: &str) -> String {
    request.parameter(parameter).unwrap_or_default().to_owned()
}

fn record_set(set: &RecordSet) -> String {
    let value = |value: &String| match set.rtype.as_str() {
        "TXT" => txt::quoted(value, Escape::Octal),
        "CNAME" => names::fqdn(value),
        _ => value.clone(),
    };
    let record = |value: String| format!("<ResourceRecord><Value>{}</Value></ResourceRecord>", escape(&value));
    let records: String = set.values.iter().map(value).map(record).collect();
    let (name, rtype, ttl) = (octal(&set.name), &set.rtype, set.ttl);
    format!(
        "<ResourceRecordSet><Name>{name}.</Name><Type>{rtype}</Type><TTL>{ttl}</TTL><ResourceRecords>{records}\
         </ResourceRecords></ResourceRecordSet>"
    )
}

fn read(element: &Element) -> RecordSet {
    let word = |name| element.text_of(name).unwrap_or_else(|| panic!("a set without {name}"));
    let records = element.child("ResourceRecords").into_iter().flat_map(|records| records.all("ResourceRecord"));
    let values = records.map(|record| record.text_of("Value").expect("a value")).map(|value| match word("Type") {
        "TXT" => txt::unquoted(value, Escape::Octal).expect("a quoted value"),
        "CNAME" => names::canonical(value),
        _ => value.to_owned(),
    });
    let name = names::canonical(&word("Name").replace("\\052", "*"));
    RecordSet::new(name, word("Type"), word("TTL").parse().expect("seconds"), values)
}

fn refused(message: &str) -> HttpResponse {
    error(400, "InvalidChangeBatch", &format!("[{message}]"))
}

fn error(status: u16, code: &str, message: &str) -> HttpResponse {
    let (code, message) = (escape(code), escape(message));
    xml(
        status,
        &format!(
            "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
        ),
    )
}

fn xml(status: u16, body: &str) -> HttpResponse {
    reply::body(status, "text/xml", format!("<?xml version=\"1.0\"?>\n{body}"))
}
