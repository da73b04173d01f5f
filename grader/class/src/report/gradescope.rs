//! Gradescope's `results.json`: <https://gradescope-autograders.readthedocs.io/en/latest/specs/>.
//!
//! A row is a stage: 700 rows help nobody. Hidden seeds stay hidden until the instructor publishes them, since a stage's
//! text names failures on public seeds alone.

use grader::verdict::Status;
use serde::Serialize;

use crate::record::{Fate, Score, StageScore};
use crate::sum;

/// `results.json`.
#[derive(Debug, Serialize)]
pub struct Results {
    /// The sum; with extra credit, as Gradescope allows scores above the maximum.
    pub score: f64,
    /// For the whole submission.
    pub output: String,
    /// How `output` is to be read.
    pub output_format: &'static str,
    /// Whether students see what the grader printed.
    pub stdout_visibility: &'static str,
    /// A row for each stage.
    pub tests: Vec<Row>,
    /// Kept, and handed to later runs.
    pub extra_data: serde_json::Value,
}

/// A stage in Gradescope's list.
#[derive(Debug, Serialize)]
pub struct Row {
    /// Its points.
    pub score: f64,
    /// What it is worth.
    pub max_score: f64,
    /// Whether the row is green.
    pub status: &'static str,
    /// Stage and title.
    pub name: String,
    /// The number that rows are sorted by.
    pub number: String,
    /// What is wrong.
    pub output: String,
    /// Students see it at once.
    pub visibility: &'static str,
}

/// A submission for Gradescope.
pub fn results(score: &Score) -> Results {
    let mut output = match &score.fate {
        Fate::Graded => format!("{:.2} of {} points", score.points, score.worth),
        Fate::Refused { why } => format!("This submission could not be graded: {why}."),
        Fate::Void { why } => format!("This submission is void: {why}. Talk to your instructor."),
    };
    for note in &score.notes {
        output += &format!("\nnote: {note}");
    }
    for build in &score.builds {
        output += &format!("\n\n{} does not compile:\n{}", build.package, build.error);
        for mended in &build.mended {
            output += &format!("\n-> {mended}");
        }
    }
    for flag in &score.flags {
        output += &format!("\nA person will look at this: {flag}");
    }
    let row = |(at, stage): (usize, &StageScore)| Row {
        score: stage.points,
        max_score: f64::from(if stage.extra { 0 } else { stage.worth }),
        status: if sum::on_ours(stage) >= 1.0 { "passed" } else { "failed" },
        name: format!("stage {}: {}", stage.id, stage.title),
        number: (at + 1).to_string(),
        output: told(stage),
        visibility: "visible",
    };
    Results {
        score: score.points + score.extra,
        output,
        output_format: "text",
        stdout_visibility: "hidden",
        tests: score.stages.iter().enumerate().map(row).collect(),
        extra_data: serde_json::json!({ "conditions": score.conditions, "sources": score.sources }),
    }
}

/// What a student has to know about a stage: the first failures, with the command that replays each.
fn told(stage: &StageScore) -> String {
    const FAILURES: usize = 5;
    let green = sum::count(stage, Status::Pass);
    let mut text = format!("{green} of {} rules hold.", stage.tests.len());
    let broken =
        stage.tests.iter().filter(|t| matches!(t.ours.verdict, Status::Fail | Status::Undecided));
    for test in broken.clone().take(FAILURES) {
        text += &format!("\n\n{}\n  rule   {}\n  broke  {}", test.name, test.rule, test.ours.broke);
        for fact in &test.ours.facts {
            text += &format!("\n  fact   {fact}");
        }
        let seed = test.ours.seed.unwrap_or(1);
        text += &format!("\n  again  cargo grade replay {} --seed {seed}", test.name);
        if test.ours.seed.is_some() {
            text += &format!("\n  see    cargo grade view {} --seed {seed}", test.name);
        }
        text += &format!("\n  read   {}", test.reading);
    }
    let more = broken.count().saturating_sub(FAILURES);
    if more > 0 {
        text += &format!("\n\n{more} more.");
    }
    if let Some(hole) = stage.tests.iter().find_map(|test| test.ours.hole.as_ref()) {
        text += &format!("\n\nNot written yet: hole {hole}.");
    }
    text
}
