//! The judge of stages 2B and 2C: `raftkv-judge grade TEST --subject PATH`.

use std::process::ExitCode;

use sim::harness::{judged, run_judges};

fn main() -> ExitCode {
    run_judges(&[judged(raftkv_suite::tests()), judged(raftkv_suite::part_tests())])
}
