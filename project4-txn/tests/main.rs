//! The test program of project 4: the suites of `txn-suite`, run against this crate.
//!
//! `cargo test -p txn` runs it as any test binary; `cargo grade` runs one test at a time; the judge runs it as a
//! subject. There is nothing to change here.

mod support;

use std::process::ExitCode;

use sim::harness::{run_suites, suite};

fn main() -> ExitCode {
    run_suites(vec![
        suite(txn_suite::tests(), support::subject::Store::default),
        suite(txn_suite::raft4c::tests(), support::town::Node::default),
        suite(txn_suite::parts4d::tests(), support::coordinator::Desk::default),
        suite(txn_suite::stage4d::tests(), support::town::Node::default),
    ])
}
