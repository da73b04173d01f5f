//! The test program of stage 0: the suite of `warmup-suite`, run against this crate. There is nothing to change here.

mod support;

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::harness::run_tests(warmup_suite::tests(), support::Node::default)
}
