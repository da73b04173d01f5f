//! The judge of Raft: `raft-judge grade TEST --subject PATH`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::harness::run_judge(raft_suite::tests())
}
