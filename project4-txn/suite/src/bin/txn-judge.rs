//! The judge of project 4: `txn-judge grade TEST --subject PATH`.

use std::process::ExitCode;

use sim::harness::{judged, run_judges};

fn main() -> ExitCode {
    run_judges(&[
        judged(txn_suite::tests()),
        judged(txn_suite::raft4c::tests()),
        judged(txn_suite::parts4d::tests()),
        judged(txn_suite::stage4d::tests()),
    ])
}
