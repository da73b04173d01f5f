//! The whole Raft suite against raft-rs: what passes here tests the paper, not our design.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::harness::run_tests(raft_suite::tests(), oracle::Oracle::from_environment)
}
