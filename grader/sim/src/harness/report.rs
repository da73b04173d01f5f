//! What the programs print: one line of JSON for the grader, one paragraph for `cargo test`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde::Serialize;

use super::{Ended, Findings, Test};
use crate::coverage::Coverage;
use crate::failure::Failure;
use crate::seam::Protocol;
use crate::trace::{Event, Trace, render};

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
    /// What all seeds together exercised.
    coverage: BTreeMap<&'a str, u64>,
    /// Of a failed seed: whether a second run was the same. A warning, no verdict.
    deterministic: Option<bool>,
    /// Where the second run differed.
    differs: Option<&'a str>,
    /// The shortest plan that still fails.
    schedule: Option<&'a str>,
    /// Where the last seed's trace was written.
    trace: Option<PathBuf>,
    /// Of a failed seed: the last lines of its trace that matter.
    last: Vec<String>,
}

/// Sums over the seeds of a test.
#[derive(Default)]
pub(super) struct Total {
    seeds: usize,
    inputs: u64,
    virtual_us: u64,
    coverage: Coverage,
}

impl Total {
    pub fn add(&mut self, findings: &Findings) {
        self.seeds += 1;
        self.inputs += findings.inputs;
        self.virtual_us += findings.virtual_us;
        self.coverage.merge(&findings.coverage);
    }
}

pub(super) fn listed(name: &str, doc: &str) {
    print_line(&Listed { name, doc });
}

pub(super) fn verdict(
    test: &str,
    total: &Total,
    ended: &Ended,
    trace: Option<PathBuf>,
) -> ExitCode {
    let (verdict, code) = match &ended.outcome {
        Ok(()) => ("pass", 0),
        Err(Failure::Undecided { .. }) => ("undecided", 2),
        Err(_) => ("fail", 1),
    };
    let failure = ended.outcome.as_ref().err();
    let simulated = failure.is_some() && ended.findings.hash.is_some();
    print_line(&Line {
        tinykv_verdict: 1,
        test,
        verdict,
        seed: ended.seed,
        seeds_run: total.seeds,
        broke: failure.map(Failure::what).unwrap_or_default(),
        facts: failure.map(Failure::facts).unwrap_or_default(),
        hole: failure.and_then(Failure::hole),
        inputs: total.inputs,
        virtual_ms: total.virtual_us / 1000,
        coverage: total.coverage.counters().collect(),
        deterministic: simulated.then(|| ended.differs.is_none()),
        differs: ended.differs.as_deref(),
        schedule: ended.findings.shrunk.as_deref(),
        trace,
        last: if failure.is_some() { last_lines(&ended.findings.trace) } else { Vec::new() },
    });
    ExitCode::from(code)
}

/// The last twenty lines of a trace that tell the story: who changed, who said what, what broke. Without the arrivals
/// and the work of other threads, of which there are many.
fn last_lines(trace: &Trace) -> Vec<String> {
    const LINES: usize = 20;
    const WIDTH: usize = 160;
    let quiet = |event: &Event| {
        matches!(
            event,
            Event::Deliver { .. } | Event::Job { .. } | Event::Run { .. } | Event::Sync { .. }
        )
    };
    let told = render(trace.lines()).into_iter().zip(trace.lines());
    let told: Vec<String> = told.filter(|(_, line)| !quiet(&line.event)).map(|(t, _)| t).collect();
    let last = &told[told.len().saturating_sub(LINES)..];
    last.iter().map(|line| line.chars().take(WIDTH).collect()).collect()
}

/// Writes a trace; `None` when there is none, or it cannot be written.
pub(super) fn write_trace(path: &Path, trace: &Trace) -> Option<PathBuf> {
    if trace.lines().is_empty() {
        return None;
    }
    std::fs::write(path, trace.json()).ok().map(|()| path.to_owned())
}

pub(super) fn text<P: Protocol>(
    test: &Test<P>,
    seed: u64,
    failure: &Failure,
    ended: &Ended,
) -> String {
    let mut text = format!("{failure}\n");
    if let Some(plan) = &ended.findings.shrunk {
        let _ = writeln!(text, "\nThe shortest plan that still fails:\n{plan}");
    }
    if let Some(differs) = &ended.differs {
        let _ = writeln!(
            text,
            "\nWARNING: your code is not deterministic: a second run of this seed went another way.\n{differs}"
        );
    }
    text + &format!(
        "\nThe rule:\n{}\n\nseed {seed}; again: cargo grade replay {} --seed {seed}",
        test.doc(),
        test.name
    )
}

// Standard output may be a closed pipe; a verdict that nobody reads is no reason to panic. The
// leading line break ends a line that student code may have left open.
fn print_line(value: &impl Serialize) {
    use std::io::Write;
    let json = serde_json::to_string(value).unwrap_or_default();
    let _ = writeln!(std::io::stdout(), "\n{json}");
}
