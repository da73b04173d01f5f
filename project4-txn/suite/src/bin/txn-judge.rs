//! The judge of project 4: `txn-judge grade TEST --subject PATH`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::harness::run_judge(txn_suite::tests())
}
