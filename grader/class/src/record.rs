//! What is written down about a submission: a plain value, the same bytes for the same code.
//!
//! A record holds no time, no path and no name of a machine, so that a score can be reproduced byte for byte; what a
//! run took is kept beside it ([`Times`]). Every report is made from records alone, and so can be made again.

use std::path::Path;

use anyhow::{Context, Result};
use grader::verdict::{Outcome, Status};
use serde::{Deserialize, Serialize};

/// The version of the format.
pub const FORMAT: u32 = 1;

/// Under which conditions a score came about. Two scores can be compared if these are equal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Conditions {
    /// The version of the course.
    pub course: String,
    /// A hash over the course: rules, weights, suites, grader.
    pub rules: String,
    /// The compiler.
    pub rustc: String,
    /// The sandbox.
    pub sandbox: String,
    /// The stages that were graded.
    pub stages: Vec<String>,
    /// Seeds besides the public ones, the same for all.
    pub hidden_seeds: Vec<u64>,
}

/// What became of a submission.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// It has a score.
    Graded,
    /// It is no submission: the reason, for the student. No points.
    Refused {
        /// Why.
        why: String,
    },
    /// It passed where nothing can pass, so none of its results is worth anything. No points; a person has to look.
    Void {
        /// What it passed.
        why: String,
    },
}

/// A submission's score, and all that it is made of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// [`FORMAT`].
    pub format: u32,
    /// The name of the folder or archive.
    pub id: String,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
    /// Points, without extra credit.
    pub points: f64,
    /// Points of extra credit.
    pub extra: f64,
    /// What the graded stages are worth together.
    pub worth: u32,
    /// A person should look at these: undecided tests, builds that did not end.
    pub flags: Vec<String>,
    /// What the student should know: files that are missing, what a build error cost.
    pub notes: Vec<String>,
    /// A hash over the sources.
    pub sources: String,
    /// Under which conditions.
    pub conditions: Conditions,
    /// What did not compile.
    pub builds: Vec<BuildNote>,
    /// The stages, in course order.
    pub stages: Vec<StageScore>,
}

impl Score {
    /// Whether a person should look before the score counts.
    pub fn needs_a_person(&self) -> bool {
        !self.flags.is_empty() || matches!(self.fate, Fate::Void { .. })
    }
}

/// A package that did not compile as it was handed in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildNote {
    /// The package.
    pub package: String,
    /// The compiler's text: its first error.
    pub error: String,
    /// What was done about it: the files that are the starter's again, or the base that it was built on.
    pub mended: Vec<String>,
}

/// A stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageScore {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it is worth.
    pub worth: u32,
    /// Extra credit.
    pub extra: bool,
    /// The sum of its weights.
    pub weight: u32,
    /// Its points.
    pub points: f64,
    /// Its tests, in course order.
    pub tests: Vec<TestScore>,
}

/// A test.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestScore {
    /// Its name.
    pub name: String,
    /// Its rule.
    pub rule: String,
    /// Where to read.
    pub reading: String,
    /// Its weight.
    pub weight: u32,
    /// On the reference's earlier projects, with public seeds.
    pub ours: Verdict,
    /// The same with hidden seeds, if there are any and the public ones passed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hidden: Option<Verdict>,
    /// On the student's own earlier projects; absent where the stage stands on none.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub own: Option<Verdict>,
}

/// A verdict, without what differs from run to run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Verdict {
    /// How it ended.
    pub verdict: Status,
    /// What broke.
    #[serde(skip_serializing_if = "String::is_empty", default)]
    pub broke: String,
    /// The facts that contradict each other.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub facts: Vec<String>,
    /// With which seed.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seed: Option<u64>,
    /// The hole that is not written yet.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub hole: Option<String>,
}

impl Verdict {
    /// Of an outcome.
    pub fn of(outcome: &Outcome) -> Self {
        let seed = outcome.seed.filter(|_| outcome.status != Status::Pass);
        Verdict {
            verdict: outcome.status,
            broke: outcome.broke.clone(),
            facts: outcome.facts.clone(),
            seed,
            hole: outcome.hole.clone(),
        }
    }

    /// Whether it is a pass.
    pub fn passed(&self) -> bool {
        self.verdict == Status::Pass
    }
}

/// How long a submission took, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Times {
    /// The name of the folder or archive.
    pub id: String,
    /// Building.
    pub build: f64,
    /// Running tests, by stage.
    pub stages: Vec<(String, f64)>,
    /// Everything.
    pub total: f64,
}

/// A value as the JSON that is kept.
pub fn json(value: &impl Serialize) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}

/// Writes a file so that it is there as a whole or not at all.
///
/// # Errors
/// As for writing files, with the name.
pub fn write(path: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let failed = || format!("{} cannot be written", path.display());
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).with_context(failed)?;
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let new = path.with_file_name(name);
    std::fs::write(&new, content).with_context(failed)?;
    std::fs::rename(&new, path).with_context(failed)
}
