//! Tests of the bytes as a whole: what goes in comes out, what is hostile is refused, what was written is readable.

mod generated;
mod golden;
mod hostile;
mod property;
pub(crate) mod sample;
mod size;
mod strategy;
