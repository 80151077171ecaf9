//! The audit log of the whole machine.

use std::time::Duration;

use linecamp_model::{
    Access, Caller, CommandId, Identity, Name, OidcIdentity, RequestId, Requirement, Role, SecretHash, UserSessionId,
    VersionRange, WriteId,
};

use super::*;
use crate::StoreFault;
use crate::fleet::audit_note::AuditedRequest;
use crate::fleet::testing::{NOW, token};
use crate::fleet::{
    AccountCommand, Authorization, FleetCommand, FleetConfig, IssuedCommand, LoginProof, NewSession, OidcLogin,
};
use crate::rng::Rng;

fn fleet() -> Fleet {
    let versions = VersionRange { min: 1, max: 1 };
    let config = FleetConfig { versions, certificate_life: Duration::from_secs(86_400) };
    let mut fleet = Fleet::new(config, SavedFleet::default(), Rng::new(1), NOW);
    for (write, _) in persists(&mut fleet) {
        fleet.handle_persisted(write, NOW);
    }
    fleet
}

/// Drains the outputs, and returns the writes.
fn persists(fleet: &mut Fleet) -> Vec<(WriteId, Vec<FleetChange>)> {
    let mut writes = Vec::new();
    while let Some(output) = fleet.poll_output() {
        match output {
            FleetOutput::Persist { write, changes } => writes.push((write, changes)),
            FleetOutput::TryStore(write) => writes.push((write, Vec::new())),
            _ => {}
        }
    }
    writes
}

fn entries(changes: &[FleetChange]) -> Vec<&AuditEntry> {
    let entry = |change| match change {
        &FleetChange::AuditEntry(_, Some(ref entry)) => Some(&**entry),
        _ => None,
    };
    changes.iter().filter_map(entry).collect()
}

fn issued(number: usize, role: Role) -> IssuedCommand {
    let console = Authorization::console();
    let caller = Caller { identity: Identity::Console, address: None, request: RequestId::from_bytes([1; 8]) };
    let request = AuditedRequest { operation: "token.create", target: Text::lossy("/api/v1/tokens") };
    IssuedCommand {
        command: FleetCommand::CreateToken(token(number)),
        authorization: Authorization { caller, access: Access::everywhere(role), ..console },
        if_match: None,
        audited: Some(request),
    }
}

#[test]
fn the_entry_of_a_command_is_in_the_write_of_its_changes() {
    let mut fleet = fleet();
    fleet.handle_command(CommandId(1), issued(1, Role::Admin), NOW);
    let writes = persists(&mut fleet);
    let [(_, changes)] = &writes[..] else { panic!("one write: {writes:?}") };
    assert!(changes.iter().any(|change| matches!(change, FleetChange::Token(_, Some(_)))), "{changes:?}");
    assert!(changes.iter().any(|change| matches!(change, FleetChange::AuditBlock(0, Some(_)))), "{changes:?}");
    let found = entries(changes);
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].operation.as_str(), &found[0].outcome), ("token.create", &AuditOutcome::Done));
    assert!(found[0].changes.listed.iter().any(|change| change.field.as_str() == "uses_max"), "{found:?}");
}

#[test]
fn a_refused_command_has_an_entry_and_changes_nothing() {
    let mut fleet = fleet();
    fleet.handle_command(CommandId(1), issued(1, Role::Viewer), NOW);
    let writes = persists(&mut fleet);
    let [(_, changes)] = &writes[..] else { panic!("one write: {writes:?}") };
    assert_eq!(changes.len(), 2, "the entry and its block: {changes:?}");
    assert_eq!(entries(changes)[0].outcome, AuditOutcome::Refused(Text::lossy("forbidden")));
}

#[test]
fn a_command_that_the_store_refuses_has_its_entry_when_the_store_has_recovered() {
    let mut fleet = fleet();
    fleet.handle_command(CommandId(1), issued(1, Role::Admin), NOW);
    let (write, _) = persists(&mut fleet).remove(0);
    fleet.handle_persist_failed(write, StoreFault::DiskFull, NOW);
    assert!(persists(&mut fleet).is_empty(), "nothing is written while the store fails");
    assert_eq!((fleet.audit_counters().unwritten, fleet.audit_counters().extent.head.number), (1, 0));
    // Nothing of the failed write remains in the chain, and a flood of refusals meanwhile is bounded.
    for number in 2..1_000 {
        fleet.handle_command(CommandId(number), issued(usize::try_from(number).unwrap(), Role::Viewer), NOW);
    }
    let later = Now { instant: NOW.instant + Duration::from_secs(30), ..NOW };
    fleet.handle_timeout(later);
    let tried = persists(&mut fleet);
    assert_eq!(tried.len(), 1, "{tried:?}");
    fleet.handle_persisted(tried[0].0, later);
    let written = persists(&mut fleet);
    let outcomes: Vec<_> =
        written.iter().flat_map(|(_, changes)| entries(changes)).map(|entry| entry.outcome.clone()).collect();
    let code = |code| Text::lossy(code);
    assert_eq!(outcomes, [AuditOutcome::Failed(code("store-failed")), AuditOutcome::Refused(code("forbidden"))]);
    assert_eq!(fleet.audit_counters().unwritten, 0);
    // The counted ones follow at the end of the interval.
    for (write, _) in written {
        fleet.handle_persisted(write, later);
    }
    let (deadline, timer) = fleet.next_deadline().unwrap();
    assert_eq!(timer, crate::FleetTimer::Refusals);
    fleet.handle_timeout(Now { instant: deadline, ..NOW });
    let written = persists(&mut fleet);
    let counted = written.iter().flat_map(|(_, changes)| entries(changes)).find_map(|entry| entry.repeats);
    assert_eq!(counted.map(|repeats| repeats.count), Some(997));
}

#[test]
fn a_login_at_the_provider_is_by_its_user_and_a_withdrawal_by_the_server() {
    let mut fleet = fleet();
    let identity = OidcIdentity::new("https://id.example", "u-7").unwrap();
    let access = Access::everywhere(Role::Viewer);
    let login = OidcLogin { identity: identity.clone(), names: vec![Name::parse("mara").unwrap()], access };
    let id = UserSessionId::from_bytes([1; 8]);
    let secret = SecretHash::from_bytes([2; 32]);
    let begin = AccountCommand::BeginSession(NewSession { id, secret, proof: LoginProof::Oidc(login), address: None });
    let withdraw = AccountCommand::WithdrawOidcAccess(identity);

    let mut actors = Vec::new();
    for (number, command) in [begin, withdraw.clone(), withdraw].into_iter().enumerate() {
        let is_login = matches!(command, AccountCommand::BeginSession(_));
        let request = AuditedRequest { operation: "session.finish-oidc", target: Text::lossy("/api/v1/login") };
        let caller = Caller { identity: Identity::Anonymous, ..Caller::console() };
        let authorization = Authorization {
            caller,
            access: Access::default(),
            requirement: Requirement::Nothing,
            ..Authorization::console()
        };
        let audited = is_login.then_some(request);
        let issued = IssuedCommand { command: command.into(), authorization, if_match: None, audited };
        fleet.handle_command(CommandId(u64::try_from(number).unwrap()), issued, NOW);
        for (write, changes) in persists(&mut fleet) {
            fleet.handle_persisted(write, NOW);
            actors.extend(entries(&changes).into_iter().map(|entry| (entry.operation.clone(), entry.actor.clone())));
        }
    }
    let user = AuditActor::Caller(Identity::User(Name::parse("mara").unwrap(), id));
    let expected = [("session.finish-oidc", user), ("user.withdraw", AuditActor::Server)];
    assert_eq!(
        actors,
        expected.map(|(operation, actor)| (Text::lossy(operation), actor)),
        "the second one changes nothing"
    );
}
