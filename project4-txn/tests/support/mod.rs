//! What binds the suites to this crate.

pub mod subject;
mod time;
mod tricky;
