//! The class as a whole: who has what, how each stage is distributed, which rules are hardest.

use std::collections::BTreeMap;

use grader::verdict::Status;
use serde::Serialize;

use crate::record::{Conditions, FORMAT, Fate, Score};
use crate::sum;

/// The class, for machines: `class.json`.
#[derive(Debug, Serialize)]
pub struct Overview<'a> {
    /// The version of the format.
    pub format: u32,
    /// Under which conditions; absent if there is no record.
    pub conditions: Option<&'a Conditions>,
    /// Each submission, by name.
    pub submissions: Vec<Line<'a>>,
    /// Each stage, in course order.
    pub stages: Vec<Stage<'a>>,
    /// Rules by how many break them, the hardest first; those that nobody breaks are left out.
    pub hardest: Vec<Rule<'a>>,
}

/// A submission in a line.
#[derive(Debug, Serialize)]
pub struct Line<'a> {
    /// Its name.
    pub id: &'a str,
    /// What became of it.
    #[serde(flatten)]
    pub fate: &'a Fate,
    /// Its points.
    pub points: f64,
    /// Extra credit.
    pub extra: f64,
    /// Of how many.
    pub worth: u32,
    /// A person should look.
    pub needs_a_person: bool,
    /// Points by stage.
    pub stages: BTreeMap<&'a str, f64>,
}

/// A stage over the class.
#[derive(Debug, Serialize)]
pub struct Stage<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its title.
    pub title: &'a str,
    /// What it is worth.
    pub worth: u32,
    /// How many have no point, up to a quarter, a half, three quarters, less than all, all.
    pub distribution: [usize; 6],
    /// The mean of the points.
    pub mean: f64,
    /// The median of the points.
    pub median: f64,
}

/// A rule over the class.
#[derive(Debug, Serialize)]
pub struct Rule<'a> {
    /// The test.
    pub test: &'a str,
    /// The rule.
    pub rule: &'a str,
    /// Its stage.
    pub stage: &'a str,
    /// How many break it.
    pub broken: usize,
    /// How many have it written (it passes or fails).
    pub tried: usize,
}

impl<'a> Overview<'a> {
    /// Of these records.
    pub fn of(scores: &'a [Score]) -> Self {
        let line = |score: &'a Score| Line {
            id: &score.id,
            fate: &score.fate,
            points: score.points,
            extra: score.extra,
            worth: score.worth,
            needs_a_person: score.needs_a_person(),
            stages: score.stages.iter().map(|stage| (stage.id.as_str(), stage.points)).collect(),
        };
        Overview {
            format: FORMAT,
            conditions: scores.first().map(|score| &score.conditions),
            submissions: scores.iter().map(line).collect(),
            stages: stages(scores),
            hardest: hardest(scores),
        }
    }
}

fn stages(scores: &[Score]) -> Vec<Stage<'_>> {
    let Some(first) = scores.first() else { return Vec::new() };
    let of = |(at, stage): (usize, &'_ crate::record::StageScore)| {
        let mut points: Vec<f64> = scores
            .iter()
            .filter_map(|score| score.stages.get(at))
            .map(|stage| stage.points)
            .collect();
        points.sort_by(f64::total_cmp);
        let mut distribution = [0; 6];
        for share in points.iter().map(|points| points / f64::from(stage.worth.max(1))) {
            let class = match share {
                s if s <= 0.0 => 0,
                s if s <= 0.25 => 1,
                s if s <= 0.5 => 2,
                s if s <= 0.75 => 3,
                s if s < 1.0 => 4,
                _ => 5,
            };
            distribution[class] += 1;
        }
        #[expect(clippy::cast_precision_loss)] // a class has no 2^52 students
        let mean = points.iter().sum::<f64>() / points.len().max(1) as f64;
        let middle = |at: usize| points.get(at).copied().unwrap_or_default();
        let half = points.len() / 2;
        let median = if points.len() % 2 == 1 {
            middle(half)
        } else {
            f64::midpoint(middle(half.saturating_sub(1)), middle(half))
        };
        (distribution, mean, median)
    };
    first
        .stages
        .iter()
        .enumerate()
        .map(|(at, stage)| {
            let (distribution, mean, median) = of((at, stage));
            Stage {
                id: &stage.id,
                title: &stage.title,
                worth: stage.worth,
                distribution,
                mean,
                median,
            }
        })
        .collect()
}

fn hardest(scores: &[Score]) -> Vec<Rule<'_>> {
    let mut rules: Vec<Rule<'_>> = Vec::new();
    let mut known = BTreeMap::<&str, usize>::new();
    for score in scores {
        for stage in &score.stages {
            for test in &stage.tests {
                let at = *known.entry(&test.name).or_insert_with(|| {
                    let (test, rule) = (test.name.as_str(), test.rule.as_str());
                    rules.push(Rule { test, rule, stage: &stage.id, broken: 0, tried: 0 });
                    rules.len() - 1
                });
                match test.ours.verdict {
                    Status::Pass if sum::credit(test) >= 1.0 => rules[at].tried += 1,
                    Status::Pass | Status::Fail => {
                        rules[at].tried += 1;
                        rules[at].broken += 1;
                    }
                    Status::NotWritten | Status::Undecided | Status::NotRun => {}
                }
            }
        }
    }
    rules.retain(|rule| rule.broken > 0);
    rules.sort_by_key(|rule| std::cmp::Reverse(rule.broken));
    rules
}
