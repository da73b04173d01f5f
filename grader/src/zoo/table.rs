//! What was found in the zoo, told.

use anyhow::{Context, Result};
use serde::Serialize;
use std::path::Path;

use super::{Bug, Fate, Finding};
use crate::list::count;
use crate::report::explain::wrap;
use crate::report::paint::Paint;
use crate::report::table::seconds;

/// What there is.
pub fn list(bugs: &[&Bug], paint: Paint) -> String {
    let width = bugs.iter().map(|bug| bug.id.len()).max().unwrap_or(0);
    let mut text = String::new();
    for bug in bugs {
        let lines = wrap(&bug.mistake, 96 - width);
        text += &format!("{:<width$}  {}\n", bug.id, lines.join(&format!("\n{:<width$}  ", "")));
        let users = wrap(&bug.users, 96 - width).join(&format!("\n{:<width$}  ", ""));
        text += &paint.dim(format!("{:<width$}  {users}\n", ""));
    }
    text + &format!("\n{}.\n", count(bugs.len(), "bug"))
}

/// The table, and below it what a person has to look at.
pub fn render(findings: &[Finding], bugs: &[&Bug], paint: Paint) -> String {
    let widest = |of: &dyn Fn(&Finding) -> usize| findings.iter().map(of).max().unwrap_or(0).max(5);
    let (id, stage) = (widest(&|f| f.bug.len()), widest(&|f| f.stage.len()));
    let head = format!("{:<id$}  {:<stage$}  {:>7}  {}", "bug", "stage", "time", "caught by");
    let mut text = paint.dim(head) + "\n";
    for finding in findings {
        let time = if finding.remembered { "known".into() } else { seconds(finding.seconds) };
        text += &format!(
            "{:<id$}  {:<stage$}  {time:>7}  {}\n",
            finding.bug,
            finding.stage,
            word(&finding.fate, paint)
        );
    }
    for finding in findings.iter().filter(|f| !f.is_good()) {
        text += &format!("\n{}\n", trouble(finding, bugs));
    }
    let caught = findings.iter().filter(|f| matches!(f.fate, Fate::Caught { .. })).count();
    let waiting = findings.iter().filter(|f| f.fate == Fate::Waits).count();
    text += &format!("\n{caught} of {} caught", count(findings.len() - waiting, "bug"));
    text += &match waiting {
        0 => ".\n".to_owned(),
        n => format!("; {n} of stages that the course does not grade yet.\n"),
    };
    text
}

fn word(fate: &Fate, paint: Paint) -> String {
    match fate {
        Fate::Caught { test, .. } => paint.good(test),
        Fate::Survived { .. } => paint.bad("nobody: it survives"),
        Fate::DoesNotApply { .. } => paint.bad("does not apply"),
        Fate::DoesNotCompile { .. } => paint.bad("does not compile"),
        Fate::ReferenceIsRed { .. } => paint.open("the reference itself is red"),
        Fate::Waits => paint.dim("waits for its stage"),
    }
}

fn trouble(finding: &Finding, bugs: &[&Bug]) -> String {
    let bug = bugs.iter().find(|bug| bug.id == finding.bug);
    let (file, mistake) = bug.map_or(("", ""), |bug| (&bug.file, &bug.mistake));
    let id = &finding.bug;
    match &finding.fate {
        Fate::Survived { tests, undecided: 0 } => format!(
            "{id} survives: {} of stage {} and before are green with it. {mistake}\n  {file}; the suite needs a test for it",
            count(*tests, "test"),
            finding.stage
        ),
        Fate::Survived { undecided, .. } => format!(
            "{id} survives: no test is red, and {undecided} ended without a verdict, which is no proof. {mistake}\n  {file}"
        ),
        Fate::DoesNotApply { why } => format!("{id} does not apply: {why}"),
        Fate::DoesNotCompile { error } => format!("{id} does not compile ({file}):\n{error}"),
        Fate::ReferenceIsRed { test } => {
            format!("{id}: {test} is not green without the bug either, so nothing was tried")
        }
        Fate::Caught { .. } | Fate::Waits => String::new(),
    }
}

/// The published proof, as a page of the book: each bug, the test that caught it, and how.
pub fn matrix(findings: &[Finding], bugs: &[&Bug], version: &str) -> String {
    let caught = findings.iter().filter(|f| matches!(f.fate, Fate::Caught { .. })).count();
    let mut text = format!(
        "# What the suites catch\n\nEach row is a mistake that was planted in the reference of course {version}, and the first test that was red with it, on\nthe public seeds. The time is that of the rebuild and the tests until then. {caught} of {} are caught. Made by\n`cargo grade zoo --matrix`; [the bug zoo](zoo.md) says how.\n\n| bug | the mistake | caught by | seed | time |\n|---|---|---|---|---|\n",
        count(findings.len(), "bug")
    );
    for finding in findings {
        let mistake = bugs.iter().find(|b| b.id == finding.bug).map_or("", |b| b.mistake.as_str());
        let (test, seed) = match &finding.fate {
            Fate::Caught { test, seed, .. } => (format!("`{test}`"), seed.to_string()),
            _ => ("**nobody**".to_owned(), String::new()),
        };
        text += &format!(
            "| {} | {} | {test} | {seed} | {} |\n",
            finding.bug,
            mistake.replace('|', "\\|"),
            seconds(finding.seconds)
        );
    }
    text
}

#[derive(Serialize)]
struct Whole<'a> {
    /// The version of this format.
    format: u32,
    caught: usize,
    findings: &'a [Finding],
}

/// Writes the findings for machines.
///
/// # Errors
/// The file cannot be written.
pub fn json(findings: &[Finding], file: &Path) -> Result<()> {
    let caught = findings.iter().filter(|f| matches!(f.fate, Fate::Caught { .. })).count();
    let whole = Whole { format: 1, caught, findings };
    let text = serde_json::to_string_pretty(&whole).unwrap_or_default() + "\n";
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}
