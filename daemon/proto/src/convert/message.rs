//! The messages of the link.

use std::time::Duration;

use linecamp_model::limits::{EVENTS_PER_MESSAGE_MAX, GATEWAY_CHAIN_MAX, LINK_GAPS_WAITING_MAX, SERVERS_PER_SITE_MAX};
use linecamp_model::{
    Condition, EventBatch, FromMember, FromParent, Generation, Hello, HostId, IdentityGrant, Incarnation, JoinRequest,
    JoinSecret, Name, RunId, ServerAddress, ServerSet, SessionId, SiteId, Target, Text, TokenId, VersionRange,
    WallTime, Welcome,
};

use crate::convert::field::{bytes, count, counter, field, generation, kind, list, message, millis, set};
use crate::convert::host::{from_member_kind, member_kind};
use crate::convert::label::{conditions, facts, from_facts};
use crate::convert::{FieldError, Wire, WireEnum};
use crate::limits::{AUTHORITIES_MAX, CERTIFICATE_BYTES_MAX};
use crate::wire::link::v1 as wire;
use crate::wire::link::v1::{from_member, from_parent};

impl Wire for wire::FromMember {
    type Model = FromMember;

    fn from_model(message: &FromMember) -> Self {
        use from_member::Kind;
        let kind = match message {
            FromMember::Join(join) => Kind::Join(wire::JoinRequest::from_model(join)),
            FromMember::Hello(hello) => Kind::Hello(wire::Hello::from_model(hello)),
            FromMember::SpecAck(held) => Kind::SpecAck(wire::Ack::from_model(held)),
            FromMember::Status(delta) => Kind::Status(wire::StatusDelta::from_model(delta)),
            FromMember::Events(batch) => Kind::Events(wire::EventBatch::from_model(batch)),
            FromMember::Renew => Kind::Renew(wire::Renew {}),
            FromMember::Alive => Kind::Alive(wire::Alive {}),
            FromMember::Leave => Kind::Leave(wire::Leave {}),
            FromMember::WantPlugin(want) => Kind::WantPlugin(wire::PluginWant::from_model(want)),
            FromMember::Storage(conditions) => Kind::Storage(wire::StorageReport::from_model(conditions)),
            FromMember::ServersStored(number) => Kind::ServersStored(wire::ServersStored { number: *number }),
            FromMember::Trust(report) => Kind::Trust(wire::TrustReport::from_model(report)),
        };
        Self { kind: Some(kind) }
    }

    fn into_model(self) -> Result<FromMember, FieldError> {
        use from_member::Kind;
        match kind("kind", self.kind)? {
            Kind::Join(join) => message("join", Some(join)).map(FromMember::Join),
            Kind::Hello(hello) => message("hello", Some(hello)).map(FromMember::Hello),
            Kind::SpecAck(ack) => message("spec_ack", Some(ack)).map(FromMember::SpecAck),
            Kind::Status(delta) => message("status", Some(delta)).map(FromMember::Status),
            Kind::Events(batch) => message("events", Some(batch)).map(FromMember::Events),
            Kind::Renew(_) => Ok(FromMember::Renew),
            Kind::Alive(_) => Ok(FromMember::Alive),
            Kind::Leave(_) => Ok(FromMember::Leave),
            Kind::WantPlugin(want) => message("want_plugin", Some(want)).map(FromMember::WantPlugin),
            Kind::Storage(report) => message("storage", Some(report)).map(FromMember::Storage),
            Kind::ServersStored(set) => counter("servers_stored.number", set.number).map(FromMember::ServersStored),
            Kind::Trust(report) => message("trust", Some(report)).map(FromMember::Trust),
        }
    }
}

impl Wire for wire::StorageReport {
    type Model = Vec<Condition>;

    fn from_model(found: &Vec<Condition>) -> Self {
        Self { conditions: found.iter().map(wire::Condition::from_model).collect() }
    }

    fn into_model(self) -> Result<Vec<Condition>, FieldError> {
        let found = conditions("conditions", self.conditions)?;
        match found.iter().position(|condition| !condition.kind.is_of_storage()) {
            Some(index) => {
                let problem = format!("`{}` is not about storage", found[index].kind);
                Err(FieldError::new("kind", problem).within_element("conditions", index))
            }
            None => Ok(found),
        }
    }
}

impl Wire for wire::FromParent {
    type Model = FromParent;

    fn from_model(message: &FromParent) -> Self {
        use from_parent::Kind;
        let kind = match message {
            FromParent::Identity(grant) => Kind::Identity(wire::IdentityGrant::from_model(grant)),
            FromParent::Welcome(welcome) => Kind::Welcome(wire::Welcome::from_model(welcome)),
            FromParent::Spec(delta) => Kind::Spec(wire::SpecDelta::from_model(delta)),
            FromParent::StatusAck(held) => Kind::StatusAck(wire::Ack::from_model(held)),
            FromParent::EventsAck(last) => Kind::EventsAck(wire::EventsAck { last: *last }),
            FromParent::Probe => Kind::Probe(wire::Probe {}),
            FromParent::Plugin(piece) => Kind::Plugin(wire::PluginPiece::from_model(piece)),
            FromParent::Servers(set) => Kind::Servers(wire::ServerSet::from_model(set)),
            FromParent::Authorities(set) => Kind::Authorities(wire::AuthoritySet::from_model(set)),
        };
        Self { kind: Some(kind) }
    }

    fn into_model(self) -> Result<FromParent, FieldError> {
        use from_parent::Kind;
        match kind("kind", self.kind)? {
            Kind::Identity(grant) => message("identity", Some(grant)).map(FromParent::Identity),
            Kind::Welcome(welcome) => message("welcome", Some(welcome)).map(FromParent::Welcome),
            Kind::Spec(delta) => message("spec", Some(delta)).map(FromParent::Spec),
            Kind::StatusAck(ack) => message("status_ack", Some(ack)).map(FromParent::StatusAck),
            Kind::EventsAck(ack) => counter("events_ack.last", ack.last).map(FromParent::EventsAck),
            Kind::Probe(_) => Ok(FromParent::Probe),
            Kind::Plugin(piece) => message("plugin", Some(piece)).map(FromParent::Plugin),
            Kind::Servers(set) => message("servers", Some(set)).map(FromParent::Servers),
            Kind::Authorities(set) => message("authorities", Some(set)).map(FromParent::Authorities),
        }
    }
}

impl Wire for wire::ServerSet {
    type Model = ServerSet;

    fn from_model(set: &ServerSet) -> Self {
        Self { number: set.number, addresses: set.addresses.iter().map(ToString::to_string).collect() }
    }

    fn into_model(self) -> Result<ServerSet, FieldError> {
        let number = counter("number", self.number)?;
        if number == 0 {
            return Err(FieldError::new("number", "sets are numbered from 1"));
        }
        let unique = set("addresses", &self.addresses, SERVERS_PER_SITE_MAX, ServerAddress::parse)?;
        if unique.is_empty() {
            return Err(FieldError::new("addresses", "is empty: nothing could be dialed"));
        }
        let parse = |text: &String| field("addresses", ServerAddress::parse(text));
        Ok(ServerSet { number, addresses: self.addresses.iter().map(parse).collect::<Result<_, _>>()? })
    }
}

impl Wire for wire::Ack {
    type Model = Generation;

    fn from_model(held: &Generation) -> Self {
        Self { generation: held.0 }
    }

    fn into_model(self) -> Result<Generation, FieldError> {
        generation("generation", self.generation)
    }
}

impl Wire for wire::VersionRange {
    type Model = VersionRange;

    fn from_model(versions: &VersionRange) -> Self {
        Self { min: versions.min, max: versions.max }
    }

    fn into_model(self) -> Result<VersionRange, FieldError> {
        let Self { min, max } = self;
        if min < 1 || max < min {
            return Err(FieldError::new("max", format!("{min} to {max} is not a range of versions")));
        }
        Ok(VersionRange { min, max })
    }
}

impl Wire for wire::JoinRequest {
    type Model = JoinRequest;

    fn from_model(join: &JoinRequest) -> Self {
        Self {
            versions: Some(wire::VersionRange::from_model(&join.versions)),
            token: join.token.as_bytes().to_vec(),
            secret: join.secret.as_bytes().to_vec(),
            name: join.name.as_str().to_owned(),
            daemon_version: join.daemon_version.as_str().to_owned(),
            kind: from_member_kind(join.kind),
            site: join.site.as_ref().map(|site| site.as_str().to_owned()),
        }
    }

    fn into_model(self) -> Result<JoinRequest, FieldError> {
        Ok(JoinRequest {
            versions: message("versions", self.versions)?,
            token: TokenId::from_bytes(bytes("token", &self.token)?),
            secret: JoinSecret::from_bytes(bytes("secret", &self.secret)?),
            kind: member_kind("kind", self.kind)?,
            name: field("name", Name::parse(&self.name))?,
            site: field("site", self.site.as_deref().map(Name::parse).transpose())?,
            daemon_version: field("daemon_version", Text::parse(&self.daemon_version))?,
        })
    }
}

impl Wire for wire::Hello {
    type Model = Hello;

    fn from_model(hello: &Hello) -> Self {
        Self {
            versions: Some(wire::VersionRange::from_model(&hello.versions)),
            run: hello.run.as_bytes().to_vec(),
            daemon_version: hello.daemon_version.as_str().to_owned(),
            wall_millis: hello.wall.unix_millis(),
            spec_incarnation: hello.spec_incarnation.0,
            spec_held: hello.spec_held.0,
            status_incarnation: hello.status_incarnation.0,
            facts: from_facts(&hello.facts),
            gaps: hello.gaps.iter().map(wire::LinkGap::from_model).collect(),
            target: hello.target.map_or(0, WireEnum::number),
        }
    }

    fn into_model(self) -> Result<Hello, FieldError> {
        Ok(Hello {
            versions: message("versions", self.versions)?,
            run: RunId::from_bytes(bytes("run", &self.run)?),
            daemon_version: field("daemon_version", Text::parse(&self.daemon_version))?,
            wall: WallTime::from_unix_millis(self.wall_millis),
            spec_incarnation: Incarnation(self.spec_incarnation),
            spec_held: generation("spec_held", self.spec_held)?,
            status_incarnation: Incarnation(self.status_incarnation),
            facts: facts("facts", self.facts)?,
            gaps: list("gaps", self.gaps, LINK_GAPS_WAITING_MAX)?,
            // A later version may know more targets; they are no reason to refuse the hello.
            target: Target::of_number(self.target),
        })
    }
}

impl Wire for wire::Welcome {
    type Model = Welcome;

    fn from_model(welcome: &Welcome) -> Self {
        Self {
            version: welcome.version,
            session: welcome.session.0,
            wall_millis: welcome.wall.unix_millis(),
            spec_incarnation: welcome.spec_incarnation.0,
            status_held: welcome.status_held.0,
            events_held: welcome.events_held,
            redial_spread_millis: millis(welcome.redial_spread),
            observed_address: welcome.observed_address.as_str().to_owned(),
            pending: welcome.pending,
            gaps_stored: welcome.gaps_stored,
        }
    }

    fn into_model(self) -> Result<Welcome, FieldError> {
        if self.version < 1 {
            return Err(FieldError::new("version", "there is no version 0"));
        }
        Ok(Welcome {
            version: self.version,
            session: SessionId(counter("session", self.session)?),
            wall: WallTime::from_unix_millis(self.wall_millis),
            spec_incarnation: Incarnation(self.spec_incarnation),
            status_held: generation("status_held", self.status_held)?,
            events_held: counter("events_held", self.events_held)?,
            redial_spread: Duration::from_millis(self.redial_spread_millis),
            observed_address: field("observed_address", Text::parse(&self.observed_address))?,
            pending: self.pending,
            gaps_stored: self.gaps_stored,
        })
    }
}

impl Wire for wire::IdentityGrant {
    type Model = IdentityGrant;

    fn from_model(grant: &IdentityGrant) -> Self {
        Self {
            name: grant.name.as_str().to_owned(),
            environment: grant.environment.as_str().to_owned(),
            certificate: grant.certificate.clone(),
            authorities: grant.authorities.clone(),
            site: grant.site.as_bytes().to_vec(),
            host: grant.host.as_bytes().to_vec(),
            kind: from_member_kind(grant.kind),
            gateway_chain: grant.gateway_chain.clone(),
        }
    }

    fn into_model(self) -> Result<IdentityGrant, FieldError> {
        count("authorities", self.authorities.len(), AUTHORITIES_MAX)?;
        if self.authorities.is_empty() {
            return Err(FieldError::new("authorities", "is empty: nobody would be trusted"));
        }
        for (index, authority) in self.authorities.iter().enumerate() {
            check_certificate(&format!("authorities[{index}]"), authority)?;
        }
        check_certificate("certificate", &self.certificate)?;
        count("gateway_chain", self.gateway_chain.len(), GATEWAY_CHAIN_MAX)?;
        for (index, certificate) in self.gateway_chain.iter().enumerate() {
            check_certificate(&format!("gateway_chain[{index}]"), certificate)?;
        }
        Ok(IdentityGrant {
            kind: member_kind("kind", self.kind)?,
            name: field("name", Name::parse(&self.name))?,
            environment: field("environment", Name::parse(&self.environment))?,
            site: SiteId::from_bytes(bytes("site", &self.site)?),
            host: HostId::from_bytes(bytes("host", &self.host)?),
            certificate: self.certificate,
            gateway_chain: self.gateway_chain,
            authorities: self.authorities,
        })
    }
}

pub(super) fn check_certificate(name: &str, found: &[u8]) -> Result<(), FieldError> {
    match found.len() {
        1..=CERTIFICATE_BYTES_MAX => Ok(()),
        bytes => {
            let problem = format!("a certificate has 1 to {CERTIFICATE_BYTES_MAX} bytes, not {bytes}");
            Err(FieldError::new(name, problem))
        }
    }
}

impl Wire for wire::EventBatch {
    type Model = EventBatch;

    fn from_model(batch: &EventBatch) -> Self {
        Self {
            first: batch.first,
            dropped: batch.dropped,
            events: batch.events.iter().map(wire::Event::from_model).collect(),
        }
    }

    fn into_model(self) -> Result<EventBatch, FieldError> {
        let batch = EventBatch {
            first: counter("first", self.first)?,
            dropped: counter("dropped", self.dropped)?,
            events: list("events", self.events, EVENTS_PER_MESSAGE_MAX)?,
        };
        match batch.last() {
            Some(_) => Ok(batch),
            None if batch.first == 0 => Err(FieldError::new("first", "events are numbered from 1")),
            None => Err(FieldError::new("first", format!("{} is out of range", batch.first))),
        }
    }
}
