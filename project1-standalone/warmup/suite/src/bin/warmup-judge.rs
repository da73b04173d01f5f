//! The judge of stage 0: `warmup-judge grade TEST --subject PATH`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::harness::run_judge(warmup_suite::tests())
}
