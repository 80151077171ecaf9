//! An in-memory fake of a name server with dynamic updates and one zone, following RFC 1034, 2136 and 4592.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr as _;

use domain::base::iana::{Class, Opcode, Rcode};
use domain::base::rdata::UnknownRecordData;
use domain::base::record::ParsedRecord;
use domain::base::{Message, MessageBuilder, Name, Rtype, Ttl};
use linecamp_provider::{RecordSet, names, txt};
use linecamp_testkit::{DnsRequest, Service};

/// The TSIG key's name and its secret.
pub(crate) const KEY: &str = "linecamp";
pub(crate) const SECRET: &str = "c2VjcmV0IG9mIHRoZSBtb2RlbA==";

/// The values of a record set in wire format, and their TTL.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Data {
    ttl: u32,
    values: BTreeSet<Vec<u8>>,
}

type Zone = BTreeMap<(String, Rtype), Data>;

/// A server with one zone.
#[derive(Debug)]
pub(crate) struct FakeServer {
    zone: String,
    sets: Zone,
    /// Empty zones below.
    zones: Vec<String>,
    is_unusual: bool,
    writes: u64,
}

impl FakeServer {
    pub(crate) fn new(zone: &str) -> Self {
        let mut server =
            Self { zone: zone.to_owned(), sets: Zone::new(), zones: Vec::new(), is_unusual: false, writes: 0 };
        server.sets.insert((zone.to_owned(), Rtype::SOA), soa());
        server
    }

    /// Adds a record set of any type.
    pub(crate) fn hold(&mut self, set: &RecordSet) {
        let values = set.values.iter().map(|value| wire(&set.rtype, value)).collect();
        self.sets.insert((set.name.clone(), rtype(&set.rtype)), Data { ttl: set.ttl, values });
    }

    /// Adds a TXT record of these character-strings.
    pub(crate) fn hold_strings(&mut self, name: &str, strings: &[&str]) {
        let string = |text: &&str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
        let value = strings.iter().flat_map(string).collect();
        self.sets.insert((name.to_owned(), Rtype::TXT), Data { ttl: 300, values: BTreeSet::from([value]) });
    }

    fn exists(&self, name: &str) -> bool {
        let below = format!(".{name}");
        self.sets.keys().any(|(owner, _)| owner == name || owner.ends_with(&below))
    }

    fn owns(&self, name: &str) -> bool {
        self.sets.keys().any(|(owner, _)| owner == name)
    }

    /// Returns the name whose records response for `name`: itself, or a wildcard (RFC 4592, 3.3.1).
    fn source(&self, name: &str) -> Option<String> {
        if self.exists(name) {
            return Some(name.to_owned());
        }
        let mut above = name;
        while let Some((_, parent)) = above.split_once('.') {
            if self.exists(parent) {
                return Some(format!("*.{parent}")).filter(|wildcard| self.owns(wildcard));
            }
            above = parent;
        }
        None
    }

    fn query(&self, message: &Message<Vec<u8>>) -> Vec<u8> {
        let question = message.sole_question().expect("one question");
        let name = names::canonical(&question.qname().to_string());
        if let Some(below) = self.zones.iter().find(|below| names::is_within(&name, below)) {
            let rcode = if *below == name { Rcode::NOERROR } else { Rcode::NXDOMAIN };
            return reply(message, rcode, &[], &[(below.clone(), Rtype::SOA, soa())]);
        }
        let above: Vec<_> = names::zone_cut_candidates(&name, &self.zone).collect();
        let set_at = |name: &str, rtype| self.sets.get(&(name.to_owned(), rtype)).cloned();
        for owner in above.iter().rev() {
            if let Some(servers) = set_at(owner, Rtype::NS) {
                let mut referral = reply(message, Rcode::NOERROR, &[], &[((*owner).to_owned(), Rtype::NS, servers)]);
                // A referral is not authoritative.
                referral[2] &= !0x04;
                return referral;
            }
            if let Some(target) = set_at(owner, Rtype::DNAME).filter(|_| **owner != name) {
                let rdata = BTreeSet::from([wire("CNAME", &format!("{}.elsewhere.example", &name[..1]))]);
                let alias = (name.clone(), Rtype::CNAME, Data { ttl: 300, values: rdata });
                return reply(message, Rcode::NOERROR, &[((*owner).to_owned(), Rtype::DNAME, target), alias], &[]);
            }
        }
        self.response(message, &name, question.qtype())
    }

    /// Answers for a name that is served from the zone.
    fn response(&self, message: &Message<Vec<u8>>, name: &str, asked: Rtype) -> Vec<u8> {
        let is_ours = names::is_within(name, &self.zone);
        let source = self.source(name).filter(|_| is_ours);
        let rcode = match (is_ours, &source) {
            (false, _) => Rcode::REFUSED,
            (true, None) => Rcode::NXDOMAIN,
            (true, Some(_)) => Rcode::NOERROR,
        };
        let mut sets = Vec::new();
        for rtype in [asked, Rtype::CNAME].into_iter().collect::<BTreeSet<_>>() {
            let there = source.as_ref().and_then(|source| self.sets.get(&(source.clone(), rtype)));
            sets.extend(there.map(|data| (name.to_owned(), rtype, data.clone())));
        }
        let mut authority = Vec::new();
        // A negative response names the zone in its SOA record.
        if is_ours && !sets.iter().any(|(_, rtype, _)| *rtype == asked) {
            authority.push((self.zone.clone(), Rtype::SOA, soa()));
        }
        if self.is_unusual {
            self.make_odd(&mut sets, &mut authority);
        }
        reply(message, rcode, &sets, &authority)
    }

    /// Adds the records of an alias target or the zone's NS records, reverses the order, and changes the letter case of
    /// owner names.
    fn make_odd(&self, sets: &mut Vec<Owned>, authority: &mut Vec<Owned>) {
        let foreign = (format!("foreign.{}", self.zone), Rtype::A);
        if sets.iter().any(|(_, rtype, _)| *rtype == Rtype::CNAME) {
            sets.extend(self.sets.get(&foreign).map(|data| (foreign.0.clone(), foreign.1, data.clone())));
        } else if !sets.is_empty() {
            let values = BTreeSet::from([wire("CNAME", "ns1.elsewhere.example")]);
            authority.push((self.zone.clone(), Rtype::NS, Data { ttl: 300, values }));
        }
        sets.reverse();
        for (owner, ..) in sets.iter_mut().chain(authority) {
            owner.make_ascii_uppercase();
        }
    }

    fn update(&mut self, message: &Message<Vec<u8>>) -> Vec<u8> {
        let zone = message.sole_question().expect("one zone");
        let rcode = if names::canonical(&zone.qname().to_string()) == self.zone {
            self.change(message)
        } else {
            Rcode::NOTAUTH
        };
        MessageBuilder::new_vec().start_answer(message, rcode).expect("there is room").finish()
    }

    fn change(&mut self, message: &Message<Vec<u8>>) -> Rcode {
        let mut exact = Zone::new();
        for record in message.prerequisite().expect("a section") {
            let (name, class, rtype, _, rdata) = taken_apart(&record.expect("a record"));
            let there = self.sets.get(&(name.clone(), rtype));
            match (class, rtype) {
                (Class::ANY, Rtype::ANY) if !self.owns(&name) => return Rcode::NXDOMAIN,
                (Class::NONE, Rtype::ANY) if self.owns(&name) => return Rcode::YXDOMAIN,
                (Class::ANY, rtype) if rtype != Rtype::ANY && there.is_none() => return Rcode::NXRRSET,
                (Class::NONE, rtype) if rtype != Rtype::ANY && there.is_some() => return Rcode::YXRRSET,
                (Class::IN, _) => {
                    let new = || Data { ttl: 0, values: BTreeSet::new() };
                    exact.entry((name, rtype)).or_insert_with(new).values.insert(rdata);
                }
                _ => {}
            }
        }
        let holds = |(key, data): (_, &Data)| self.sets.get(key).is_some_and(|there| there.values == data.values);
        if !exact.iter().all(holds) {
            return Rcode::NXRRSET;
        }
        let before = self.sets.clone();
        for record in message.update().expect("a section") {
            let record = taken_apart(&record.expect("a record"));
            if !names::is_within(&record.0, &self.zone) {
                self.sets = before;
                return Rcode::NOTZONE;
            }
            self.change_one(record);
        }
        self.writes += u64::from(self.sets != before);
        Rcode::NOERROR
    }

    fn change_one(&mut self, (name, class, rtype, ttl, rdata): UpdateRecord) {
        let key = (name, rtype);
        match (class, rtype) {
            (Class::ANY, Rtype::ANY) => self.sets.retain(|(owner, _), _| *owner != key.0),
            (Class::ANY, _) => drop(self.sets.remove(&key)),
            (Class::NONE, _) => {
                let is_empty = self.sets.get_mut(&key).is_some_and(|data| {
                    data.values.remove(&rdata);
                    data.values.is_empty()
                });
                if is_empty {
                    self.sets.remove(&key);
                }
            }
            _ => {
                // Silently ignored (RFC 2136, 3.4.2.2).
                let others = self.sets.keys().filter(|(owner, other)| *owner == key.0 && *other != rtype);
                if others.into_iter().any(|(_, other)| rtype == Rtype::CNAME || *other == Rtype::CNAME) {
                    return;
                }
                let data = self.sets.entry(key).or_insert_with(|| Data { ttl, values: BTreeSet::new() });
                data.ttl = ttl;
                data.values.insert(rdata);
            }
        }
    }
}

/// A record set with its owner and type.
type Owned = (String, Rtype, Data);

/// The SOA record of a zone.
fn soa() -> Data {
    Data { ttl: 3600, values: BTreeSet::from([vec![0; 22]]) }
}

/// Builds an authoritative response.
fn reply(message: &Message<Vec<u8>>, rcode: Rcode, sets: &[Owned], authority: &[Owned]) -> Vec<u8> {
    let mut builder = MessageBuilder::new_vec().start_answer(message, rcode).expect("there is room");
    builder.header_mut().set_aa(rcode != Rcode::REFUSED);
    let records = |sets: &[Owned]| -> Vec<_> {
        let record = |(owner, rtype, data): &Owned| {
            let owner = Name::<Vec<u8>>::from_str(owner).expect("a name");
            let (rtype, ttl) = (*rtype, Ttl::from_secs(data.ttl));
            let rdata =
                move |value: &Vec<u8>| UnknownRecordData::from_octets(rtype, value.clone()).expect("it is short");
            data.values.iter().map(move |value| (owner.clone(), Class::IN, ttl, rdata(value))).collect::<Vec<_>>()
        };
        sets.iter().flat_map(record).collect()
    };
    for record in records(sets) {
        builder.push(record).expect("there is room");
    }
    let mut builder = builder.authority();
    for record in records(authority) {
        builder.push(record).expect("there is room");
    }
    builder.finish()
}

type UpdateRecord = (String, Class, Rtype, u32, Vec<u8>);

fn taken_apart(record: &ParsedRecord<'_, Vec<u8>>) -> UpdateRecord {
    let rdata = record.to_record::<UnknownRecordData<_>>().expect("a record").expect("of any type");
    let name = names::canonical(&record.owner().to_string());
    (name, record.class(), record.rtype(), record.ttl().as_secs(), rdata.data().data().to_vec())
}

impl Service for FakeServer {
    fn handle_dns(&mut self, request: &DnsRequest) -> Vec<u8> {
        let message = Message::from_octets(request.message.clone()).expect("the plugin sends a message");
        let is_signed = request.sign.as_ref().is_some_and(|sign| sign.key_name == KEY);
        match message.header().opcode() {
            Opcode::UPDATE if is_signed => self.update(&message),
            Opcode::UPDATE => {
                MessageBuilder::new_vec().start_answer(&message, Rcode::REFUSED).expect("there is room").finish()
            }
            _ => self.query(&message),
        }
    }

    /// Adds only sets of the four types that can be queried: of other types the plugin learns only that a name is in
    /// use.
    fn seed(&mut self, set: &RecordSet) -> bool {
        let is_seen = ["A", "AAAA", "CNAME", "TXT"].contains(&&*set.rtype);
        if is_seen {
            self.hold(set);
        }
        is_seen
    }

    fn records(&self) -> Vec<RecordSet> {
        let is_planted = |((_, rtype), _): &(&(String, Rtype), &Data)| *rtype != Rtype::SOA;
        let set = |((name, rtype), data): (&(String, Rtype), &Data)| {
            let values = data.values.iter().map(|value| text(*rtype, value));
            RecordSet::new(name, rtype.to_string(), data.ttl, values)
        };
        self.sets.iter().filter(is_planted).map(set).collect()
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

fn rtype(word: &str) -> Rtype {
    Rtype::from_str(word).expect("a type")
}

/// Encodes a value. Types that the plugin does not know are stored as their text.
fn wire(rtype: &str, value: &str) -> Vec<u8> {
    match rtype {
        "A" => value.parse::<Ipv4Addr>().expect("an address").octets().to_vec(),
        "AAAA" => value.parse::<Ipv6Addr>().expect("an address").octets().to_vec(),
        "CNAME" | "NS" | "DNAME" => Name::<Vec<u8>>::from_str(value).expect("a name").as_slice().to_vec(),
        "TXT" => {
            let strings = txt::to_strings(value);
            strings
                .iter()
                .flat_map(|string| [&[u8::try_from(string.len()).unwrap()], string.as_slice()].concat())
                .collect()
        }
        _ => value.as_bytes().to_vec(),
    }
}

fn text(rtype: Rtype, rdata: &[u8]) -> String {
    match rtype {
        Rtype::A => Ipv4Addr::from(<[u8; 4]>::try_from(rdata).unwrap()).to_string(),
        Rtype::AAAA => Ipv6Addr::from(<[u8; 16]>::try_from(rdata).unwrap()).to_string(),
        Rtype::CNAME => Name::from_octets(rdata).expect("a name").to_string(),
        Rtype::TXT => {
            let (mut rest, mut strings) = (rdata, Vec::new());
            while let [length, tail @ ..] = rest {
                let (string, tail) = tail.split_at(usize::from(*length));
                strings.push(string);
                rest = tail;
            }
            txt::from_strings(&strings)
        }
        _ => String::from_utf8_lossy(rdata).into_owned(),
    }
}
