//! What stands between the suite and this crate.

mod calls;
mod look;
pub mod subject;
