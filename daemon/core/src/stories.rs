//! End-to-end tests of a site and its server, as stories on a [`Pair`](crate::testing::Pair).

mod authorities;
mod bulk_actions;
mod chaos;
mod converged;
mod event_streams;
mod faults;
mod floods;
mod hostile;
mod hosts;
mod identity;
mod join;
mod joined_hosts;
mod labels;
mod lan_hosts;
mod large_zones;
mod lifecycle;
mod link_history;
mod lists;
mod moved_server;
mod observed_records;
mod observing;
mod ownership_notes;
mod parts;
mod placement;
mod plugins;
mod provider_conflicts;
mod providers;
mod quarantine;
mod records;
mod restored_backup;
mod stale_facts;
mod storage;
mod withdrawal;

pub(crate) use self::records::provider;
