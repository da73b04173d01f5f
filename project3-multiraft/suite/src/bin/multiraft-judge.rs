//! The judge of project 3: `multiraft-judge grade TEST --subject PATH`.

use std::process::ExitCode;

use sim::harness::{judged, run_judges};

fn main() -> ExitCode {
    run_judges(&[
        judged(multiraft_suite::stage3a::tests()),
        judged(multiraft_suite::stage3b::tests()),
        judged(multiraft_suite::stage3c::tests()),
        judged(multiraft_suite::stage3x::tests()),
    ])
}
