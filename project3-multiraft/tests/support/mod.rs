//! What binds the suites to this crate: a subject for each vocabulary.

pub mod calls;
pub mod joint;
pub mod member;
pub mod scheduler;
pub mod store;
