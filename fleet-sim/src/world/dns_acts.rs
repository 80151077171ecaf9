//! Operator actions on DNS: the central provider, the sites that use it, and gateway addresses; and whether every
//! site's records match the expected final state.

use linecamp_core::{FleetCommand, Force, OWN_ADDRESS_LABEL};
use linecamp_model::{
    DnsSettings, DomainName, ExtraRecord, FleetProvider, Grant, LabelKey, LabelValue, NameTemplate, OwnerId, PluginRef,
    ProviderConfig, ProviderSpec, RecordState, RecordType, Selector, Ttl,
};

use super::name_server::{OWNER, ZONE, first_address};
use super::{AGAIN, FaultEnd, SimEvent, World, name, text};
use crate::act_kind::ActKind;
use crate::check::{ADDRESS_LABEL, LevelOf, OWN_PREFIX, RecordInputs, SELECT_LABEL, SWITCH_LABEL, label};
use crate::plan::Act;
use crate::transport::{NodeId, Transport};

impl<C: Transport> World<C> {
    /// Sets the address of a new site, and its own provider if it has one.
    pub(super) fn set_up_dns(&mut self, node: NodeId) {
        let Some(site_slot) = self.plan.site_slots.get(node).filter(|_| self.dns.is_some()) else { return };
        if site_slot.dns.has_own {
            self.nodes[node].providers = vec![own_provider()];
        }
        let address = LabelValue::parse(&first_address(node)).expect("an address is a value");
        self.nodes[node].facts.insert(own_address(), address);
    }

    /// Performs an act on DNS.
    pub(super) fn act_on_dns_settings(&mut self, act: Act) {
        let node = act.site as NodeId;
        let key = |text: &str| LabelKey::parse(text).expect("a key");
        let value = |text: &str| LabelValue::parse(text).expect("a value");
        match act.kind {
            ActKind::DnsAddress => {
                let address = (!act.draw.is_multiple_of(4)).then(|| value(&address(act.draw)));
                self.assign(node, LevelOf::Gateway, key(ADDRESS_LABEL), address);
            }
            ActKind::DnsSwitch => {
                let switch = act.draw.is_multiple_of(2).then(|| value("false"));
                self.assign(node, LevelOf::Gateway, key(SWITCH_LABEL), switch);
            }
            ActKind::DnsSelect => {
                let selected = (!act.draw.is_multiple_of(3)).then(|| value(SELECT_LABEL.1));
                self.assign(node, LevelOf::Site, key(SELECT_LABEL.0), selected);
            }
            ActKind::DnsEdit => self.set_provider(act.draw),
            ActKind::DnsRemove => {
                self.ask(FleetCommand::RemoveProvider(name("default"), name("dns"), Force::No), None);
                self.after(act.duration, SimEvent::FaultEnd(FaultEnd::ProviderRemoved));
            }
            _ => {
                self.nodes[node].facts.insert(own_address(), value(&address(act.draw)));
            }
        }
    }

    /// An operator sets the central provider, or changes its settings.
    pub(super) fn set_provider(&mut self, draw: u64) {
        if self.dns.is_none() {
            return;
        }
        let (key, value) = SELECT_LABEL;
        let sites = Selector::parse(&format!("{key}={value}")).expect("a selector");
        let provider = FleetProvider { sites, matches_facts: false, spec: central_provider(draw) };
        if !self.ask(FleetCommand::SetProvider(name("default"), Box::new(provider), true), None) {
            self.after(AGAIN, SimEvent::FaultEnd(FaultEnd::ProviderRemoved));
        }
    }

    /// Returns the sites that maintain records.
    pub(super) fn sites_with_records(&self) -> impl Iterator<Item = NodeId> + '_ {
        let keeps = |number: &NodeId| {
            let node = &self.nodes[*number];
            let providers = node.site.as_ref().map(|site| site.view(node.now(self.elapsed)).providers);
            let mut records = providers.iter().flatten().flat_map(|provider| provider.records());
            records.any(|record| record.state == RecordState::InSync)
        };
        (0..self.nodes.len()).filter(keeps)
    }

    /// Returns why a site's records differ from the expected final state.
    pub(super) fn why_records_differ(&self, number: NodeId) -> Option<String> {
        self.dns.as_ref()?;
        self.with_record_inputs(number, |site_inputs| self.watch.record_difference(site_inputs))?
    }

    /// Returns whether a site has records in DNS that nothing requires, and that it will find only when it searches the
    /// zone.
    pub(super) fn has_leftovers(&self) -> bool {
        let has = |number| {
            self.with_record_inputs(number, |site_inputs| self.watch.has_leftovers(site_inputs)).unwrap_or(false)
        };
        self.dns.is_some() && (0..self.nodes.len()).any(has)
    }

    /// Calls `with` with a site and the inputs that determine its records.
    fn with_record_inputs<T>(&self, number: NodeId, with: impl FnOnce(&RecordInputs<'_>) -> T) -> Option<T> {
        let (node, fleet) = (&self.nodes[number], self.server.fleet.as_deref()?);
        let id = self.site_of(number)?;
        let view = fleet.view().site_by_id(id, self.server.now(self.elapsed))?;
        let local = node.site.as_deref()?.view(node.now(self.elapsed));
        let is_selected = label(&view.labels, SELECT_LABEL.0) == Some(SELECT_LABEL.1);
        let central = fleet.view().providers(None);
        let central =
            central.iter().map(|summary| &summary.provider.spec).filter(|spec| is_selected && !spec.is_withdrawing);
        let address = node.facts.get(&own_address()).map_or("", LabelValue::as_str);
        Some(with(&RecordInputs {
            name: node.name.as_str(),
            id,
            address,
            specs: central.chain(&node.providers).collect(),
            view: &view,
            local: &local,
        }))
    }
}

fn own_address() -> LabelKey {
    LabelKey::parse(OWN_ADDRESS_LABEL).expect("a key")
}

/// Returns an address, and sometimes two.
fn address(draw: u64) -> String {
    let (third, fourth) = (draw / 64 % 250, draw / 16_384 % 250);
    match draw / 4_194_304 % 4 {
        0 => format!("198.19.{third}.{fourth},2001:db8::{fourth}"),
        1 => format!("2001:db8::{third}"),
        _ => format!("198.19.{third}.{fourth}"),
    }
}

fn provider(called: &str, template: &str) -> ProviderSpec {
    ProviderSpec {
        name: name(called),
        plugin: PluginRef { name: name("dns-model"), digest: None },
        config: ProviderConfig::default(),
        secrets: std::collections::BTreeMap::new(),
        grant: Grant::default(),
        kind: DnsSettings {
            owner: OwnerId::parse(OWNER).expect("an owner id"),
            zones: [DomainName::parse(ZONE).expect("the zone is a name")].into(),
            template: NameTemplate::parse(template).expect("a template"),
            ttl: Ttl::DEFAULT,
            hosts: Selector::default(),
            observed_address: false,
            allow_deletes: true,
            withdraw_inactive: false,
            extra: Vec::new(),
        }
        .into(),
        is_dry_run: false,
        is_withdrawing: false,
    }
}

/// Returns a site's own provider, whose names differ from the central one's.
fn own_provider() -> ProviderSpec {
    provider("spot", &format!("{OWN_PREFIX}{}", NameTemplate::DEFAULT))
}

/// Returns the central provider with random settings; draw 0 gives the defaults.
fn central_provider(draw: u64) -> ProviderSpec {
    let template = if draw / 2 % 4 == 1 { "{host}-{site}.{environment}" } else { NameTemplate::DEFAULT };
    let mut spec = provider("dns", template);
    spec.dns_mut().withdraw_inactive = draw / 8 % 3 == 1;
    spec.dns_mut().ttl = Ttl::of(if draw / 32 % 2 == 1 { 600 } else { 300 }).expect("a time to live");
    if draw / 64 % 4 != 1 {
        spec.dns_mut().extra.push(ExtraRecord {
            template: NameTemplate::parse(&format!("info.{}", NameTemplate::DEFAULT)).expect("a template"),
            rtype: RecordType::Txt,
            values: vec![text("of {site}")],
        });
    }
    spec
}
