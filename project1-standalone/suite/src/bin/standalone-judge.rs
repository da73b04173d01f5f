//! The judge of project 1: `standalone-judge grade TEST --subject PATH`.

use std::process::ExitCode;

fn main() -> ExitCode {
    sim::harness::run_judge(standalone_suite::tests())
}
