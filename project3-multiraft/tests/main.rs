//! The test program of project 3: the suites of `multiraft-suite`, run against this crate.
//!
//! `cargo test -p multiraft` runs it as any test binary; `cargo grade` runs one test at a time; the judge runs it as
//! a subject. There is nothing to change here.

mod support;

use std::process::ExitCode;

use sim::harness::{run_suites, suite};

fn main() -> ExitCode {
    run_suites(vec![
        suite(multiraft_suite::stage3a::tests(), support::member::Member::default),
        suite(
            multiraft_suite::stage3b::tests(),
            support::store::Life::<support::calls::Calls, multiraft::membership::Node>::default,
        ),
        suite(multiraft_suite::stage3c::tests(), support::scheduler::Placement::default),
        suite(multiraft_suite::stage3x::tests(), support::joint::Member::default),
    ])
}
