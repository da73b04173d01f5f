//! `cargo grade check --ladder`: proves that the course can be climbed, and that every hole matters.
//!
//! Two claims, for each stage:
//!
//! 1. **Each rung holds.** With the holes filled up to one of them (in course order) and the rest cut,
//!    every test that `course.toml` places at or before that hole is green. So a student who works in
//!    order never meets a red test that needs something later.
//!    With none of the stage filled, nothing is green: nobody gets points for what was given.
//! 2. **Each hole is missed.** With one hole cut from the reference, some test of its stage is red. So
//!    none can be left out.
//!
//! Building once for every rung would take hours. Instead one copy of the reference is built in which
//! each body starts with a *gate*, a line that panics as the hole would when a variable in the
//! environment says so. A test of an earlier stage runs on its own stage's rungs only: those already
//! cut everything later.

use anyhow::Result;

use crate::cargo_build;
use crate::course::{Course, Hole, Stage, Test};
use crate::cut::Cut;
use crate::grade::{Options, Programs, runner, seeds, wanted};
use crate::handout::{cut_package, leave_out_authors_parts};
use crate::report::paint::Paint;
use crate::report::progress::Progress;
use crate::run::{Job, Runner};
use crate::tree;
use crate::verdict::{Outcome, Status};
use crate::workspace::Workspace;

/// How many of a test's seeds a rung runs. Which holes a test needs hardly depends on the seed; whether it always holds
/// is for the sweep.
const SEEDS: usize = 2;

/// What was found at one hole.
#[derive(Debug)]
pub struct Rung {
    /// The hole.
    pub hole: String,
    /// How many tests should be green with the holes filled up to here.
    pub due: usize,
    /// How many were.
    pub green: usize,
    /// How many tests of the stage are red with this hole alone cut.
    pub missed_by: usize,
}

/// The ladder, climbed.
#[derive(Debug, Default)]
pub struct Climbed {
    /// Every hole of the asked stages.
    pub rungs: Vec<Rung>,
    /// What is wrong, in plain words.
    pub complaints: Vec<String>,
}

/// Climbs.
///
/// # Errors
/// The copy cannot be made or built.
pub fn climb(
    workspace: &Workspace,
    course: &Course,
    options: &Options,
    progress: &Progress,
) -> Result<Climbed> {
    let stages = course.select(&options.stages)?;
    let mut files = tree::read_course(&workspace.root)?;
    let folders = workspace.student_folders(course)?;
    for folder in folders.values() {
        cut_package(&mut files, folder, Cut::Gate, &|_| true)?;
    }
    leave_out_authors_parts(&mut files)?;
    let copy = workspace.copy("ladder", files)?;
    let built = cargo_build::build(&copy, &wanted(&stages, false), options.colours, progress)?;
    let mut runner = runner(course, options)?;
    runner.give_up = false;

    let order: Vec<&str> = course.holes().map(|(_, h)| h.id.as_str()).collect();
    let mut climbed = Climbed::default();
    for stage in stages {
        let folder = copy.root.join(&folders[&stage.package]);
        let programs = Programs::of(stage, &folder, &built, false).map_err(anyhow::Error::msg)?;
        let climber =
            Climber { stage, programs: &programs, order: &order, runner: &runner, options };
        climber.ground(&mut climbed, progress);
        for hole in &stage.holes {
            climber.rung(hole, &mut climbed, progress);
        }
    }
    Ok(climbed)
}

struct Climber<'a> {
    stage: &'a Stage,
    programs: &'a Programs,
    /// All holes of the course.
    order: &'a [&'a str],
    runner: &'a Runner,
    options: &'a Options,
}

impl Climber<'_> {
    fn position(&self, id: &str) -> Option<usize> {
        self.order.iter().position(|hole| *hole == id)
    }

    /// Where a student of this stage starts.
    fn ground(&self, climbed: &mut Climbed, progress: &Progress) {
        let Some(first) = self.stage.holes.first() else { return };
        let all: Vec<&Test> = self.stage.tests.iter().collect();
        progress.phase(&format!("before {}", first.id), all.len());
        let from = self.position(&first.id).unwrap_or_default();
        let outcomes = self.run(&all, &self.order[from..], progress);
        for (test, _) in all.iter().zip(outcomes).filter(|(_, o)| o.status == Status::Pass) {
            climbed.complaints.push(format!(
                "test {}: green with no hole of stage {} filled, so its points are a gift; make it need a hole",
                test.name, self.stage.id
            ));
        }
    }

    fn rung(&self, hole: &Hole, climbed: &mut Climbed, progress: &Progress) {
        let id = &hole.id;
        let here = self.position(id).unwrap_or_default();
        let due: Vec<&Test> = self
            .stage
            .tests
            .iter()
            .filter(|t| self.position(&t.after).is_some_and(|at| at <= here))
            .collect();
        progress.phase(&format!("filled up to {id}"), due.len());
        let outcomes = self.run(&due, &self.order[here + 1..], progress);
        let mut green = 0;
        for (test, outcome) in due.iter().zip(&outcomes) {
            if outcome.status == Status::Pass {
                green += 1;
            } else {
                climbed.complaints.push(self.broken(test, id, outcome));
            }
        }

        let all: Vec<&Test> = self.stage.tests.iter().collect();
        progress.phase(&format!("without {id}"), all.len());
        let outcomes = self.run(&all, &[id], progress);
        let missed_by = outcomes.iter().filter(|o| o.status != Status::Pass).count();
        if missed_by == 0 {
            climbed.complaints.push(format!(
                "hole {id}: cut alone, all {} tests of stage {} are green, so nobody would miss it; it needs a test of its own",
                all.len(),
                self.stage.id
            ));
        }
        climbed.rungs.push(Rung { hole: id.clone(), due: due.len(), green, missed_by });
    }

    fn run(&self, tests: &[&Test], cut: &[&str], progress: &Progress) -> Vec<Outcome> {
        let jobs: Vec<Job> = tests
            .iter()
            .map(|test| {
                let mut some = seeds(test, self.options.seed);
                some.truncate(SEEDS);
                let mut job = self.programs.job(&test.name, some);
                job.brief = true;
                job.env.push(("TINYKV_CUT".into(), cut.join(",")));
                job
            })
            .collect();
        self.runner.run(&jobs, progress)
    }

    fn broken(&self, test: &Test, filled: &str, outcome: &Outcome) -> String {
        let first = self.order.first().copied().unwrap_or_default();
        let filled = if first == filled { filled.to_owned() } else { format!("{first}..{filled}") };
        let head = format!(
            "test {}: course.toml says after = {:?}, but with {filled} filled it is",
            test.name, test.after
        );
        match &outcome.hole {
            Some(hole) => format!("{head} red: it also needs {hole}"),
            None if outcome.status == Status::Undecided => {
                format!("{head} undecided: {}", outcome.broke)
            }
            None => format!("{head} red, and no hole was reached: {}", outcome.broke),
        }
    }
}

/// The table, and below it what is wrong.
pub fn render(climbed: &Climbed, paint: Paint) -> String {
    let width = climbed.rungs.iter().map(|r| r.hole.len()).max().unwrap_or(0).max(4);
    let mut text = paint.dim(format!("{:<width$}  filled up to here  cut alone", "hole")) + "\n";
    for rung in &climbed.rungs {
        let green = format!("{} of {} green", rung.green, rung.due);
        let good = rung.green == rung.due && rung.missed_by > 0;
        let word = if good { paint.good("ok") } else { paint.bad("broken") };
        text += &format!("{:<width$}  {green:<17}  {:>3} red  {word}\n", rung.hole, rung.missed_by);
    }
    for complaint in &climbed.complaints {
        text += &format!("\n{complaint}\n");
    }
    text
}
