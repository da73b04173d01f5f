//! The test program of project 4: the suites of `txn-suite`, run against this crate.
//!
//! `cargo test -p txn` runs it as any test binary; `cargo grade` runs one test at a time; the judge runs it as a
//! subject. There is nothing to change here.

mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::harness::run_tests(txn_suite::tests(), support::subject::Store::default)
}
