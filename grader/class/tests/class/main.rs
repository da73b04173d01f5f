//! What grading a class must do, and what it must never do. Most of it on the toy course of the grader's own tests,
//! which builds in a second; `examples/forty.rs` says how the real one is done.

mod support;

mod bases;
mod formats;
mod hostile;
mod manifests;
mod refusals;
mod sums;
mod toy;
mod walls;
