//! What must be true of a site and its server together, told as stories about a [`Pair`](crate::testing::Pair).

mod chaos;
mod faults;
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
