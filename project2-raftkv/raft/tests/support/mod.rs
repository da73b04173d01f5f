//! What binds the suites to this crate.

mod by_hand;
pub mod subject;
