//! The desired records of a zone: computed from a provider's settings and the site's hosts.

use std::collections::BTreeMap;
use std::net::IpAddr;

use linecamp_model::limits::RECORDS_PER_PROVIDER_MAX;
use linecamp_model::{
    DnsSettings, DomainName, EffectiveLabels, ExtraRecord, Name, Place, RecordKey, RecordSet, RecordType, Target, Text,
    service_address_problem,
};

/// The labels with the address for DNS; Linecamp's own takes precedence over the one of hosts migrated from Rancher.
/// Several addresses are separated by commas.
const ADDRESS_LABELS: [&str; 2] = ["io.linecamp.host.external_dns_ip", "io.rancher.host.external_dns_ip"];

/// The label that excludes a host with the value `false`.
const SWITCH_LABEL: &str = "io.linecamp.host.external_dns";

/// The label under which a host reports its own addresses, separated by commas.
pub const OWN_ADDRESS_LABEL: &str = "io.linecamp.host.address";

/// A host as input of the DNS computation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HostInput {
    pub(crate) name: Name,
    pub(crate) target: Target,
    pub(crate) labels: EffectiveLabels,
    /// The address the server observes; gateways only.
    pub(crate) observed: Option<IpAddr>,
}

/// The location of the hosts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Location<'a> {
    pub(crate) site: &'a Name,
    pub(crate) environment: &'a Name,
    pub(crate) zone: &'a DomainName,
}

/// The desired records of a zone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DesiredRecords {
    pub(crate) sets: BTreeMap<RecordKey, RecordSet>,
    /// Record sets that are neither written nor deleted, and why.
    pub(crate) rejected: BTreeMap<RecordKey, Text>,
    /// Records for which no valid name could be built, and why.
    pub(crate) nameless: Vec<Text>,
}

/// Returns the desired records of `at.zone` for `hosts`.
pub(crate) fn desired_records(spec: &DnsSettings, at: Location<'_>, hosts: &[HostInput]) -> DesiredRecords {
    let mut desired = DesiredRecords::default();
    for host in hosts.iter().filter(|host| is_selected(spec, host)) {
        let place = Place { host: &host.name, site: at.site, environment: at.environment };
        match spec.template.name(place, at.zone) {
            Ok(name) => desired.add_addresses(spec, host, &name),
            Err(error) => desired.nameless.push(nameless(host, &spec.template.to_string(), &error)),
        }
        for extra in &spec.extra {
            desired.add_extra(spec, extra, at, place, host);
        }
    }
    desired.enforce_limits();
    desired
}

fn is_selected(spec: &DnsSettings, host: &HostInput) -> bool {
    let is_serving = match host.target {
        Target::Active => true,
        Target::Inactive => !spec.withdraw_inactive,
        Target::Pending | Target::Removed => false,
    };
    let is_switched_off = label(host, SWITCH_LABEL).is_some_and(|value| value.eq_ignore_ascii_case("false"));
    is_serving && !is_switched_off && spec.hosts.matches(&host.labels)
}

fn label<'a>(host: &'a HostInput, key: &str) -> Option<&'a str> {
    host.labels.iter().find(|(held, _)| held.as_str() == key).map(|(_, label)| label.value.as_str())
}

fn nameless(host: &HostInput, template: &str, error: &linecamp_model::DomainNameError) -> Text {
    Text::lossy(&format!("host {}: the template {template} gives an invalid name: {error}", host.name))
}

/// Returns the addresses of a host: from its label; otherwise, for a gateway with `observed_address` enabled, the
/// address the server observes; otherwise its own. All are service addresses.
fn addresses(spec: &DnsSettings, host: &HostInput) -> Result<Vec<IpAddr>, String> {
    if let Some((key, value)) = ADDRESS_LABELS.iter().find_map(|key| Some((key, label(host, key)?))) {
        return parse_addresses(value)
            .map_err(|problem| format!("label {key} is {problem}: correct or remove the label"));
    }
    let is_service = |address: &IpAddr| service_address_problem(*address).is_none();
    let seen = host.observed.filter(|_| spec.observed_address);
    let observed = seen.filter(is_service).map(|address| vec![address]);
    let own = || {
        let reported = label(host, OWN_ADDRESS_LABEL)?.split(',').filter_map(|part| part.trim().parse().ok());
        Some(reported.filter(is_service).collect()).filter(|addresses: &Vec<_>| !addresses.is_empty())
    };
    observed.or_else(own).ok_or_else(|| {
        let unusable = seen.and_then(|address| Some((address, service_address_problem(address)?)));
        let hint = match unusable {
            Some((address, problem)) => format!("; the server sees {address}, which {problem}"),
            None if spec.observed_address => "; the server has not seen one yet".to_owned(),
            None => String::new(),
        };
        format!("no address is known{hint}: set label {}", ADDRESS_LABELS[0])
    })
}

/// Parses the addresses in a label. The error is what the label is instead.
fn parse_addresses(text: &str) -> Result<Vec<IpAddr>, String> {
    let parse = |part: &str| {
        let part = part.trim();
        let address = part.parse().map_err(|_| format!("`{}`, not an IP address", text.escape_debug()))?;
        match service_address_problem(address) {
            Some(problem) => Err(format!("`{part}`, which {problem}")),
            None => Ok(address),
        }
    };
    text.split(',').map(parse).collect()
}

impl DesiredRecords {
    fn add_addresses(&mut self, spec: &DnsSettings, host: &HostInput, name: &DomainName) {
        let key = |rtype| RecordKey { name: name.clone(), rtype };
        match addresses(spec, host) {
            Ok(addresses) => {
                for address in addresses {
                    let rtype = if address.is_ipv4() { RecordType::A } else { RecordType::Aaaa };
                    self.add(RecordSet::parse(key(rtype.clone()), spec.ttl, &[&address.to_string()]), key(rtype));
                }
            }
            Err(reason) => {
                for rtype in [RecordType::A, RecordType::Aaaa] {
                    let reason = Text::lossy(&format!("host {}: {reason}", host.name));
                    self.rejected.insert(key(rtype), reason);
                }
            }
        }
    }

    fn add_extra(
        &mut self,
        spec: &DnsSettings,
        extra: &ExtraRecord,
        at: Location<'_>,
        place: Place<'_>,
        host: &HostInput,
    ) {
        let name = match extra.template.name(place, at.zone) {
            Ok(name) => name,
            Err(error) => return self.nameless.push(nameless(host, extra.template.as_str(), &error)),
        };
        let fill = |value: &Text| {
            let value = value.as_str().replace("{zone}", at.zone.as_str()).replace("{host}", place.host.as_str());
            value.replace("{site}", place.site.as_str()).replace("{environment}", place.environment.as_str())
        };
        let values: Vec<_> = extra.values.iter().map(fill).collect();
        let values: Vec<_> = values.iter().map(String::as_str).collect();
        let key = RecordKey { name, rtype: extra.rtype.clone() };
        self.add(RecordSet::parse(key.clone(), spec.ttl, &values), key);
    }

    /// Adds a record set. Hosts that share a name share the record set, which has the values of all of them.
    fn add(&mut self, set: Result<RecordSet, linecamp_model::RecordError>, key: RecordKey) {
        let joined = set.and_then(|set| match self.sets.get(&set.key) {
            Some(other) => {
                let values: Vec<_> = other.values.iter().chain(&set.values).map(|value| &**value).collect();
                RecordSet::parse(set.key.clone(), set.ttl, &values)
            }
            None => Ok(set),
        });
        match joined {
            Ok(set) if !self.rejected.contains_key(&set.key) => {
                self.sets.insert(set.key.clone(), set);
            }
            Ok(_) => {}
            Err(error) => {
                self.sets.remove(&key);
                self.rejected.insert(key, Text::lossy(&error.to_string()));
            }
        }
    }

    /// Excludes record sets beyond the limit per provider and CNAMEs that share their name with other records.
    fn enforce_limits(&mut self) {
        self.sets.retain(|key, _| !self.rejected.contains_key(key));
        let aliases: Vec<_> = self.sets.keys().filter(|key| key.rtype == RecordType::Cname).cloned().collect();
        for alias in aliases {
            if self.sets.keys().any(|key| key.name == alias.name && *key != alias) {
                self.sets.remove(&alias);
                self.rejected.insert(alias, Text::lossy("a CNAME cannot share its name with other records"));
            }
        }
        while RECORDS_PER_PROVIDER_MAX < self.sets.len() {
            let Some((key, _)) = self.sets.pop_last() else { return };
            let reason = format!("a provider has at most {RECORDS_PER_PROVIDER_MAX} record sets in a zone");
            self.rejected.insert(key, Text::lossy(&reason));
        }
    }
}

#[cfg(test)]
mod tests;
