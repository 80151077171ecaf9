//! The lifecycle of a site or a host, as one state graph.
//!
//! ```text
//! pending ──► registering ──► active ⇄ inactive ──► removing ──► removed ──► purged
//!                               (deactivating / activating between)
//! ```
//!
//! The link is not part of it: whether a site is connected is shown separately (`LinkState`).

use std::fmt;

/// The lifecycle phase of a site or a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Phase {
    /// Joined; waiting for an operator to accept it.
    Pending,
    /// Registered; has not reported yet.
    Registering,
    /// In service.
    Active,
    /// Deactivation requested; not confirmed yet.
    Deactivating,
    /// Out of service: its machines keep running. Providers can withdraw its records, and a site can be removed.
    Inactive,
    /// Activation requested; not confirmed yet.
    Activating,
    /// Removal requested; not confirmed yet.
    Removing,
    /// Removed; kept visible to operators for a while.
    Removed,
    /// Deleted.
    Purged,
}

/// An event in the lifecycle of a site or a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PhaseEvent {
    /// An operator accepted it.
    Accepted,
    /// Its first report arrived.
    Reported,
    /// An operator requested deactivation.
    DeactivateRequested,
    /// An operator requested activation.
    ActivateRequested,
    /// It confirmed the last request.
    Confirmed,
    /// An operator requested removal.
    RemoveRequested,
    /// An operator forced removal, whatever phase it is in.
    RemoveForced,
    /// Its registration ended elsewhere: a host was removed at its site, or left it.
    Left,
    /// The time to keep it after removal has passed.
    KeepOver,
}

impl PhaseEvent {
    /// All events, in lifecycle order.
    pub const ALL: [Self; 9] = [
        Self::Accepted,
        Self::Reported,
        Self::DeactivateRequested,
        Self::ActivateRequested,
        Self::Confirmed,
        Self::RemoveRequested,
        Self::RemoveForced,
        Self::Left,
        Self::KeepOver,
    ];
}

impl Phase {
    /// All phases, in lifecycle order.
    pub const ALL: [Self; 9] = [
        Self::Pending,
        Self::Registering,
        Self::Active,
        Self::Deactivating,
        Self::Inactive,
        Self::Activating,
        Self::Removing,
        Self::Removed,
        Self::Purged,
    ];

    /// Returns the phase after `event`, or `None` if the event is not valid in this phase.
    #[must_use]
    pub fn after(self, event: PhaseEvent) -> Option<Self> {
        use PhaseEvent as Event;
        match (self, event) {
            (Self::Pending, Event::Accepted) => Some(Self::Registering),
            (Self::Registering, Event::Reported) => Some(Self::Active),
            (Self::Registering | Self::Active | Self::Activating, Event::DeactivateRequested) => {
                Some(Self::Deactivating)
            }
            (Self::Deactivating, Event::Confirmed) => Some(Self::Inactive),
            (Self::Deactivating | Self::Inactive, Event::ActivateRequested) => Some(Self::Activating),
            (Self::Activating, Event::Confirmed) => Some(Self::Active),
            (Self::Pending | Self::Inactive, Event::RemoveRequested) => Some(Self::Removing),
            (Self::Removing, Event::Confirmed) => Some(Self::Removed),
            (
                Self::Pending
                | Self::Registering
                | Self::Active
                | Self::Deactivating
                | Self::Inactive
                | Self::Activating
                | Self::Removing,
                Event::RemoveForced | Event::Left,
            ) => Some(Self::Removed),
            (Self::Removed, Event::KeepOver) => Some(Self::Purged),
            (_, _) => None,
        }
    }

    /// Returns whether it waits for someone: such a phase has a deadline, a reason and a way out.
    pub const fn is_transitional(self) -> bool {
        matches!(self, Self::Pending | Self::Registering | Self::Deactivating | Self::Activating | Self::Removing)
    }

    /// Returns whether the site may never connect again.
    pub const fn is_gone(self) -> bool {
        matches!(self, Self::Removed | Self::Purged)
    }

    /// Returns the phase with this code.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == word)
    }

    /// Returns the phase as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Registering => "registering",
            Self::Active => "active",
            Self::Deactivating => "deactivating",
            Self::Inactive => "inactive",
            Self::Activating => "activating",
            Self::Removing => "removing",
            Self::Removed => "removed",
            Self::Purged => "purged",
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl fmt::Display for PhaseEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Accepted => "accepted",
            Self::Reported => "reported",
            Self::DeactivateRequested => "deactivate requested",
            Self::ActivateRequested => "activate requested",
            Self::Confirmed => "confirmed",
            Self::RemoveRequested => "remove requested",
            Self::RemoveForced => "remove forced",
            Self::Left => "left",
            Self::KeepOver => "keep over",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Prints every pair, so that any change of a rule shows up as a changed line.
    #[test]
    fn every_move_of_a_life_is_written_down() {
        let mut table = String::new();
        for phase in Phase::ALL {
            for event in PhaseEvent::ALL {
                let after = phase.after(event).map_or("-", Phase::as_str);
                table += &format!("{phase:<13}{event:<22}{after}\n");
            }
        }
        insta::assert_snapshot!(table);
    }

    #[test]
    fn no_transition_leads_back_from_removal() {
        for event in PhaseEvent::ALL {
            assert!(Phase::Removed.after(event).is_none_or(Phase::is_gone));
            assert_eq!(Phase::Purged.after(event), None);
        }
    }

    #[test]
    fn a_formatted_phase_parses_to_itself() {
        for phase in Phase::ALL {
            assert_eq!(Phase::parse(phase.as_str()), Some(phase));
        }
    }
}
