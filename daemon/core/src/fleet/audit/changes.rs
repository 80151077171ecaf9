//! What changed, field by field, as the audit log shows it.
//!
//! Every kind of record is either described here by the fields that people know, or left out because it follows from
//! another one. Nothing else of a record is shown. A secret is never shown, nor is its hash: only that it changed.

use std::collections::BTreeMap;
use std::fmt::Display;

use linecamp_model::limits::AUDIT_VALUE_BYTES_MAX;
use linecamp_model::{
    Access, ApiKey, AuditChange, AuditChanges, BulkAction, BulkOutcome, DocumentKey, Environment, FleetChange,
    FleetProvider, HostSpec, LabelSet, SiteId, SiteSpec, SpecBody, Text, Token, User, excerpt,
};

use crate::fleet::state::FleetState;

/// What stands for a value that is not shown.
const HIDDEN: &str = "(hidden)";

/// The value of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    /// Shown as it is.
    Shown(String),
    /// Compared, and not shown.
    Hidden(String),
}

/// The fields of an object.
#[derive(Debug, Default)]
struct Fields(BTreeMap<String, Value>);

impl Fields {
    fn shown(mut self, field: impl Into<String>, value: impl Display) -> Self {
        self.0.insert(field.into(), Value::Shown(value.to_string()));
        self
    }

    fn optional(self, field: &str, value: Option<impl Display>) -> Self {
        match value {
            Some(value) => self.shown(field, value),
            None => self,
        }
    }

    fn hidden(mut self, field: &str, value: Option<String>) -> Self {
        self.0.extend(value.map(|value| (field.to_owned(), Value::Hidden(value))));
        self
    }

    fn labels(self, labels: &LabelSet) -> Self {
        labels.iter().fold(self, |fields, (key, label)| fields.shown(format!("label {key}"), &label.value))
    }

    fn access(self, access: &Access) -> Self {
        let fields = self.optional("role", access.everywhere);
        access.environments.iter().fold(fields, |fields, (name, role)| fields.shown(format!("role in {name}"), role))
    }
}

/// Returns what changes: each pair is a record before and after.
pub(super) fn changes<'a>(
    state: &FleetState,
    pairs: impl Iterator<Item = (&'a FleetChange, &'a FleetChange)>,
) -> AuditChanges {
    pairs.flat_map(|(before, after)| difference(state, before, after)).collect()
}

fn difference(state: &FleetState, before: &FleetChange, after: &FleetChange) -> Vec<AuditChange> {
    // An old one that makes room.
    if matches!(after, FleetChange::BulkAction(_, None)) {
        return Vec::new();
    }
    let (Some((object, after)), Some((_, before))) = (described(state, after), described(state, before)) else {
        return Vec::new();
    };
    let object = Text::lossy(&object);
    let text = |value: Option<&Value>| {
        value.map(|value| match value {
            Value::Shown(text) => Text::lossy(&excerpt(text, AUDIT_VALUE_BYTES_MAX)),
            Value::Hidden(_) => Text::lossy(HIDDEN),
        })
    };
    let names: std::collections::BTreeSet<_> = before.0.keys().chain(after.0.keys()).collect();
    let changed = names.into_iter().filter(|name| before.0.get(*name) != after.0.get(*name));
    let change = |name: &String| AuditChange {
        object: object.clone(),
        field: Text::lossy(name),
        before: text(before.0.get(name)),
        after: text(after.0.get(name)),
    };
    changed.map(change).collect()
}

/// Returns the name of the object that a record is of, and its fields; none for a record that does not exist. `None`
/// for a record that follows from others, or that a site or the server itself writes.
fn described(state: &FleetState, record: &FleetChange) -> Option<(String, Fields)> {
    Some(match record {
        FleetChange::Environment(name, body) => (format!("environment {name}"), fields(body.as_ref(), environment)),
        FleetChange::User(name, body) => (format!("user {name}"), fields(body.as_ref(), user)),
        FleetChange::ApiKey(secret, body) => {
            let of = body.as_ref().or_else(|| state.api_keys.get(secret));
            let object = of.map_or_else(|| "API key".to_owned(), |key| format!("API key {} ({})", key.name, key.id));
            (object, fields(body.as_ref(), api_key))
        }
        FleetChange::UserSession(secret, body) => {
            let of = body.as_ref().or_else(|| state.user_sessions.get(secret));
            let object = of.map_or_else(|| "session".to_owned(), |of| format!("session {} of {}", of.id, of.user));
            (object, fields(body.as_ref(), |session| Fields::default().shown("ends_at", session.ends_at)))
        }
        FleetChange::Token(id, body) => (format!("join token {id}"), fields(body.as_ref(), token)),
        FleetChange::Settings(_)
        | FleetChange::Authorities(_)
        | FleetChange::Restored(_)
        | FleetChange::HeldSite(..)
        | FleetChange::HeldToken(..)
        | FleetChange::HeldApiKey(..) => return Some(of_server(state, record)),
        FleetChange::Site(id, body) => {
            let of = |of: &linecamp_model::Registration| Fields::default().shown("state", of.life.phase);
            (site(state, *id), fields(body.as_ref(), of))
        }
        FleetChange::SiteKey(id, key, body) => (site(state, *id), present(&format!("key {key}"), body.is_some())),
        FleetChange::Host(id, host, body) => {
            let of = |of: &linecamp_model::HostRegistration| Fields::default().shown("state", of.life.phase);
            (format!("host {host} of {}", site(state, *id)), fields(body.as_ref(), of))
        }
        FleetChange::Spec(id, key, document) => {
            let body = document.as_ref().and_then(|document| document.body.as_ref());
            match key {
                DocumentKey::Site => (site(state, *id), body.map(spec).unwrap_or_default()),
                DocumentKey::Host(host) => {
                    (format!("host {host} of {}", site(state, *id)), body.map(spec).unwrap_or_default())
                }
                // It follows from the provider of the environment, or from the token.
                DocumentKey::Provider(_) | DocumentKey::HostToken(_) => return None,
            }
        }
        FleetChange::RevokedKey(key, at) => ("revoked keys".to_owned(), present(&format!("key {key}"), at.is_some())),
        FleetChange::Provider(environment, name, body) => {
            (format!("provider {environment}/{name}"), fields(body.as_deref(), provider))
        }
        FleetChange::Plugin(digest, body) => {
            let of = |file: &linecamp_model::PluginFile| {
                Fields::default().shown("name", &file.name).shown("bytes", file.bytes)
            };
            (format!("plugin {digest}"), fields(body.as_ref(), of))
        }
        FleetChange::BulkAction(id, body) => (format!("bulk action {id}"), fields(body.as_deref(), bulk_action)),
        FleetChange::Origin(_)
        | FleetChange::TokenUse(..)
        | FleetChange::Status(..)
        | FleetChange::HostMember(..)
        | FleetChange::ReplicationCursor(..)
        | FleetChange::Event(..)
        | FleetChange::Servers(_)
        | FleetChange::KeptAnswer(..)
        | FleetChange::LinkGap(..)
        | FleetChange::SiteTrust(..)
        | FleetChange::AuditBlock(..)
        | FleetChange::AuditEntry(..) => return None,
    })
}

/// Describes a record of the server itself, or of a restore.
fn of_server(state: &FleetState, record: &FleetChange) -> (String, Fields) {
    match record {
        FleetChange::Settings(body) => {
            let of = |settings: &linecamp_model::ServerSettings| {
                Fields::default().shown("server_url", format!("https://{}", settings.server_url))
            };
            ("server".to_owned(), fields(body.as_ref(), of))
        }
        FleetChange::Authorities(body) => {
            let of = |told: &linecamp_model::FleetAuthorities| {
                let pins: Vec<_> = told.set.pins().map(|pin| pin.to_string()).collect();
                Fields::default().shown("set", told.set.number).shown("pins", pins.join(" "))
            };
            ("certificate authorities".to_owned(), fields(body.as_ref(), of))
        }
        FleetChange::Restored(body) => {
            let of = |from: &linecamp_model::RestoredFrom| Fields::default().shown("backup_taken_at", from.taken_at);
            ("server".to_owned(), fields(body.as_ref(), of))
        }
        FleetChange::HeldSite(id, body) => (site(state, *id), present("held", body.is_some())),
        FleetChange::HeldToken(id, at) => (format!("join token {id}"), present("held", at.is_some())),
        FleetChange::HeldApiKey(secret, at) => {
            let name = state.api_keys.get(secret).map(|key| format!("API key {} ({})", key.name, key.id));
            (name.unwrap_or_else(|| "API key".to_owned()), present("held", at.is_some()))
        }
        _ => (String::new(), Fields::default()),
    }
}

/// Returns a field that is there or not.
fn present(field: &str, is_there: bool) -> Fields {
    Fields::default().optional(field, is_there.then_some("yes"))
}

/// Returns the fields of a record; none if it does not exist.
fn fields<T>(body: Option<&T>, of: impl FnOnce(&T) -> Fields) -> Fields {
    body.map(of).unwrap_or_default()
}

/// Returns the name of a site. One that joins in this change has none yet.
fn site(state: &FleetState, id: SiteId) -> String {
    match state.sites.get(&id).and_then(|record| record.site_spec()) {
        Some(spec) => format!("site {}/{}", spec.environment, spec.name),
        None => format!("site {id}"),
    }
}

fn environment(rules: &Environment) -> Fields {
    Fields::default()
        .shown("approval", rules.approval)
        .shown("recoveries_per_day_max", rules.recoveries_per_day_max)
        .shown("removed_keep_seconds", rules.removed_keep.as_secs())
}

fn user(user: &User) -> Fields {
    Fields::default()
        .access(&user.access)
        .hidden("password", user.password.as_ref().map(|hash| hash.as_str().to_owned()))
        .shown("must_change_password", user.must_change_password)
        .optional("disabled_at", user.disabled_at)
}

fn api_key(key: &ApiKey) -> Fields {
    let fields = Fields::default().optional("user", key.user.as_ref()).optional("expires_at", key.expires_at);
    let fields = fields.optional("replaced", key.is_replaced.then_some("yes")).shown("created_at", key.created_at);
    key.limit.iter().fold(fields, |fields, limit| fields.shown("limited", "yes").access(limit))
}

fn token(token: &Token) -> Fields {
    Fields::default()
        .shown("environment", &token.environment)
        .shown("expires_at", token.expires_at)
        .shown("uses_max", token.uses_max)
        .optional("replaces", token.replaces)
        .optional("revoked_at", token.revoked_at)
        .labels(&token.labels)
}

fn spec(body: &SpecBody) -> Fields {
    match body {
        SpecBody::Site(SiteSpec { name, environment, description, target, assigned }) => Fields::default()
            .shown("name", name)
            .shown("environment", environment)
            .shown("description", description)
            .shown("target", target.as_str())
            .labels(assigned),
        SpecBody::Host(HostSpec { name, origin, description, target, assigned, member: _ }) => Fields::default()
            .shown("name", name)
            .shown("origin", origin.as_str())
            .shown("description", description)
            .shown("target", target.as_str())
            .labels(assigned),
        SpecBody::Provider(_) | SpecBody::HostToken(_) => Fields::default(),
    }
}

/// Beside the change itself, the sites by name: an entry may have no room for the fields of each.
fn bulk_action(action: &BulkAction) -> Fields {
    let changed = action.sites.iter().filter(|site| matches!(site.outcome, BulkOutcome::Requested(_)));
    let mut environments = BTreeMap::<_, Vec<_>>::new();
    changed.for_each(|site| environments.entry(&site.environment).or_default().push(site.name.as_str()));
    let named = environments.into_iter().flat_map(|(environment, names)| {
        let parts = lines(&names).into_iter().enumerate();
        parts.map(move |(part, names)| (format!("sites in {environment}, part {:02}", part + 1), names))
    });
    let fields = Fields::default().shown("action", action.action).shown("sites", action.sites.len());
    let fields =
        action.labels.set.iter().fold(fields, |fields, (key, value)| fields.shown(format!("label {key}"), value));
    let removed = action.labels.remove.iter();
    let fields = removed.fold(fields, |fields, key| fields.shown(format!("label {key}"), "(removed)"));
    named.fold(fields, |fields, (field, names)| fields.shown(field, names))
}

/// Joins names to texts that are not cut.
fn lines(names: &[&str]) -> Vec<String> {
    let mut lines = vec![String::new()];
    for name in names {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + name.len() <= AUDIT_VALUE_BYTES_MAX => {
                line.push_str(if line.is_empty() { "" } else { " " });
                line.push_str(name);
            }
            _ => lines.push((*name).to_owned()),
        }
    }
    lines
}

/// The plugin's own settings may hold what is secret, against the rules: they are compared, and not shown.
fn provider(provider: &FleetProvider) -> Fields {
    let spec = &provider.spec;
    let dns = spec.dns();
    let zones: Vec<_> = dns.zones.iter().map(ToString::to_string).collect();
    let secrets = spec.secrets.iter();
    let fields = Fields::default()
        .shown("sites", &provider.sites)
        .shown("match_facts", provider.matches_facts)
        .shown("plugin", &spec.plugin.name)
        .optional("digest", spec.plugin.digest)
        .shown("owner", dns.owner.as_str())
        .shown("zones", zones.join(" "))
        .shown("ttl", dns.ttl.seconds())
        .shown("hosts", &dns.hosts)
        .shown("allow_deletes", dns.allow_deletes)
        .shown("dry_run", spec.is_dry_run)
        .shown("withdraw", spec.is_withdrawing)
        .hidden("config", Some(spec.config.as_str().to_owned()))
        .hidden("other settings", Some(format!("{:?} {dns:?}", spec.grant)));
    secrets.fold(fields, |fields, (name, at_site)| fields.shown(format!("secret {name}"), at_site))
}

#[cfg(test)]
mod tests {
    use linecamp_model::{BulkActionId, LabelPatch, PasswordHash, Role, SiteAction};

    use super::*;
    use crate::fleet::account_testing::with_people;
    use crate::fleet::operator::decide;
    use crate::fleet::testing::{NOW, join, state_with_site};
    use crate::fleet::{AccountCommand, FleetCommand, IssuedCommand, NewBulkAction};
    use crate::staging::Replay as _;
    use crate::testing::{key, name, patch, site_ref};

    /// Returns what a command changes.
    fn changed(mut state: FleetState, command: FleetCommand) -> Vec<String> {
        let decided = decide(&state, IssuedCommand::of_console(command), NOW).expect("it is possible").changes;
        let before: Vec<_> = decided.iter().map(|change| state.apply(change.clone())).collect();
        before.iter().rev().for_each(|undo| drop(state.apply(undo.clone())));
        let shown = |text: &Option<Text>| text.as_ref().map_or_else(|| "-".to_owned(), ToString::to_string);
        let line = |change: &AuditChange| {
            format!("{}: {}: {} -> {}", change.object, change.field, shown(&change.before), shown(&change.after))
        };
        changes(&state, before.iter().zip(&decided)).listed.iter().map(line).collect()
    }

    #[test]
    fn a_change_shows_the_value_before_and_after() {
        let (mut state, _) = state_with_site();
        let label = |text| FleetCommand::PatchLabels(site_ref("s1").into(), patch(&[text]));
        assert_eq!(changed(state.clone(), label("rack=r6")), ["site default/s1: label rack: - -> r6"]);
        for change in decide(&state, IssuedCommand::of_console(label("rack=r6")), NOW).unwrap().changes {
            state.apply(change);
        }
        assert_eq!(changed(state, label("rack=r7")), ["site default/s1: label rack: r6 -> r7"]);
    }

    #[test]
    fn a_password_is_not_shown() {
        let secret = PasswordHash::parse("$test$another").unwrap();
        let reset = AccountCommand::ResetPassword(name("anna"), secret);
        let lines = changed(with_people(), reset.into());
        assert!(lines.contains(&"user anna: password: (hidden) -> (hidden)".to_owned()), "{lines:?}");
        assert!(lines.iter().any(|line| line.starts_with("session 0e0e0e0e0e0e0e0e of anna: ends_at: ")), "{lines:?}");
        assert!(!lines.concat().contains("another") && !lines.concat().contains("$test"), "{lines:?}");
    }

    #[test]
    fn a_role_is_shown_where_it_holds() {
        let edit = crate::fleet::UserEdit {
            everywhere: Some(None),
            environments: vec![(name("default"), Some(Role::Admin))],
            is_disabled: None,
        };
        let lines = changed(with_people(), AccountCommand::EditUser(name("anna"), edit).into());
        assert_eq!(lines, ["user anna: role: operator -> -", "user anna: role in default: - -> admin"]);
    }

    #[test]
    fn an_entry_of_a_bulk_action_names_its_sites_before_their_fields() {
        let (mut state, first) = state_with_site();
        let others: Vec<_> = (2..80).map(|number| join(&mut state, number)).collect();
        let new = NewBulkAction {
            id: BulkActionId::from_bytes([7; 8]),
            action: SiteAction::Label,
            labels: LabelPatch { remove: [key("rack")].into(), ..patch(&["ring=canary"]) },
            sites: others.into_iter().chain([first]).map(|site| (site, None)).collect(),
        };
        let lines = changed(state, FleetCommand::ActOnSites(Box::new(new)));
        let about = "bulk action 0707070707070707: ";
        let expected =
            ["action: - -> label", "label rack: - -> (removed)", "label ring: - -> canary", "sites: - -> 79"];
        assert_eq!(lines[..4], expected.map(|line| format!("{about}{line}")));
        let named: Vec<_> = lines.iter().filter_map(|line| line.strip_prefix(about)?.split_once(" -> ")).collect();
        let named: Vec<_> = named[4..].iter().flat_map(|(_, names)| names.split(' ')).collect();
        assert_eq!(named.len(), 79, "{lines:?}");
        assert!(lines.contains(&"site default/s1: label ring: - -> canary".to_owned()), "{lines:?}");
    }
}
