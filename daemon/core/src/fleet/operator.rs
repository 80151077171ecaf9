//! What operators may ask for, and what it changes.
//!
//! Each request is decided on the state of this moment and becomes a list of changes; the reply leaves when
//! they are durable. A request that changes nothing is done at once: asking twice is no error.

use std::time::Duration;

use linecamp_model::limits::{API_KEYS_MAX, ENVIRONMENTS_MAX, TOKEN_TTL_MAX, TOKEN_USES_MAX, TOKENS_MAX};
use linecamp_model::{
    ApiKey, Document, DocumentKey, Environment, EventKind, FleetChange, FleetProvider, LabelError, LabelPatch,
    LabelSet, Life, Name, Now, Phase, PhaseEvent, PluginDigest, PluginFile, Registration, SecretHash, SiteId, SpecBody,
    Target, Text, Token, TokenId,
};

use super::providers::{add_plugin, remove_plugin, remove_provider, set_provider};
use super::state::{FleetState, SiteRecord};
use super::subject::{SiteRef, Subject};
use crate::StoreFault;
use crate::mutants::{Mutant, planted};
use crate::site::describe_patch;

/// A new join token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewToken {
    /// Its id, drawn by the caller.
    pub id: TokenId,
    /// The hash of its secret, drawn by the caller.
    pub secret: SecretHash,
    /// Where its sites go.
    pub environment: Name,
    /// How long it works.
    pub ttl: Duration,
    /// How many sites it may create.
    pub uses: u32,
    /// Labels its sites are given.
    pub labels: LabelPatch,
}

/// What to change about a site or host; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edit {
    /// A new name.
    pub name: Option<Name>,
    /// A new description.
    pub description: Option<Text>,
}

/// What to change about an environment; `None` leaves a thing as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EnvironmentEdit {
    /// Whether joined sites wait until an operator accepts them.
    pub approval: Option<bool>,
    /// How many recoveries one site may have a day.
    pub recoveries_per_day_max: Option<u32>,
    /// How long a removed site is kept.
    pub removed_keep: Option<Duration>,
}

/// What an operator may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetCommand {
    /// Make a join token.
    CreateToken(NewToken),
    /// Revoke a join token.
    RevokeToken(TokenId),
    /// Make an environment.
    CreateEnvironment(Name, EnvironmentEdit),
    /// Change an environment's rules.
    EditEnvironment(Name, EnvironmentEdit),
    /// Let an API key in.
    AddApiKey(SecretHash, Name),
    /// Change assigned labels.
    PatchLabels(Subject, SiteRef, LabelPatch),
    /// Change name or description.
    Edit(Subject, SiteRef, Edit),
    /// Accept a pending site.
    Accept(SiteRef),
    /// Take out of service.
    Deactivate(Subject, SiteRef),
    /// Bring back into service.
    Activate(Subject, SiteRef),
    /// Give an environment a provider; with `true` also in place of one of its name.
    SetProvider(Name, Box<FleetProvider>, bool),
    /// Take a provider from an environment: its sites withdraw its records; with force they leave them and let it go.
    RemoveProvider(Name, Name, Force),
    /// Note a plugin whose component has been stored.
    AddPlugin(PluginDigest, PluginFile),
    /// Forget a plugin that no provider uses.
    RemovePlugin(PluginDigest),
    /// Remove a site; `force` from any phase, and without waiting for it.
    Remove(SiteRef, Force),
}

/// Whether to remove a site, or a provider, without waiting for its word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Force {
    /// A site only from `inactive`, and `removed` when it has confirmed; a provider when its records are withdrawn.
    No,
    /// From any phase, and at once.
    Yes,
}

/// Why a request was not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FleetCommandError {
    /// No such thing: what was looked for.
    NotFound(String),
    /// Several are meant: in which environments.
    Ambiguous(String),
    /// Another one has that name.
    NameTaken(String),
    /// It cannot be done as things stand: why, and what to do.
    NotPossible(String),
    /// There are as many as may be.
    Limit(String),
    /// A value is out of its range: which, and what range.
    Invalid(String),
    /// The labels would be too many.
    Labels(LabelError),
    /// The store could not commit; nothing was changed.
    Store(StoreFault),
}

/// What to write into the book: what kind of thing, about which site, in words.
pub(crate) type Note = (EventKind, Option<SiteId>, String);

/// What a request comes to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Decision {
    pub(crate) changes: Vec<FleetChange>,
    /// What to write into the book about it.
    pub(crate) event: Option<Note>,
    /// The site whose spec or life changed.
    pub(crate) site: Option<SiteId>,
}

pub(super) type Decided = Result<Decision, FleetCommandError>;

/// Decides about a request.
pub(crate) fn decide(state: &FleetState, command: FleetCommand, now: Now) -> Decided {
    match command {
        FleetCommand::CreateToken(token) => create_token(state, token, now),
        FleetCommand::RevokeToken(id) => revoke_token(state, id, now),
        FleetCommand::CreateEnvironment(name, edit) => create_environment(state, name, &edit),
        FleetCommand::EditEnvironment(name, edit) => edit_environment(state, name, &edit),
        FleetCommand::AddApiKey(..) if API_KEYS_MAX <= state.api_keys.len() => {
            let text = format!("there are {API_KEYS_MAX} API keys, as many as may be: remove some");
            Err(FleetCommandError::Limit(text))
        }
        FleetCommand::AddApiKey(hash, name) => {
            let key = ApiKey { name, created_at: now.wall };
            Ok(Decision { changes: vec![FleetChange::ApiKey(hash, Some(key))], ..Decision::default() })
        }
        FleetCommand::PatchLabels(subject, site, patch) => patch_labels(state, subject, &site, &patch, now),
        FleetCommand::Edit(subject, site, edit) => edit_subject(state, subject, &site, edit),
        FleetCommand::Accept(site) => transition(state, Subject::Site, &site, PhaseEvent::Accepted, now),
        FleetCommand::Deactivate(subject, site) => {
            transition(state, subject, &site, PhaseEvent::DeactivateRequested, now)
        }
        FleetCommand::Activate(subject, site) => transition(state, subject, &site, PhaseEvent::ActivateAsked, now),
        FleetCommand::SetProvider(environment, provider, replace) => {
            set_provider(state, environment, *provider, replace)
        }
        FleetCommand::RemoveProvider(environment, name, force) => remove_provider(state, environment, name, force),
        FleetCommand::AddPlugin(digest, file) => add_plugin(state, digest, file),
        FleetCommand::RemovePlugin(digest) => remove_plugin(state, digest),
        FleetCommand::Remove(site, Force::No) => transition(state, Subject::Site, &site, PhaseEvent::RemoveAsked, now),
        FleetCommand::Remove(site, Force::Yes) => {
            transition(state, Subject::Site, &site, PhaseEvent::RemoveForced, now)
        }
    }
}

/// Returns the one site that is meant.
pub(crate) fn find(state: &FleetState, subject: Subject, site: &SiteRef) -> Result<SiteId, FleetCommandError> {
    match state.named(subject, site.environment.as_ref(), &site.name)[..] {
        [id] => Ok(id),
        [] => {
            let place = site
                .environment
                .as_ref()
                .map_or_else(String::new, |environment| format!(" in environment {environment}"));
            Err(FleetCommandError::NotFound(format!("there is no {} {}{place}", subject.as_str(), site.name)))
        }
        [id, ..] if state.site(id).is_some_and(|(_, registration)| registration.life.phase.is_gone()) => Ok(id),
        ref several => {
            let environments =
                several.iter().filter_map(|id| state.site(*id)).map(|(_, of)| of.environment.to_string());
            let environments = environments.collect::<Vec<_>>().join(", ");
            Err(FleetCommandError::Ambiguous(format!(
                "several environments have a {} {}: say which with --environment ({environments})",
                subject.as_str(),
                site.name
            )))
        }
    }
}

fn create_token(state: &FleetState, new: NewToken, now: Now) -> Decided {
    check_environment(state, &new.environment)?;
    if new.ttl.is_zero() || TOKEN_TTL_MAX < new.ttl {
        let days = TOKEN_TTL_MAX.as_secs() / 86_400;
        return Err(FleetCommandError::Invalid(format!("a token's time is more than 0 and at most {days} days")));
    }
    if new.uses == 0 || TOKEN_USES_MAX < new.uses {
        return Err(FleetCommandError::Invalid(format!("a token has 1 to {TOKEN_USES_MAX} uses, not {}", new.uses)));
    }
    if TOKENS_MAX <= state.tokens.len() {
        return Err(FleetCommandError::Limit(format!(
            "there are {TOKENS_MAX} join tokens, as many as may be: revoke some"
        )));
    }
    let token = Token {
        secret: new.secret,
        environment: new.environment.clone(),
        created_at: now.wall,
        expires_at: now.wall + new.ttl,
        uses_max: new.uses,
        labels: LabelSet::default().patched(&new.labels, now.wall).map_err(FleetCommandError::Labels)?,
        revoked_at: None,
    };
    let text =
        format!("token {} for environment {}, {} uses, until {}", new.id, new.environment, new.uses, token.expires_at);
    Ok(Decision {
        changes: vec![FleetChange::Token(new.id, Some(token))],
        event: Some((EventKind::TokenCreated, None, text)),
        site: None,
    })
}

fn revoke_token(state: &FleetState, id: TokenId, now: Now) -> Decided {
    let Some(token) = state.tokens.get(&id) else {
        return Err(FleetCommandError::NotFound(format!("there is no token {id}; `linecamp token ls` lists them")));
    };
    if token.revoked_at.is_some() {
        return Ok(Decision::default());
    }
    let revoked = Token { revoked_at: Some(now.wall), ..token.clone() };
    Ok(Decision {
        changes: vec![FleetChange::Token(id, Some(revoked))],
        event: Some((EventKind::TokenRevoked, None, format!("token {id}"))),
        site: None,
    })
}

fn create_environment(state: &FleetState, name: Name, edit: &EnvironmentEdit) -> Decided {
    if state.environments.contains_key(&name) {
        return Err(FleetCommandError::NameTaken(format!("environment {name} exists already")));
    }
    if ENVIRONMENTS_MAX <= state.environments.len() {
        return Err(FleetCommandError::Limit(format!("there are {ENVIRONMENTS_MAX} environments, as many as may be")));
    }
    Ok(change_environment(name, super::ENVIRONMENT_DEFAULT, edit))
}

fn edit_environment(state: &FleetState, name: Name, edit: &EnvironmentEdit) -> Decided {
    check_environment(state, &name)?;
    let before = state.environments.get(&name).copied().unwrap_or(super::ENVIRONMENT_DEFAULT);
    Ok(change_environment(name, before, edit))
}

fn change_environment(name: Name, before: Environment, edit: &EnvironmentEdit) -> Decision {
    let after = Environment {
        approval: edit.approval.unwrap_or(before.approval),
        recoveries_per_day_max: edit.recoveries_per_day_max.unwrap_or(before.recoveries_per_day_max),
        removed_keep: edit.removed_keep.unwrap_or(before.removed_keep),
    };
    let text =
        format!("environment {name}: approval {}, {} recoveries a day", after.approval, after.recoveries_per_day_max);
    Decision {
        changes: vec![FleetChange::Environment(name, Some(after))],
        event: Some((EventKind::EnvironmentChanged, None, text)),
        site: None,
    }
}

pub(super) fn check_environment(state: &FleetState, name: &Name) -> Result<(), FleetCommandError> {
    if state.environments.contains_key(name) {
        return Ok(());
    }
    let known: Vec<_> = state.environments.keys().map(Name::as_str).collect();
    Err(FleetCommandError::NotFound(format!("there is no environment {name}; there are: {}", known.join(", "))))
}

fn patch_labels(state: &FleetState, subject: Subject, site: &SiteRef, patch: &LabelPatch, now: Now) -> Decided {
    let id = find(state, subject, site)?;
    let record = live_record(state, id, site)?;
    let (key, body) = subject_spec(record, id, subject, site)?;
    let patched = |labels: &LabelSet| labels.patched(patch, now.wall).map_err(FleetCommandError::Labels);
    let after = match body.clone() {
        SpecBody::Site(spec) => SpecBody::Site(linecamp_model::SiteSpec { assigned: patched(&spec.assigned)?, ..spec }),
        SpecBody::Host(spec) => SpecBody::Host(linecamp_model::HostSpec { assigned: patched(&spec.assigned)?, ..spec }),
        provider @ SpecBody::Provider(_) => provider,
    };
    let event = (EventKind::LabelsAssigned, format!("{}: {}", subject.as_str(), describe_patch(patch)));
    Ok(spec_change(record, id, key, (body, after), event))
}

fn edit_subject(state: &FleetState, subject: Subject, site: &SiteRef, edit: Edit) -> Decided {
    let id = find(state, subject, site)?;
    let record = live_record(state, id, site)?;
    let (key, body) = subject_spec(record, id, subject, site)?;
    if let (Some(name), Some(spec)) = (&edit.name, record.site_spec())
        && state.is_name_taken(subject, &spec.environment, name, Some(id))
    {
        let text = format!("environment {} has a {} {name} already", spec.environment, subject.as_str());
        return Err(FleetCommandError::NameTaken(text));
    }
    let words = format!("{}: name and description edited", subject.as_str());
    let after = match body.clone() {
        SpecBody::Site(mut spec) => {
            spec.name = edit.name.unwrap_or(spec.name);
            spec.description = edit.description.unwrap_or(spec.description);
            SpecBody::Site(spec)
        }
        SpecBody::Host(mut spec) => {
            spec.name = edit.name.unwrap_or(spec.name);
            spec.description = edit.description.unwrap_or(spec.description);
            SpecBody::Host(spec)
        }
        provider @ SpecBody::Provider(_) => provider,
    };
    Ok(spec_change(record, id, key, (body, after), (EventKind::Edited, words)))
}

/// Moves a site or its gateway along the graph of its life, and says so in its spec.
fn transition(state: &FleetState, subject: Subject, site: &SiteRef, asked: PhaseEvent, now: Now) -> Decided {
    let id = find(state, subject, site)?;
    let (record, registration) =
        state.site(id).ok_or_else(|| FleetCommandError::NotFound(format!("there is no site {}", site.name)))?;
    let life = subject.life(registration);
    let Some(phase) = life.phase.after(asked) else {
        return if is_noop(life.phase, asked) {
            Ok(Decision::default())
        } else {
            Err(cannot(subject, site, life.phase, asked))
        };
    };
    let (key, body) = subject_spec(record, id, subject, site)?;
    let target = match phase {
        Phase::Pending => Target::Pending,
        Phase::Registering | Phase::Active | Phase::Activating => Target::Active,
        Phase::Deactivating | Phase::Inactive => Target::Inactive,
        Phase::Removing | Phase::Removed | Phase::Purged => Target::Removed,
    };
    let after = match body.clone() {
        SpecBody::Site(spec) => SpecBody::Site(linecamp_model::SiteSpec { target, ..spec }),
        SpecBody::Host(spec) => SpecBody::Host(linecamp_model::HostSpec { target, ..spec }),
        provider @ SpecBody::Provider(_) => provider,
    };
    let mut decision = spec_change(record, id, key, (body, after), (EventKind::PhaseChanged, String::new()));
    let head = record.spec.head();
    let requested_at = if decision.changes.is_empty() { head } else { head.next() };
    let life = Life { phase, since: now.wall, requested_at };
    decision.changes.extend(life_changes(id, registration, subject, life, now));
    decision.site = Some(id);
    let kind = if asked == PhaseEvent::Accepted { EventKind::SiteAccepted } else { EventKind::PhaseChanged };
    decision.event = Some((kind, Some(id), format!("{} is {phase}", subject.as_str())));
    Ok(decision)
}

/// Returns the changes that give a site or its gateway a new place in its life. A site that is gone takes
/// its gateway along, and its key with it.
pub(crate) fn life_changes(
    id: SiteId,
    registration: &Registration,
    subject: Subject,
    life: Life,
    now: Now,
) -> Vec<FleetChange> {
    let mut after = registration.clone();
    match subject {
        Subject::Site => after.life = life,
        Subject::Gateway => after.gateway = life,
    }
    let is_gone = subject == Subject::Site && life.phase.is_gone();
    if is_gone {
        after.gateway = life;
    }
    let is_kept = is_gone && !planted(Mutant::LostTombstone);
    let departed = is_kept.then_some(FleetChange::RevokedKey(registration.fingerprint, Some(now.wall)));
    [FleetChange::Site(id, Some(after))].into_iter().chain(departed).collect()
}

fn spec_change(
    record: &SiteRecord,
    id: SiteId,
    key: DocumentKey,
    (before, after): (&SpecBody, SpecBody),
    (kind, text): (EventKind, String),
) -> Decision {
    if *before == after {
        return Decision::default();
    }
    let document = Document { generation: record.spec.head().next(), body: Some(after) };
    Decision {
        changes: vec![FleetChange::Spec(id, key, Some(document))],
        event: Some((kind, Some(id), text)),
        site: Some(id),
    }
}

fn live_record<'a>(state: &'a FleetState, id: SiteId, site: &SiteRef) -> Result<&'a SiteRecord, FleetCommandError> {
    match state.site(id) {
        Some((record, registration)) if !registration.life.phase.is_gone() => Ok(record),
        Some(_) | None => Err(FleetCommandError::NotPossible(format!("site {} was removed", site.name))),
    }
}

fn subject_spec<'a>(
    record: &'a SiteRecord,
    id: SiteId,
    subject: Subject,
    site: &SiteRef,
) -> Result<(DocumentKey, &'a SpecBody), FleetCommandError> {
    let key = match subject {
        Subject::Site => DocumentKey::Site,
        Subject::Gateway => DocumentKey::Host(id.gateway()),
    };
    let body =
        record.spec.body(key).ok_or_else(|| FleetCommandError::NotFound(format!("{} has no spec", site.name)))?;
    Ok((key, body))
}

/// Whether what is asked has happened, or is happening, already.
const fn is_noop(phase: Phase, asked: PhaseEvent) -> bool {
    match asked {
        PhaseEvent::Accepted => matches!(phase, Phase::Registering | Phase::Active),
        PhaseEvent::DeactivateRequested => matches!(phase, Phase::Deactivating | Phase::Inactive),
        PhaseEvent::ActivateAsked => matches!(phase, Phase::Registering | Phase::Activating | Phase::Active),
        PhaseEvent::RemoveAsked => matches!(phase, Phase::Removing | Phase::Removed),
        PhaseEvent::RemoveForced => phase.is_gone(),
        PhaseEvent::Reported | PhaseEvent::Confirmed | PhaseEvent::KeepOver => false,
    }
}

fn cannot(subject: Subject, site: &SiteRef, phase: Phase, asked: PhaseEvent) -> FleetCommandError {
    let name = &site.name;
    let way_out = match (asked, phase) {
        (PhaseEvent::RemoveAsked, Phase::Active | Phase::Registering | Phase::Activating) => {
            format!(": deactivate it first (`linecamp site deactivate {name}`), or remove it with --force")
        }
        (PhaseEvent::RemoveAsked, Phase::Deactivating) => {
            ": wait until it is inactive, or remove it with --force".to_owned()
        }
        (_, Phase::Pending) => format!(": accept it first (`linecamp site accept {name}`)"),
        (_, Phase::Removing | Phase::Removed) => ": it is leaving for good".to_owned(),
        (_, _) => String::new(),
    };
    let what = match asked {
        PhaseEvent::Accepted => "accepted",
        PhaseEvent::DeactivateRequested => "deactivated",
        PhaseEvent::ActivateAsked => "activated",
        PhaseEvent::RemoveAsked | PhaseEvent::RemoveForced => "removed",
        PhaseEvent::Reported | PhaseEvent::Confirmed | PhaseEvent::KeepOver => "changed",
    };
    FleetCommandError::NotPossible(format!("{} {name} is {phase} and cannot be {what}{way_out}", subject.as_str()))
}
