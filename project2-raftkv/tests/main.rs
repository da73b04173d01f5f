//! The test program of project 2's raftstore: the suite of `raftkv-suite`, run against this crate.
//!
//! `cargo test -p raftkv` runs it as any test binary; `cargo grade` runs one test at a time; the judge runs it as a
//! subject. There is nothing to change here.

mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::harness::run_tests(raftkv_suite::tests(), support::subject::Life::default)
}
