//! The whole Raft suite against raft-rs: what passes here tests the paper, not our design.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut tests = raft_suite::tests();
    tests.extend(multiraft_suite::stage3a::tests());
    tests.extend(multiraft_suite::stage3x::tests());
    sim::harness::run_tests(tests, oracle::Oracle::from_environment)
}
