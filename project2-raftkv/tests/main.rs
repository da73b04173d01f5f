//! The test program of project 2's raftstore: the suite of `raftkv-suite`, run against this crate.
//!
//! `cargo test -p raftkv` runs it as any test binary; `cargo grade` runs one test at a time; the judge runs it as a
//! subject. There is nothing to change here.

mod support;

use std::process::ExitCode;

use sim::harness::suite;

fn main() -> ExitCode {
    sim::harness::run_suites(vec![
        suite(raftkv_suite::tests(), support::subject::Life::default),
        suite(raftkv_suite::part_tests(), support::parts::Bench::default),
    ])
}
