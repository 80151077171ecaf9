//! People: operators at the server, and local users.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use linecamp_core::{
    Edit, EnvironmentEdit, FleetCommand, Force, HostRef, NewBulkAction, NewToken, PendingJoin, SiteCommand, SiteRef,
    SubjectRef,
};
use linecamp_model::limits::SITES_PER_BULK_ACTION_MAX;
use linecamp_model::{
    Actor, BulkActionId, LabelKey, LabelPatch, LabelValue, Level, MemberKind, Phase, SiteAction, SiteId, Text,
};

use super::End;
use super::{AGAIN, APPROVAL, HOSTILE_TOKENS, PENDING_TOKENS, SITES_PER_TOKEN, World, name};
use crate::act_kind::ActKind;
use crate::check::{LevelOf, Promise, What};
use crate::plan::Act;
use crate::transport::{NodeId, Transport};

/// Lifetime of join tokens.
const TOKEN_TTL: Duration = Duration::from_secs(366 * 24 * 3600);

/// How long a removed site is kept: shorter than usual, so that a site that was offline in the meantime comes back to a
/// server that has only its revoked key.
const REMOVED_KEEP: Duration = Duration::from_secs(6 * 3600);

/// Phases after a deactivation.
const OUT: [Phase; 2] = [Phase::Deactivating, Phase::Inactive];
/// Phases after an activation.
const IN: [Phase; 3] = [Phase::Registering, Phase::Activating, Phase::Active];
/// Phases after a removal.
const GONE: [Phase; 3] = [Phase::Removing, Phase::Removed, Phase::Purged];

impl<C: Transport> World<C> {
    /// Prepares the server for its sites.
    pub(super) fn prepare_server(&mut self) {
        let rules = EnvironmentEdit { removed_keep: Some(REMOVED_KEEP), ..EnvironmentEdit::default() };
        self.ask(FleetCommand::EditEnvironment(name("default"), rules), None);
        let has_members = self.scenario.members.is_some();
        if has_members {
            let rules = EnvironmentEdit { approval: Some(true), ..EnvironmentEdit::default() };
            self.ask(FleetCommand::CreateEnvironment(name(APPROVAL), rules), None);
        }
        for number in 0..=u64::from(self.scenario.sites.saturating_sub(1) / SITES_PER_TOKEN) {
            // One use too few: the last of each twenty is rejected, and given another token.
            self.create_token("default", number, SITES_PER_TOKEN - 1);
            if has_members {
                self.create_token(APPROVAL, PENDING_TOKENS + number, SITES_PER_TOKEN);
                self.create_token("default", HOSTILE_TOKENS + number, SITES_PER_TOKEN);
            }
        }
        self.set_provider(0);
    }

    fn create_token(&mut self, environment: &str, number: u64, uses: u32) {
        let token = self.token(number);
        let new = NewToken {
            joins_as: linecamp_core::JoinsAs::Site,
            id: token.id,
            secret: token.secret.hash(),
            environment: name(environment),
            ttl: TOKEN_TTL,
            uses,
            labels: LabelPatch::default(),
        };
        let slot = (None, What::Token(token.id));
        self.ask(FleetCommand::CreateToken(new), Some((slot, Promise::TokenThere)));
    }

    /// An operator gives a rejected site another token, and restarts it.
    pub(super) fn give_new_token(&mut self, node: NodeId) {
        let number = 1_000_000 + node as u64 * 1_000 + u64::from(self.nodes[node].boot);
        self.create_token("default", number, 1);
        if self.server.fleet.is_none() {
            let again = super::SimEvent::NewToken(node);
            return self.after(AGAIN, again);
        }
        let token = self.token(number);
        let of = &mut self.nodes[node];
        if let Some(End::Refused(_)) = of.end {
            of.end = None;
            of.join = Some(PendingJoin { token, kind: MemberKind::Site, name: of.name.clone(), site: None });
            // The server answers within milliseconds; people take longer.
            let boot = of.boot;
            self.after(Duration::from_secs(5), super::SimEvent::FaultEnd(super::FaultEnd::Off(node, boot)));
        }
    }

    /// An operator accepts a site once it has joined. A site that has left, or was never pending, needs no approval.
    pub(super) fn accept(&mut self, node: NodeId) {
        let (key, now) = (self.nodes[node].key, self.server.now(self.elapsed));
        let fleet = self.server.fleet.as_deref();
        let view = fleet.zip(self.site_of(node)).and_then(|(fleet, site)| fleet.view().site_by_id(site, now));
        match view {
            Some(view) if view.phase == Phase::Pending => {
                self.request_site_transition(node, &IN, FleetCommand::Accept);
            }
            Some(_) => {}
            None if fleet.is_some_and(|fleet| fleet.view().is_revoked(&key)) => {}
            None => self.after(AGAIN, super::SimEvent::Accept(node)),
        }
    }

    pub(super) fn act_as_operator(&mut self, act: Act) {
        let node = act.site as NodeId;
        match act.kind {
            ActKind::Label => self.label(node, act.draw),
            ActKind::LabelAll => self.label_all(act.draw),
            ActKind::Edit => self.edit(node, act.draw),
            ActKind::Deactivate => self.request_transition(node, level(act.draw), &OUT, FleetCommand::Deactivate),
            ActKind::Activate => self.request_transition(node, level(act.draw), &IN, FleetCommand::Activate),
            ActKind::Remove => {
                let force = if act.draw.is_multiple_of(2) { Force::Yes } else { Force::No };
                if let (Force::Yes, Some(site)) = (force, self.site_of(node)) {
                    self.watch.allow_leftover_records(site);
                }
                self.request_site_transition(node, &GONE, |site| FleetCommand::Remove(site.into(), force));
            }
            ActKind::TokenCreate => self.create_token("default", 10_000 + act.draw % 1_000, 1),
            ActKind::Accept => self.accept(node),
            ActKind::TokenRevoke => {
                let tokens = u64::from(self.scenario.sites.div_ceil(SITES_PER_TOKEN));
                let token = self.token(act.draw % tokens.max(1));
                let slot = (None, What::Token(token.id));
                self.ask(FleetCommand::RevokeToken(token.id), Some((slot, Promise::TokenRevoked)));
            }
            ActKind::LocalLabel => self.set_local_label(node, act.draw),
            ActKind::DropIns => self.change_drop_ins(node, act.draw),
            ActKind::Facts => {
                let (key, value) = label("cpus", &(2 << (act.draw % 6)).to_string());
                self.nodes[node].facts.insert(key, value);
            }
            _ => {}
        }
    }

    /// Returns an operator's reference to a site: its name in the list of sites.
    fn site_ref(&self, node: NodeId) -> Option<SiteRef> {
        let now = self.server.now(self.elapsed);
        let view = self.server.fleet.as_ref()?.view().site_by_id(self.site_of(node)?, now)?;
        Some(SiteRef { environment: None, name: view.name })
    }

    /// Returns an operator's reference to a site or its gateway: the address of a host is `SITE/HOST`.
    fn subject_ref(&self, node: NodeId, level: LevelOf) -> Option<SubjectRef> {
        if level == LevelOf::Site {
            return self.site_ref(node).map(SubjectRef::Site);
        }
        let now = self.server.now(self.elapsed);
        let view = self.server.fleet.as_ref()?.view().site_by_id(self.site_of(node)?, now)?;
        let name = view.gateway()?.name.clone();
        Some(HostRef { environment: None, site: Some(view.name), name }.into())
    }

    fn label(&mut self, node: NodeId, draw: u64) {
        let level = level(draw);
        let (key, value) = label(&format!("k{}", draw / 2 % 5), &format!("v{}", draw / 64 % 1_000));
        self.assign(node, level, key, (!draw.is_multiple_of(8)).then_some(value));
    }

    /// An operator labels all sites that are not removed, with bulk actions.
    fn label_all(&mut self, draw: u64) {
        let (key, value) = label(&format!("k{}", draw / 2 % 5), &format!("v{}", draw / 64 % 1_000));
        let now = self.server.now(self.elapsed);
        let Some(fleet) = &self.server.fleet else { return };
        let ids = (0..self.plan.site_slots.len()).filter_map(|node| self.site_of(node));
        let views = ids.filter_map(|site| fleet.view().site_by_id(site, now));
        let sites: BTreeSet<_> = views.filter(|view| !view.phase.is_gone()).map(|view| view.id).collect();
        for sites in sites.into_iter().collect::<Vec<_>>().chunks(SITES_PER_BULK_ACTION_MAX) {
            let new = NewBulkAction {
                id: BulkActionId::from_bytes(self.server.next_command.0.to_be_bytes()),
                action: SiteAction::Label,
                labels: LabelPatch { set: BTreeMap::from([(key.clone(), value.clone())]), ..LabelPatch::default() },
                sites: sites.iter().map(|site| (*site, None)).collect(),
            };
            let slot = |site: &SiteId| (Some(*site), What::Label(LevelOf::Site, key.clone()));
            let claims: Vec<_> = sites.iter().map(|site| (slot(site), Promise::Label(Some(value.clone())))).collect();
            self.ask(FleetCommand::ActOnSites(Box::new(new)), claims);
        }
    }

    /// An operator sets or removes a label.
    pub(super) fn assign(&mut self, node: NodeId, level: LevelOf, key: LabelKey, value: Option<LabelValue>) {
        let Some(subject) = self.subject_ref(node, level) else { return };
        let patch = match value.clone() {
            None => LabelPatch { remove: BTreeSet::from([key.clone()]), ..LabelPatch::default() },
            Some(value) => LabelPatch { set: BTreeMap::from([(key.clone(), value)]), ..LabelPatch::default() },
        };
        let slot = (self.site_of(node), What::Label(level, key));
        let claim = Promise::Label(value);
        self.ask(FleetCommand::PatchLabels(subject, patch), Some((slot, claim)));
    }

    fn edit(&mut self, node: NodeId, draw: u64) {
        let Some(site) = self.site_ref(node) else { return };
        let description = Text::lossy(&format!("visited {}", draw % 100_000));
        let own = &self.nodes[node].name;
        let renamed =
            draw.is_multiple_of(4).then(|| if site.name == *own { name(&format!("{own}-b")) } else { own.clone() });
        let slot = (self.site_of(node), What::Description);
        let claim = Promise::Description(description.clone());
        let edit = Edit { name: renamed, description: Some(description) };
        self.ask(FleetCommand::Edit(site.into(), edit), Some((slot, claim)));
    }

    fn request_transition(
        &mut self,
        node: NodeId,
        level: LevelOf,
        phases: &'static [Phase],
        command: impl FnOnce(SubjectRef) -> FleetCommand,
    ) {
        let Some(subject) = self.subject_ref(node, level) else { return };
        let slot = (self.site_of(node), What::Phase(level));
        self.ask(command(subject), Some((slot, Promise::Phases(phases))));
    }

    fn request_site_transition(
        &mut self,
        node: NodeId,
        phases: &'static [Phase],
        command: impl FnOnce(SiteRef) -> FleetCommand,
    ) {
        let Some(site) = self.site_ref(node) else { return };
        let slot = (self.site_of(node), What::Phase(LevelOf::Site));
        self.ask(command(site), Some((slot, Promise::Phases(phases))));
    }

    fn set_local_label(&mut self, node: NodeId, draw: u64) {
        let level = if draw.is_multiple_of(2) { Level::Site } else { Level::Host };
        let (key, value) = label(&format!("s{}", draw / 2 % 4), &format!("v{}", draw / 64 % 1_000));
        let (elapsed, of) = (self.elapsed, &mut self.nodes[node]);
        let now = of.now(elapsed);
        let Some(site) = &mut of.site else { return };
        let command = of.next_command;
        of.next_command = command.next();
        of.asked.insert(command, (level, key.clone(), value.clone()));
        self.watch.set_locally(&of.key, level, &key, &value);
        let patch = LabelPatch { set: BTreeMap::from([(key, value)]), ..LabelPatch::default() };
        site.handle_command(command, Actor::LocalSocket, SiteCommand::PatchLabels(level, patch), now);
        self.drain_node(node);
    }

    fn change_drop_ins(&mut self, node: NodeId, draw: u64) {
        let (key, value) = label("rack", &format!("r{}", draw % 50));
        let (elapsed, of) = (self.elapsed, &mut self.nodes[node]);
        of.drop_ins.labels.insert(Level::Host, BTreeMap::from([(key, value)]));
        of.drop_ins.invalid = (draw.is_multiple_of(5)).then(|| Text::lossy("10-rack.conf: line 3 is no label"));
        let now = of.now(elapsed);
        of.note_drop_ins(&mut self.watch);
        if let Some(site) = &mut of.site {
            site.handle_drop_ins(of.drop_ins.clone(), now);
            self.drain_node(node);
        }
    }
}

fn level(draw: u64) -> LevelOf {
    if draw.is_multiple_of(2) { LevelOf::Gateway } else { LevelOf::Site }
}

fn label(key: &str, value: &str) -> (LabelKey, LabelValue) {
    (LabelKey::parse(key).expect("a key"), LabelValue::parse(value).expect("a value"))
}
