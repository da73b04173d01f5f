//! What a run found, and the three ways to tell it.
//!
//! A [`Report`] is a plain value: stages, tests, outcomes. [`table`] is for the eye, [`explain`] takes
//! the one failure that matters and tells it in full, [`json`] is for machines. [`paint`] and
//! [`progress`] know the terminal; nothing here does anything but write text.
//!
//! A stage's points are its worth times the share of weight that its green tests carry. Nothing else
//! enters, so that a score can be checked by hand (`--why-points`).

pub mod explain;
pub mod json;
pub mod paint;
pub mod progress;
pub mod table;

use serde::Serialize;

use crate::course::{Stage, Test};
use crate::verdict::{Outcome, Status};

/// All that a run found.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The version of the course.
    pub course: String,
    /// The compiler.
    pub rustc: String,
    /// Whether the judge gave the verdicts, from outside the student's process.
    pub judge: bool,
    /// The seed that replaced the public ones.
    pub seed: Option<u64>,
    /// Whether only some tests were asked for; then there are no points.
    pub partial: bool,
    /// Warnings of the compiler about the workspace's own packages.
    pub warnings: usize,
    /// The stages that were asked for.
    pub stages: Vec<StageReport>,
}

/// What a run found in one stage.
#[derive(Debug, Serialize)]
pub struct StageReport {
    /// Its id.
    pub id: String,
    /// Its title.
    pub title: String,
    /// What it is worth.
    pub worth: u32,
    /// Extra credit.
    pub extra: bool,
    /// The sum of the weights of all its tests.
    pub weight: u32,
    /// The compiler's text, if it did not build.
    pub build_error: Option<String>,
    /// How long its tests took, in seconds.
    pub seconds: f64,
    /// Its tests, in course order.
    pub tests: Vec<TestReport>,
}

/// What a run found about one test.
#[derive(Debug, Serialize)]
pub struct TestReport {
    /// Its name.
    pub name: String,
    /// Its rule.
    pub rule: String,
    /// Where to read.
    pub reading: String,
    /// Its weight.
    pub weight: u32,
    /// The verdict.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// How a stage stands, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// All its tests pass.
    Passed,
    /// Some rule is broken.
    Failed,
    /// It does not compile.
    BuildError,
    /// Nothing is broken, but a person should look at some test.
    Undecided,
    /// Nothing is broken; some holes are not written yet.
    Unfinished,
    /// None of its holes is written.
    NotStarted,
    /// It was not run.
    NotRun,
}

impl Report {
    /// Whether everything that was asked for passed. Extra credit that nobody has begun was not asked for.
    pub fn passed(&self) -> bool {
        self.first_open().is_none()
    }

    /// The first stage that did not pass. Extra stages that nobody has begun count if nothing else was asked for.
    pub fn first_open(&self) -> Option<&StageReport> {
        let asked = self.stages.iter().all(|stage| stage.extra);
        let open = |stage: &&StageReport| asked && stage.standing() != Standing::Passed;
        let mut stages = self.stages.iter();
        stages.find(|stage| stage.holds_up()).or_else(|| self.stages.iter().find(open))
    }

    /// The points, without extra credit.
    pub fn points(&self) -> f64 {
        // An empty sum of floats is minus zero, and looks so.
        self.stages
            .iter()
            .filter(|stage| !stage.extra)
            .map(StageReport::points)
            .fold(0.0, |a, b| a + b)
    }

    /// The points of extra credit.
    pub fn extra_points(&self) -> f64 {
        self.stages
            .iter()
            .filter(|stage| stage.extra)
            .map(StageReport::points)
            .fold(0.0, |a, b| a + b)
    }
}

impl StageReport {
    /// A stage before any test of it has run.
    pub fn new(stage: &Stage, tests: &[&Test]) -> Self {
        StageReport {
            id: stage.id.clone(),
            title: stage.title.clone(),
            worth: stage.points,
            extra: stage.extra,
            weight: stage.weight(),
            build_error: None,
            seconds: 0.0,
            tests: tests
                .iter()
                .map(|test| TestReport {
                    name: test.name.clone(),
                    rule: test.rule.clone(),
                    reading: stage.reading(test),
                    weight: test.weight,
                    outcome: Outcome::not_run(),
                })
                .collect(),
        }
    }

    /// How many tests ended so.
    pub fn count(&self, status: Status) -> usize {
        self.tests.iter().filter(|t| t.outcome.status == status).count()
    }

    /// How the stage stands.
    pub fn standing(&self) -> Standing {
        let has = |status| self.count(status) > 0;
        if self.build_error.is_some() {
            Standing::BuildError
        } else if has(Status::Fail) {
            Standing::Failed
        } else if has(Status::Undecided) {
            Standing::Undecided
        } else if has(Status::NotWritten) {
            if has(Status::Pass) { Standing::Unfinished } else { Standing::NotStarted }
        } else if has(Status::NotRun) || self.tests.is_empty() {
            Standing::NotRun
        } else {
            Standing::Passed
        }
    }

    /// Whether what comes behind has to wait for this stage.
    pub fn holds_up(&self) -> bool {
        match self.standing() {
            Standing::Passed => false,
            Standing::NotStarted => !self.extra,
            // Who has left the warm-up half-way goes on with the course.
            Standing::Unfinished => !self.is_unscored(),
            _ => true,
        }
    }

    /// Whether it is worth nothing: a warm-up.
    pub fn is_unscored(&self) -> bool {
        self.worth == 0
    }

    /// The weight that its green tests carry.
    pub fn earned_weight(&self) -> u32 {
        self.tests.iter().filter(|t| t.outcome.status == Status::Pass).map(|t| t.weight).sum()
    }

    /// Its points.
    pub fn points(&self) -> f64 {
        if self.weight == 0 {
            return 0.0;
        }
        f64::from(self.worth) * f64::from(self.earned_weight()) / f64::from(self.weight)
    }

    /// The test that is worth explaining: a broken rule before an open question before an empty hole, and of broken rules the
    /// first that a small test found. A storm tells which rule broke; a small test, where.
    pub fn first_failure(&self) -> Option<&TestReport> {
        let ended = |status| self.tests.iter().filter(move |t| t.outcome.status == status);
        ended(Status::Fail)
            .find(|t| !t.outcome.came_in_a_storm())
            .or_else(|| ended(Status::Fail).next())
            .or_else(|| ended(Status::Undecided).next())
            .or_else(|| ended(Status::NotWritten).next())
    }
}
