//! What binds the suites to this crate.

pub mod subject;
