//! Every phase of a host with every action, as the page on hosts that join lists them.

use std::fmt::Write as _;

use linecamp_model::{Generation, Life, Phase, PhaseEvent, Text};

use super::subjects::{edit_subject, patch_labels, transition};
use crate::fleet::command::Edit;
use crate::fleet::decision::Decided;
use crate::fleet::lifecycle::life_changes;
use crate::fleet::state::FleetState;
use crate::fleet::subject::Subject;
use crate::fleet::testing::{NOW, add_host, apply, state_with_site};
use crate::testing::patch;

/// A host is never pending: only its site is. A purged one has no record.
const PHASES: [Phase; 7] = [
    Phase::Registering,
    Phase::Active,
    Phase::Deactivating,
    Phase::Inactive,
    Phase::Activating,
    Phase::Removing,
    Phase::Removed,
];

/// What an operator does with a host.
const ACTIONS: [&str; 6] = ["activate", "deactivate", "rm", "rm --force", "edit", "label"];

/// What happens to a host without an operator of the server.
const HAPPENINGS: [(&str, PhaseEvent); 4] = [
    ("first report", PhaseEvent::Reported),
    ("confirmed", PhaseEvent::Confirmed),
    ("left, or removed at its gateway", PhaseEvent::Left),
    ("kept long enough", PhaseEvent::KeepOver),
];

fn host_in(phase: Phase) -> (FleetState, Subject) {
    let (mut state, site) = state_with_site();
    let subject = Subject::Host(site, add_host(&mut state, site, "box"));
    let life = Life { phase, since: NOW.wall, requested_at: Generation(1) };
    apply(&mut state, |state| life_changes(&state.sites[&site], subject, life, NOW));
    (state, subject)
}

fn act(action: &str, (state, subject): (&FleetState, Subject)) -> Decided {
    let event = match action {
        "activate" => PhaseEvent::ActivateRequested,
        "deactivate" => PhaseEvent::DeactivateRequested,
        "rm" => PhaseEvent::RemoveRequested,
        "rm --force" => PhaseEvent::RemoveForced,
        "edit" => {
            let edit = Edit { name: None, description: Some(Text::lossy("at the door")) };
            return edit_subject(state, subject, edit);
        }
        _ => return patch_labels(state, subject, &patch(&["tier=gold"]), NOW),
    };
    transition(state, subject, event, NOW)
}

/// Returns what an action leads to.
fn outcome(action: &str, phase: Phase) -> &'static str {
    let (mut state, subject) = host_in(phase);
    match act(action, (&state, subject)) {
        Err(_) => "rejected",
        Ok(decision) if decision.changes.is_empty() => "no change",
        Ok(decision) => {
            apply(&mut state, |_| decision.changes);
            let after = subject.life(&state.sites[&subject.site()]).expect("it is registered").phase;
            if after == phase { "yes" } else { after.as_str() }
        }
    }
}

fn table<'a>(columns: impl Iterator<Item = &'a str> + Clone, cell: impl Fn(usize, Phase) -> String) -> String {
    let count = columns.clone().count();
    let mut text = format!("| phase |{}\n", columns.map(|column| format!(" {column} |")).collect::<String>());
    writeln!(text, "|---|{}", "---|".repeat(count)).unwrap();
    for phase in PHASES {
        let cells: String = (0..count).map(|column| format!(" {} |", cell(column, phase))).collect();
        writeln!(text, "| `{phase}` |{cells}").unwrap();
    }
    text
}

/// Prints every pair, so that a change of a rule shows up as a changed line, here and in the page.
#[test]
fn every_phase_and_action_of_a_host_is_listed_in_the_page() {
    let code = |text: &str| if Phase::parse(text).is_some() { format!("`{text}`") } else { text.to_owned() };
    let actions = table(ACTIONS.into_iter(), |column, phase| code(outcome(ACTIONS[column], phase)));
    let happenings = table(HAPPENINGS.iter().map(|(name, _)| *name), |column, phase| {
        phase.after(HAPPENINGS[column].1).map_or_else(|| "–".to_owned(), |after| code(after.as_str()))
    });
    insta::assert_snapshot!(format!("{actions}\n{happenings}"));
    let page = include_str!("../../../../../packaging/docs/joining-hosts.md");
    for table in [actions, happenings] {
        assert!(page.contains(&table), "packaging/docs/joining-hosts.md does not have this table:\n{table}");
    }
}
