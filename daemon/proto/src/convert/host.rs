//! Hosts: their spec and status, their registrations, and the tokens that they join with.

use std::collections::BTreeSet;

use linecamp_model::limits::{KEYS_PER_HOST_MAX, TOKEN_USES_MAX};
use linecamp_model::{
    HostDaemon, HostLink, HostMember, HostMemberRegistration, HostMembership, HostSpec, HostStatus, HostToken,
    Incarnation, KeyFingerprint, MemberKind, Name, Recoveries, SecretHash, SiteId, Text, TokenHosts, TokenId, WallTime,
};

use crate::convert::field::{bytes, count, field, generation, message, moment, optional_message, word};
use crate::convert::label::{conditions, from_labels, labels};
use crate::convert::{FieldError, Wire, WireEnum};
use crate::wire::link::v1 as link;
use crate::wire::record::v1 as record;

impl Wire for link::HostSpec {
    type Model = HostSpec;

    fn from_model(spec: &HostSpec) -> Self {
        Self {
            name: spec.name.as_str().to_owned(),
            origin: spec.origin.number(),
            description: spec.description.as_str().to_owned(),
            target: spec.target.number(),
            assigned: from_labels(&spec.assigned),
            member: spec.member.as_ref().map(|member| Box::new(link::HostMember::from_model(member))),
        }
    }

    fn into_model(self) -> Result<HostSpec, FieldError> {
        Ok(HostSpec {
            name: field("name", Name::parse(&self.name))?,
            origin: word("origin", self.origin)?,
            description: field("description", Text::parse(&self.description))?,
            target: word("target", self.target)?,
            assigned: labels("assigned", self.assigned)?,
            member: optional_message("member", self.member.map(|member| *member))?,
        })
    }
}

impl Wire for link::HostMember {
    type Model = HostMember;

    fn from_model(member: &HostMember) -> Self {
        Self {
            parent: member.parent.number(),
            token: member.token.as_bytes().to_vec(),
            keys: from_keys(&member.keys),
            joined_at_millis: member.joined_at.unix_millis(),
            local: from_labels(&member.local),
            reported: from_labels(&member.reported),
        }
    }

    fn into_model(self) -> Result<HostMember, FieldError> {
        Ok(HostMember {
            parent: word("parent", self.parent)?,
            token: TokenId::from_bytes(bytes("token", &self.token)?),
            keys: keys("keys", &self.keys)?,
            joined_at: WallTime::from_unix_millis(self.joined_at_millis),
            local: labels("local", self.local)?,
            reported: labels("reported", self.reported)?,
        })
    }
}

impl Wire for link::HostToken {
    type Model = HostToken;

    fn from_model(token: &HostToken) -> Self {
        Self {
            secret: token.secret.as_bytes().to_vec(),
            created_at_millis: token.created_at.unix_millis(),
            expires_at_millis: token.expires_at.unix_millis(),
            uses_max: token.uses_max,
        }
    }

    fn into_model(self) -> Result<HostToken, FieldError> {
        if TOKEN_USES_MAX < self.uses_max {
            let problem = format!("is {}; at most {TOKEN_USES_MAX} are allowed", self.uses_max);
            return Err(FieldError::new("uses_max", problem));
        }
        Ok(HostToken {
            secret: SecretHash::from_bytes(bytes("secret", &self.secret)?),
            created_at: WallTime::from_unix_millis(self.created_at_millis),
            expires_at: WallTime::from_unix_millis(self.expires_at_millis),
            uses_max: self.uses_max,
        })
    }
}

impl Wire for link::HostStatus {
    type Model = HostStatus;

    fn from_model(status: &HostStatus) -> Self {
        let membership = status.membership.as_ref().map(link::HostMembership::from_model);
        Self {
            local: from_labels(&status.local),
            reported: from_labels(&status.reported),
            daemon: status.daemon.as_ref().map(|daemon| Box::new(link::HostDaemon::from_model(daemon))),
            membership: membership.map(Box::new),
        }
    }

    fn into_model(self) -> Result<HostStatus, FieldError> {
        Ok(HostStatus {
            local: labels("local", self.local)?,
            reported: labels("reported", self.reported)?,
            daemon: optional_message("daemon", self.daemon.map(|daemon| *daemon))?,
            membership: optional_message("membership", self.membership.map(|membership| *membership))?,
        })
    }
}

impl Wire for link::HostDaemon {
    type Model = HostDaemon;

    fn from_model(daemon: &HostDaemon) -> Self {
        Self {
            version: daemon.version.as_str().to_owned(),
            spec_incarnation: daemon.spec_incarnation.0,
            applied: daemon.applied.0,
            conditions: daemon.conditions.iter().map(link::Condition::from_model).collect(),
        }
    }

    fn into_model(self) -> Result<HostDaemon, FieldError> {
        Ok(HostDaemon {
            version: field("version", Text::parse(&self.version))?,
            spec_incarnation: Incarnation(self.spec_incarnation),
            applied: generation("applied", self.applied)?,
            conditions: conditions("conditions", self.conditions)?,
        })
    }
}

impl Wire for link::HostMembership {
    type Model = HostMembership;

    fn from_model(membership: &HostMembership) -> Self {
        Self {
            name: membership.name.as_str().to_owned(),
            token: membership.token.as_bytes().to_vec(),
            keys: from_keys(&membership.keys),
            joined_at_millis: membership.joined_at.unix_millis(),
            removed_at_millis: membership.removed_at.map(WallTime::unix_millis),
            link: Some(link::HostLink::from_model(&membership.link)),
        }
    }

    fn into_model(self) -> Result<HostMembership, FieldError> {
        Ok(HostMembership {
            name: field("name", Name::parse(&self.name))?,
            token: TokenId::from_bytes(bytes("token", &self.token)?),
            keys: keys("keys", &self.keys)?,
            joined_at: WallTime::from_unix_millis(self.joined_at_millis),
            removed_at: moment(self.removed_at_millis),
            link: message("link", self.link)?,
        })
    }
}

impl Wire for link::HostLink {
    type Model = HostLink;

    fn from_model(link: &HostLink) -> Self {
        Self { is_disconnected: link.is_disconnected, since_millis: link.since.unix_millis() }
    }

    fn into_model(self) -> Result<HostLink, FieldError> {
        let since = WallTime::from_unix_millis(self.since_millis);
        Ok(HostLink { is_disconnected: self.is_disconnected, since })
    }
}

impl Wire for record::HostMemberRegistration {
    type Model = HostMemberRegistration;

    fn from_model(registration: &HostMemberRegistration) -> Self {
        let Recoveries { total, today, day } = registration.recoveries;
        Self {
            name: registration.name.as_str().to_owned(),
            token: registration.token.as_bytes().to_vec(),
            joined_at_millis: registration.joined_at.unix_millis(),
            link: Some(link::HostLink::from_model(&registration.link)),
            recoveries: total,
            recoveries_today: today,
            recovery_day_millis: day.unix_millis(),
            in_spec: registration.in_spec,
            removed_at_millis: registration.removed_at.map(WallTime::unix_millis),
        }
    }

    fn into_model(self) -> Result<HostMemberRegistration, FieldError> {
        Ok(HostMemberRegistration {
            name: field("name", Name::parse(&self.name))?,
            token: TokenId::from_bytes(bytes("token", &self.token)?),
            joined_at: WallTime::from_unix_millis(self.joined_at_millis),
            link: message("link", self.link)?,
            recoveries: Recoveries {
                total: self.recoveries,
                today: self.recoveries_today,
                day: WallTime::from_unix_millis(self.recovery_day_millis),
            },
            in_spec: self.in_spec,
            removed_at: moment(self.removed_at_millis),
        })
    }
}

impl Wire for record::TokenHosts {
    type Model = TokenHosts;

    fn from_model(hosts: &TokenHosts) -> Self {
        Self { site: hosts.site.as_bytes().to_vec(), parent: hosts.parent.number() }
    }

    fn into_model(self) -> Result<TokenHosts, FieldError> {
        Ok(TokenHosts { site: SiteId::from_bytes(bytes("site", &self.site)?), parent: word("parent", self.parent)? })
    }
}

/// Encodes the kind of a member. A site has no number: a peer that knows no hosts writes none.
pub(super) fn from_member_kind(kind: MemberKind) -> i32 {
    match kind {
        MemberKind::Site => 0,
        MemberKind::Host => kind.number(),
    }
}

/// Decodes the kind of a member.
pub(super) fn member_kind(name: &str, found: i32) -> Result<MemberKind, FieldError> {
    match found {
        0 => Ok(MemberKind::Site),
        _ => word(name, found),
    }
}

fn from_keys(keys: &BTreeSet<KeyFingerprint>) -> Vec<Vec<u8>> {
    keys.iter().map(|key| key.as_bytes().to_vec()).collect()
}

/// Decodes the keys that a host may present, in any order.
fn keys(name: &str, found: &[Vec<u8>]) -> Result<BTreeSet<KeyFingerprint>, FieldError> {
    count(name, found.len(), KEYS_PER_HOST_MAX)?;
    if found.is_empty() {
        return Err(FieldError::new(name, "is empty: a host has a key"));
    }
    let mut keys = BTreeSet::new();
    for (index, key) in found.iter().enumerate() {
        let place = format!("{name}[{index}]");
        if !keys.insert(KeyFingerprint::from_bytes(bytes(&place, key)?)) {
            return Err(FieldError::new(&place, "comes twice"));
        }
    }
    Ok(keys)
}
