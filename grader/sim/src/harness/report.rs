//! What the programs print: one line of JSON for the grader, one paragraph for `cargo test`.

use std::process::ExitCode;

use serde::Serialize;

use super::Test;
use crate::failure::{Failure, Outcome};
use crate::seam::Protocol;

#[derive(Serialize)]
struct Listed<'a> {
    name: &'a str,
    doc: &'a str,
}

#[derive(Serialize)]
struct Line<'a> {
    /// The format's version, and how a reader tells this line from what student code printed.
    tinykv_verdict: u32,
    test: &'a str,
    verdict: &'a str,
    seed: u64,
    seeds_run: usize,
    broke: String,
    facts: &'a [String],
    hole: Option<&'a str>,
    inputs: u64,
    virtual_ms: u64,
}

pub(super) fn list<P: Protocol>(tests: &[Test<P>]) -> ExitCode {
    for test in tests {
        print_line(&Listed { name: &test.name, doc: &test.doc });
    }
    ExitCode::SUCCESS
}

pub(super) fn verdict(
    test: &str,
    seed: u64,
    seeds_run: usize,
    inputs: u64,
    outcome: &Outcome,
) -> ExitCode {
    let (verdict, code) = match outcome {
        Ok(()) => ("pass", 0),
        Err(Failure::Undecided { .. }) => ("undecided", 2),
        Err(_) => ("fail", 1),
    };
    let failure = outcome.as_ref().err();
    print_line(&Line {
        tinykv_verdict: 1,
        test,
        verdict,
        seed,
        seeds_run,
        broke: failure.map(Failure::what).unwrap_or_default(),
        facts: failure.map(Failure::facts).unwrap_or_default(),
        hole: failure.and_then(Failure::hole),
        inputs,
        virtual_ms: 0,
    });
    ExitCode::from(code)
}

pub(super) fn text<P: Protocol>(test: &Test<P>, seed: u64, failure: &Failure) -> String {
    format!(
        "{failure}\n\nThe rule:\n{}\n\nseed {seed}; again: cargo grade replay {} --seed {seed}",
        test.doc, test.name
    )
}

// Standard output may be a closed pipe; a verdict that nobody reads is no reason to panic. The
// leading line break ends a line that student code may have left open.
fn print_line(value: &impl Serialize) {
    use std::io::Write;
    let json = serde_json::to_string(value).unwrap_or_default();
    let _ = writeln!(std::io::stdout(), "\n{json}");
}
