//! End-to-end tests of a site and its server, as scenarios on a [`Pair`](crate::testing::Pair).

mod chaos;
mod faults;
mod floods;
mod hostile;
mod identity;
mod join;
mod labels;
mod life;
mod looks;
mod notes;
mod observation;
mod observed;
mod plugins;
mod providers;
mod records;
mod rivals;
mod setting_aside;
mod storage;
mod withdrawal;

pub(crate) use self::records::provider;
