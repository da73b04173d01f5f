//! The judge of stages 2B and 2C: `raftkv-judge grade TEST --subject PATH`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::harness::run_judge(raftkv_suite::tests())
}
