//! What binds the suite to this crate.

pub mod subject;
mod tricky;
