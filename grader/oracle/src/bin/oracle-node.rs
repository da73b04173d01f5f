//! The Raft suite against raft-rs, as a program: `oracle-node grade TEST --seeds 1,2,3`.
//!
//! With `ORACLE_LIE` set, raft-rs behind a lie.

use std::process::ExitCode;

fn main() -> ExitCode {
    let mut tests = raft_suite::tests();
    tests.extend(multiraft_suite::stage3a::tests());
    tests.extend(multiraft_suite::stage3x::tests());
    tests.extend(raft_suite::determinism_tests());
    sim::harness::run_tests(tests, oracle::Oracle::from_environment)
}
