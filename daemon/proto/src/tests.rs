//! Tests of the encoding as a whole: values round-trip, hostile input is rejected, released bytes stay readable.

mod generated;
mod golden;
mod hostile;
mod property;
pub(crate) mod sample;
mod size;
mod strategy;
