//! Tables: for spreadsheets, and one student's for the terminal.

use std::collections::BTreeMap;

use anyhow::{Context, Result};

use crate::record::{Fate, Score, Times};
use crate::sum;

/// A name that a spreadsheet would take for a formula gets an apostrophe in front, as spreadsheets themselves do it.
fn tame(text: &str) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{text}")
    } else {
        text.to_owned()
    }
}

fn fate(fate: &Fate) -> (&str, &str) {
    match fate {
        Fate::Graded => ("graded", ""),
        Fate::Refused { why } => ("refused", why),
        Fate::Void { why } => ("void", why),
    }
}

/// `class.csv`: a row for each student.
///
/// # Errors
/// None that a memory buffer has.
pub fn class(scores: &[Score]) -> Result<Vec<u8>> {
    let stages: Vec<&str> = scores
        .first()
        .map(|score| score.stages.iter().map(|s| s.id.as_str()).collect())
        .unwrap_or_default();
    let mut table = csv::Writer::from_writer(Vec::new());
    let head = ["student", "points", "worth", "extra", "fate", "flags", "why"].map(str::to_owned);
    let columns = stages.iter().flat_map(|id| {
        [id.to_string(), format!("{id} share on our base"), format!("{id} share on their own")]
    });
    table.write_record(head.into_iter().chain(columns))?;
    for score in scores {
        let (word, why) = fate(&score.fate);
        let mut row = vec![
            tame(&score.id),
            format!("{:.2}", score.points),
            score.worth.to_string(),
            format!("{:.2}", score.extra),
            word.to_owned(),
            score.flags.len().to_string(),
            tame(why),
        ];
        for stage in &score.stages {
            row.push(format!("{:.2}", stage.points));
            row.push(format!("{:.4}", sum::on_ours(stage)));
            row.push(format!("{:.4}", sum::on_own(stage)));
        }
        table.write_record(row)?;
    }
    table.into_inner().context("the table of the class")
}

/// `rules.csv`: a row for each test, a column for each verdict, summed over the class.
///
/// # Errors
/// None that a memory buffer has.
pub fn rules(scores: &[Score]) -> Result<Vec<u8>> {
    let mut counted = BTreeMap::<(usize, usize), [usize; 5]>::new();
    for score in scores {
        for (at, stage) in score.stages.iter().enumerate() {
            for (number, test) in stage.tests.iter().enumerate() {
                counted.entry((at, number)).or_default()[test.ours.verdict as usize] += 1;
            }
        }
    }
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record([
        "stage",
        "test",
        "rule",
        "pass",
        "fail",
        "not written",
        "undecided",
        "not run",
    ])?;
    let Some(first) = scores.first() else {
        return table.into_inner().context("the table of rules");
    };
    for ((at, number), counts) in counted {
        let stage = &first.stages[at];
        let test = &stage.tests[number];
        let row = [stage.id.clone(), test.name.clone(), test.rule.clone()];
        table.write_record(row.into_iter().chain(counts.map(|n| n.to_string())))?;
    }
    table.into_inner().context("the table of rules")
}

/// `times.csv`: what each submission took, in seconds.
///
/// # Errors
/// None that a memory buffer has.
pub fn times(times: &[Times]) -> Result<Vec<u8>> {
    let mut table = csv::Writer::from_writer(Vec::new());
    table.write_record(["student", "total", "build", "tests"])?;
    for time in times {
        let tests: f64 = time.stages.iter().map(|(_, seconds)| seconds).sum();
        let row = [time.total, time.build, tests].map(|seconds| format!("{seconds:.1}"));
        table.write_record(std::iter::once(tame(&time.id)).chain(row))?;
    }
    table.into_inner().context("the table of times")
}

/// A student's stages for the terminal: "3B: 95% on our base, 40% on their own".
pub fn terminal(score: &Score) -> String {
    let (word, why) = fate(&score.fate);
    let mut text = String::new();
    if score.fate != Fate::Graded {
        return format!("{}: {word}: {why}\n", score.id);
    }
    for stage in &score.stages {
        text += &format!(
            "{:<4} {:>3.0}% on our base, {:>3.0}% on their own  {:>6.2} of {}{}\n",
            stage.id,
            100.0 * sum::on_ours(stage),
            100.0 * sum::on_own(stage),
            stage.points,
            stage.worth,
            if stage.extra { " extra" } else { "" }
        );
    }
    text += &format!("total {:.2} of {}\n", score.points, score.worth);
    for build in &score.builds {
        text +=
            &format!("\n{} does not compile as it was handed in:\n{}", build.package, build.error);
        for mended in &build.mended {
            text += &format!("-> {mended}\n");
        }
    }
    for note in score.notes.iter().chain(&score.flags) {
        text += &format!("note: {note}\n");
    }
    text
}
