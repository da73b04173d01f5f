//! `cargo grade`: builds, runs the stages one after the other, and reports.
//!
//! Stages run in course order, and by default the run stops after the first one that does not pass: what
//! comes later stands on it, and a beginner with eleven empty stages has one next task, not eleven.
//! Within a stage everything runs, since points are for each test.
//!
//! Under `--judge` the program that runs a test is the suite's judge, which starts the test program as
//! its subject behind a pipe. The same tests, the same seeds; but nothing in the student's process can
//! touch the verdict.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::Result;
use serde::Deserialize;

use crate::cargo_build::{self, Built, Wanted};
use crate::course::{Course, Stage, Test};
use crate::limits;
use crate::process;
use crate::report::progress::Progress;
use crate::report::{Report, StageReport, TestReport};
use crate::results::Results;
use crate::run::{Job, Runner};
use crate::suggest::did_you_mean;
use crate::verdict::{Outcome, Status, World};
use crate::workspace::Workspace;

/// What to grade and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Stages as typed; all if empty.
    pub stages: Vec<String>,
    /// Only tests whose name contains this.
    pub test: Option<String>,
    /// Only tests that turn green with this hole.
    pub hole: Option<String>,
    /// One seed in place of the public ones.
    pub seed: Option<u64>,
    /// How many tests at once; all cores if absent.
    pub jobs: Option<usize>,
    /// Go on after a stage that did not pass.
    pub no_fail_fast: bool,
    /// Let the judge decide.
    pub judge: bool,
    /// The wall-clock backstop in place of the course's.
    pub backstop: Option<u64>,
    /// Where the trace of a replay goes.
    pub trace: Option<PathBuf>,
    /// Colours in the compiler's text.
    pub colours: bool,
}

/// A finished run.
#[derive(Debug)]
pub struct Graded {
    /// What it found.
    pub report: Report,
    /// The long forms of the tests in the first stage that did not pass.
    pub docs: BTreeMap<String, String>,
    /// The compiler's warnings, a line each.
    pub warnings: Vec<String>,
}

/// The programs of one stage.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The test program of the student's package.
    pub test: PathBuf,
    /// The judge, when it decides.
    pub judge: Option<PathBuf>,
}

impl Programs {
    /// Picks them out of what was built, or says why they are not there.
    ///
    /// # Errors
    /// The compiler's text.
    pub fn of(stage: &Stage, folder: &Path, built: &Built, judge: bool) -> Result<Self, String> {
        let errors = || built.errors_for(folder);
        let test = built.test_program(folder).ok_or_else(errors)?.to_owned();
        let judge = match judge {
            true => Some(built.judge(&stage.judge).ok_or_else(errors)?.to_owned()),
            false => None,
        };
        Ok(Programs { test, judge })
    }

    /// A job for one test.
    pub fn job(&self, test: &str, seeds: Vec<u64>) -> Job {
        let (program, subject) = match &self.judge {
            Some(judge) => (judge.clone(), Some(self.test.clone())),
            None => (self.test.clone(), None),
        };
        Job {
            program,
            subject,
            test: test.to_owned(),
            seeds,
            brief: false,
            trace: None,
            env: Vec::new(),
            secret: false,
            mute: false,
        }
    }

    /// The program that knows the tests.
    pub fn speaker(&self) -> &Path {
        self.judge.as_ref().unwrap_or(&self.test)
    }
}

/// Grades.
///
/// # Errors
/// An unknown stage, a workspace that cargo does not understand. What is wrong with the student's code
/// is in the report.
pub fn grade(
    workspace: &Workspace,
    course: &Course,
    options: &Options,
    progress: &Progress,
) -> Result<Graded> {
    let stages = course.select(&options.stages)?;
    let selected = select_tests(&stages, options)?;
    let folders = workspace.student_folders(course)?;
    let wanted = wanted(&stages, options.judge);
    let built = cargo_build::build(workspace, &wanted, options.colours, progress)?;
    let runner = runner(course, options)?;

    let mut report = Report {
        course: course.version.clone(),
        rustc: String::new(),
        judge: options.judge,
        seed: options.seed,
        partial: options.test.is_some() || options.hole.is_some(),
        warnings: built.warnings.len(),
        stages: Vec::new(),
    };
    let mut speakers = BTreeMap::new();
    let mut stopped = false;
    for (stage, tests) in &selected {
        let mut found = StageReport::new(stage, tests);
        if !stopped {
            let folder = workspace.root.join(&folders[&stage.package]);
            match Programs::of(stage, &folder, &built, options.judge) {
                Ok(programs) => {
                    run_stage(&mut found, stage, tests, &programs, &runner, options, progress);
                    speakers.insert(&stage.id, programs.speaker().to_owned());
                }
                Err(text) => found.build_error = Some(text),
            }
            stopped = !options.no_fail_fast && found.holds_up();
        }
        report.stages.push(found);
    }
    let speaker = report.first_open().and_then(|open| speakers.get(&open.id));
    let docs = speaker.and_then(|program| long_forms(program).ok()).unwrap_or_default();
    // A scratch copy is somebody else's work.
    if workspace.shared_target.is_none() {
        Results::add(workspace, course, &report)?;
    }
    let warnings = built.warnings.into_iter().map(|warning| warning.brief).collect();
    Ok(Graded { report, docs, warnings })
}

fn run_stage(
    found: &mut StageReport,
    stage: &Stage,
    tests: &[&Test],
    programs: &Programs,
    runner: &Runner,
    options: &Options,
    progress: &Progress,
) {
    progress.phase(&format!("stage {}", stage.id), tests.len());
    let started = Instant::now();
    let brief =
        |test: &&Test| Job { brief: true, ..programs.job(&test.name, seeds(test, options.seed)) };
    let jobs: Vec<Job> = tests.iter().map(brief).collect();
    let outcomes: Vec<Outcome> = runner.run(&jobs, progress);
    for (test, outcome) in found.tests.iter_mut().zip(outcomes) {
        test.outcome = outcome;
    }
    in_full(found, programs, runner, progress);
    found.seconds = started.elapsed().as_secs_f64();
}

/// The failure that will be explained runs once more, to find its shortest plan and whether it repeats. The verdict stays what it
/// was, but what is told of it is what `cargo grade replay` will tell: how the shortest plan breaks the rule.
fn in_full(found: &mut StageReport, programs: &Programs, runner: &Runner, progress: &Progress) {
    let Some(told) = found.first_failure().map(|test| test.name.clone()) else { return };
    let failed = |t: &&mut TestReport| t.name == told && t.outcome.status == Status::Fail;
    let Some(test) = found.tests.iter_mut().find(failed) else { return };
    let simulated = test.outcome.virtual_ms > 0 || test.outcome.came_in_a_storm();
    let Some(seed) = test.outcome.seed.filter(|_| simulated) else { return };
    progress.begin(&test.name);
    let again = runner.one(&programs.job(&test.name, vec![seed]));
    progress.end(&test.name);
    let coverage = std::mem::take(&mut test.outcome.world.coverage);
    if again.status == Status::Fail {
        let world = World { coverage, ..again.world };
        test.outcome = Outcome { world, seconds: test.outcome.seconds, ..again };
    } else {
        test.outcome.world = World { coverage, ..again.world };
    }
}

/// At the judge each step of a test goes through a pipe and back: so many times the course's backstop.
const JUDGE_PATIENCE: u64 = 3;

/// The runner that these options ask for.
///
/// # Errors
/// This program cannot find itself.
pub fn runner(course: &Course, options: &Options) -> Result<Runner> {
    let mut limits = course.limits;
    let patience = if options.judge { JUDGE_PATIENCE } else { 1 };
    limits.backstop_seconds = options.backstop.unwrap_or(limits.backstop_seconds * patience);
    Ok(Runner {
        helper: limits::helper()?,
        limits,
        jobs: options.jobs.unwrap_or_else(cores),
        give_up: !options.judge && !options.no_fail_fast,
        stop_at_red: false,
    })
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The programs that these stages need.
pub fn wanted(stages: &[&Stage], judge: bool) -> Wanted {
    Wanted {
        tests: stages.iter().map(|s| s.package.clone()).collect(),
        judges: stages
            .iter()
            .filter(|_| judge)
            .map(|s| (s.suite.clone(), s.judge.clone()))
            .collect(),
        debug: BTreeSet::new(),
    }
}

/// The seeds of a test: the public ones, or the one that was asked for.
pub fn seeds(test: &Test, only: Option<u64>) -> Vec<u64> {
    match only {
        Some(seed) => vec![seed],
        None => (1..=test.seeds.max(1)).collect(),
    }
}

type Selected<'a> = Vec<(&'a Stage, Vec<&'a Test>)>;

fn select_tests<'a>(stages: &[&'a Stage], options: &Options) -> Result<Selected<'a>> {
    let of_hole = |t: &&Test| options.hole.as_ref().is_none_or(|hole| t.after == *hole);
    let all = stages.iter().map(|s| (*s, s.tests.iter().filter(of_hole).collect::<Vec<_>>()));
    let Some(part) = options.test.as_deref() else { return Ok(all.collect()) };
    let some: Selected<'a> = all
        .map(|(s, tests)| (s, tests.into_iter().filter(|t| t.name.contains(part)).collect()))
        .filter(|(_, tests): &(_, Vec<&Test>)| !tests.is_empty())
        .collect();
    if some.is_empty() {
        let names = stages.iter().flat_map(|s| s.tests.iter().map(|t| t.name.as_str()));
        anyhow::bail!(
            "no test of these stages has `{part}` in its name{}\n`cargo grade list` shows all tests.",
            did_you_mean(part, names)
        );
    }
    Ok(some)
}

#[derive(Deserialize)]
struct Listed {
    name: String,
    #[serde(default)]
    doc: String,
}

/// Asks a program which tests it has; the name and the long form of each.
///
/// # Errors
/// It cannot be run, or does not answer in the agreed form.
pub fn long_forms(program: &Path) -> Result<BTreeMap<String, String>> {
    let mut command = Command::new(program);
    command.arg("tests");
    let finished = process::run(command, Duration::from_secs(30))?;
    if !finished.status.success() {
        anyhow::bail!("`{} tests` ended with {}", program.display(), finished.status);
    }
    let lines = finished.stdout.lines().filter(|line| line.starts_with('{'));
    let listed = lines.map(|line| serde_json::from_str::<Listed>(line).map(|l| (l.name, l.doc)));
    Ok(listed.collect::<Result<_, _>>()?)
}
