//! What binds the suites to this crate.

pub mod coordinator;
mod door;
// Project 3's store, as its own tests know it; what it serves is ours (`serve.rs`).
mod serve;
#[path = "../../../project3-multiraft/tests/support/store/mod.rs"]
mod store;
pub mod subject;
mod time;
pub mod town;
mod tricky;
