//! The bodies of records, apart from documents and events, which have the same form on the link.
//!
//! A database's bytes are validated like a peer's: a flipped bit is as dangerous as a malicious value.

use std::net::IpAddr;
use std::time::Duration;

use linecamp_model::{
    Claim, Environment, Event, FleetOrigin, FleetProvider, HeldSite, HostId, HostRegistration, Incarnation, LabelSet,
    Life, LoggedEvent, Name, OwnedRecord, OwnerId, PluginFile, Recoveries, Registration, ReplicationCursor,
    RestoredFrom, RunId, SecretHash, Selector, SiteId, SiteOrigin, Text, Token, TokenId, Ttl, WallTime,
};

use crate::convert::dns::written_values;
use crate::convert::field::{
    bytes, counter, field, generation, message, millis, moment, optional_bytes, optional_message, word,
};
use crate::convert::label::{from_labels, labels};
use crate::convert::plugin::place;
use crate::convert::plugin_description::{description, from_description};
use crate::convert::{FieldError, Wire, WireEnum};
use crate::wire::link::v1 as link;
use crate::wire::record::v1 as wire;

impl Wire for wire::SiteOrigin {
    type Model = SiteOrigin;

    fn from_model(origin: &SiteOrigin) -> Self {
        Self {
            status_incarnation: origin.status_incarnation.0,
            spec_incarnation: origin.spec_incarnation.0,
            events_made: origin.events_made,
            events_dropped: origin.events_dropped,
            status_floor: origin.status_floor.0,
        }
    }

    fn into_model(self) -> Result<SiteOrigin, FieldError> {
        Ok(SiteOrigin {
            status_incarnation: Incarnation(self.status_incarnation),
            spec_incarnation: Incarnation(self.spec_incarnation),
            events_made: counter("events_made", self.events_made)?,
            events_dropped: counter("events_dropped", self.events_dropped)?,
            status_floor: generation("status_floor", self.status_floor)?,
        })
    }
}

impl Wire for wire::LabelSet {
    type Model = LabelSet;

    fn from_model(labels: &LabelSet) -> Self {
        Self { labels: from_labels(labels) }
    }

    fn into_model(self) -> Result<LabelSet, FieldError> {
        labels("labels", self.labels)
    }
}

impl Wire for wire::OwnedRecord {
    type Model = OwnedRecord;

    fn from_model(held: &OwnedRecord) -> Self {
        Self {
            owner: held.claim.owner.as_str().to_owned(),
            site: held.claim.site.as_bytes().to_vec(),
            state: held.state.number(),
            ttl: held.ttl.seconds(),
            values: held.values.iter().map(ToString::to_string).collect(),
        }
    }

    fn into_model(self) -> Result<OwnedRecord, FieldError> {
        let claim = Claim {
            owner: field("owner", OwnerId::parse(&self.owner))?,
            site: SiteId::from_bytes(bytes("site", &self.site)?),
        };
        let ttl = Ttl::of(self.ttl);
        Ok(OwnedRecord {
            claim,
            state: word("state", self.state)?,
            ttl: ttl.ok_or_else(|| FieldError::new("ttl", format!("DNS cannot say {} seconds", self.ttl)))?,
            values: written_values(&self.values)?,
        })
    }
}

impl Wire for wire::ObservedAddress {
    type Model = IpAddr;

    fn from_model(address: &IpAddr) -> Self {
        let address = match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        Self { address }
    }

    fn into_model(self) -> Result<IpAddr, FieldError> {
        match <[u8; 4]>::try_from(self.address.as_slice()) {
            Ok(address) => Ok(address.into()),
            Err(_) => bytes::<16>("address", &self.address).map(IpAddr::from),
        }
    }
}

impl Wire for wire::LoggedEvent {
    type Model = LoggedEvent;

    fn from_model(logged: &LoggedEvent) -> Self {
        let event = &logged.event;
        Self {
            at_millis: event.at.unix_millis(),
            kind: event.kind.number(),
            site: event.site.map(|site| site.as_bytes().to_vec()).unwrap_or_default(),
            host: event.host.map(|host| host.as_bytes().to_vec()).unwrap_or_default(),
            text: event.text.as_str().to_owned(),
            received_at_millis: logged.received_at.map(WallTime::unix_millis),
            actor: logged.actor.as_ref().map(ToString::to_string).unwrap_or_default(),
        }
    }

    fn into_model(self) -> Result<LoggedEvent, FieldError> {
        let event = Event {
            at: WallTime::from_unix_millis(self.at_millis),
            kind: word("kind", self.kind)?,
            site: optional_bytes("site", &self.site)?.map(SiteId::from_bytes),
            host: optional_bytes("host", &self.host)?.map(HostId::from_bytes),
            text: field("text", Text::parse(&self.text))?,
        };
        let actor = (!self.actor.is_empty()).then(|| field("actor", Text::parse(&self.actor))).transpose()?;
        Ok(LoggedEvent { event, received_at: moment(self.received_at_millis), actor })
    }
}

impl Wire for wire::FleetProvider {
    type Model = FleetProvider;

    fn from_model(provider: &FleetProvider) -> Self {
        Self {
            sites: provider.sites.to_string(),
            spec: Some(link::ProviderSpec::from_model(&provider.spec)),
            matches_facts: provider.matches_facts,
        }
    }

    fn into_model(self) -> Result<FleetProvider, FieldError> {
        Ok(FleetProvider {
            sites: field("sites", Selector::parse(&self.sites))?,
            spec: message("spec", self.spec)?,
            matches_facts: self.matches_facts,
        })
    }
}

impl Wire for wire::PluginFile {
    type Model = PluginFile;

    fn from_model(plugin: &PluginFile) -> Self {
        Self {
            name: plugin.name.as_str().to_owned(),
            bytes: plugin.bytes,
            pushed_at_millis: plugin.pushed_at.unix_millis(),
            description: plugin.description.as_deref().map(from_description),
        }
    }

    fn into_model(self) -> Result<PluginFile, FieldError> {
        let name = field("name", Name::parse(&self.name))?;
        let description = self.description.map(|found| description(found, &name));
        let description = description.transpose().map_err(|error: FieldError| error.within("description"))?;
        Ok(PluginFile {
            name,
            bytes: place("bytes", self.bytes)?,
            pushed_at: WallTime::from_unix_millis(self.pushed_at_millis),
            description: description.map(Box::new),
        })
    }
}

impl Wire for wire::FleetOrigin {
    type Model = FleetOrigin;

    fn from_model(origin: &FleetOrigin) -> Self {
        Self { spec_incarnation: origin.spec_incarnation.0 }
    }

    fn into_model(self) -> Result<FleetOrigin, FieldError> {
        Ok(FleetOrigin { spec_incarnation: Incarnation(self.spec_incarnation) })
    }
}

impl Wire for wire::Environment {
    type Model = Environment;

    fn from_model(environment: &Environment) -> Self {
        Self {
            approval: environment.approval,
            recoveries_per_day_max: environment.recoveries_per_day_max,
            removed_keep_millis: millis(environment.removed_keep),
        }
    }

    fn into_model(self) -> Result<Environment, FieldError> {
        Ok(Environment {
            approval: self.approval,
            recoveries_per_day_max: self.recoveries_per_day_max,
            removed_keep: Duration::from_millis(self.removed_keep_millis),
        })
    }
}

impl Wire for wire::Token {
    type Model = Token;

    fn from_model(token: &Token) -> Self {
        Self {
            secret: token.secret.as_bytes().to_vec(),
            environment: token.environment.as_str().to_owned(),
            created_at_millis: token.created_at.unix_millis(),
            expires_at_millis: token.expires_at.unix_millis(),
            uses_max: token.uses_max,
            labels: from_labels(&token.labels),
            revoked_at_millis: token.revoked_at.map(WallTime::unix_millis),
            replaces: token.replaces.map(|site| site.as_bytes().to_vec()),
            hosts: token.hosts.as_ref().map(wire::TokenHosts::from_model),
        }
    }

    fn into_model(self) -> Result<Token, FieldError> {
        Ok(Token {
            secret: SecretHash::from_bytes(bytes("secret", &self.secret)?),
            environment: field("environment", Name::parse(&self.environment))?,
            created_at: WallTime::from_unix_millis(self.created_at_millis),
            expires_at: WallTime::from_unix_millis(self.expires_at_millis),
            uses_max: self.uses_max,
            labels: labels("labels", self.labels)?,
            hosts: optional_message("hosts", self.hosts)?,
            revoked_at: moment(self.revoked_at_millis),
            replaces: self.replaces.map(|site| bytes("replaces", &site).map(SiteId::from_bytes)).transpose()?,
        })
    }
}

impl Wire for wire::Moment {
    type Model = WallTime;

    fn from_model(at: &WallTime) -> Self {
        Self { at_millis: at.unix_millis() }
    }

    fn into_model(self) -> Result<WallTime, FieldError> {
        Ok(WallTime::from_unix_millis(self.at_millis))
    }
}

impl Wire for wire::RestoredFrom {
    type Model = RestoredFrom;

    fn from_model(restored: &RestoredFrom) -> Self {
        Self {
            taken_at_millis: restored.taken_at.unix_millis(),
            restored_at_millis: restored.restored_at.unix_millis(),
        }
    }

    fn into_model(self) -> Result<RestoredFrom, FieldError> {
        Ok(RestoredFrom {
            taken_at: WallTime::from_unix_millis(self.taken_at_millis),
            restored_at: WallTime::from_unix_millis(self.restored_at_millis),
        })
    }
}

impl Wire for wire::HeldSite {
    type Model = HeldSite;

    fn from_model(held: &HeldSite) -> Self {
        Self { spec_incarnation: held.spec_incarnation.0, spec_generation: held.spec_generation.0 }
    }

    fn into_model(self) -> Result<HeldSite, FieldError> {
        Ok(HeldSite {
            spec_incarnation: Incarnation(self.spec_incarnation),
            spec_generation: generation("spec_generation", self.spec_generation)?,
        })
    }
}

impl Wire for wire::Registration {
    type Model = Registration;

    fn from_model(registration: &Registration) -> Self {
        let Recoveries { total, today, day } = registration.recoveries;
        Self {
            gateway: registration.gateway.as_bytes().to_vec(),
            environment: registration.environment.as_str().to_owned(),
            token: registration.token.as_bytes().to_vec(),
            joined_at_millis: registration.joined_at.unix_millis(),
            life: Some(wire::Life::from_model(&registration.life)),
            offline_since_millis: registration.offline_since.map(WallTime::unix_millis),
            recoveries: total,
            recoveries_today: today,
            recovery_day_millis: day.unix_millis(),
        }
    }

    fn into_model(self) -> Result<Registration, FieldError> {
        Ok(Registration {
            gateway: HostId::from_bytes(bytes("gateway", &self.gateway)?),
            environment: field("environment", Name::parse(&self.environment))?,
            token: TokenId::from_bytes(bytes("token", &self.token)?),
            joined_at: WallTime::from_unix_millis(self.joined_at_millis),
            life: message("life", self.life)?,
            offline_since: moment(self.offline_since_millis),
            recoveries: Recoveries {
                total: self.recoveries,
                today: self.recoveries_today,
                day: WallTime::from_unix_millis(self.recovery_day_millis),
            },
        })
    }
}

impl Wire for wire::Host {
    type Model = HostRegistration;

    fn from_model(host: &HostRegistration) -> Self {
        Self { life: Some(wire::Life::from_model(&host.life)) }
    }

    fn into_model(self) -> Result<HostRegistration, FieldError> {
        Ok(HostRegistration { life: message("life", self.life)? })
    }
}

impl Wire for wire::Life {
    type Model = Life;

    fn from_model(life: &Life) -> Self {
        Self { phase: life.phase.number(), since_millis: life.since.unix_millis(), requested_at: life.requested_at.0 }
    }

    fn into_model(self) -> Result<Life, FieldError> {
        Ok(Life {
            phase: word("phase", self.phase)?,
            since: WallTime::from_unix_millis(self.since_millis),
            requested_at: generation("requested_at", self.requested_at)?,
        })
    }
}

impl Wire for wire::ReplicationCursor {
    type Model = ReplicationCursor;

    fn from_model(cursor: &ReplicationCursor) -> Self {
        Self {
            status_incarnation: cursor.status_incarnation.0,
            events_held: cursor.events_held,
            events_dropped: cursor.events_dropped,
            status_run: cursor.status_run.map_or(0, |run| u64::from_be_bytes(*run.as_bytes())),
            spec_incarnation: cursor.spec_incarnation.unwrap_or_default().0,
            spec_floor: cursor.spec_floor.0,
        }
    }

    fn into_model(self) -> Result<ReplicationCursor, FieldError> {
        Ok(ReplicationCursor {
            status_incarnation: Incarnation(self.status_incarnation),
            events_held: counter("events_held", self.events_held)?,
            events_dropped: counter("events_dropped", self.events_dropped)?,
            status_run: (self.status_run != 0).then(|| RunId::from_bytes(self.status_run.to_be_bytes())),
            spec_incarnation: (self.spec_incarnation != 0).then_some(Incarnation(self.spec_incarnation)),
            spec_floor: generation("spec_floor", self.spec_floor)?,
        })
    }
}
