//! What stands between the suite and this crate.

mod calls;
mod look;
pub mod parts;
mod plain;
pub mod subject;
