//! Plants each bug, and waits for a red test.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use super::Bug;
use crate::cargo_build;
use crate::course::{Course, Stage, Test};
use crate::grade::{Options, Programs, runner, seeds, wanted};
use crate::handout::leave_out_authors_parts;
use crate::report::progress::Progress;
use crate::run::{Job, Runner};
use crate::tree::{self, Files};
use crate::verdict::{Outcome, Status};
use crate::workspace::Workspace;

/// What became of a bug.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "fate", rename_all = "snake_case")]
pub enum Fate {
    /// A test is red.
    Caught {
        /// The test.
        test: String,
        /// What it says.
        broke: String,
        /// With which seed.
        seed: u64,
    },
    /// No test is red.
    Survived {
        /// How many were asked.
        tests: usize,
        /// How many of them had no verdict: a loop without end, most likely.
        undecided: usize,
    },
    /// The patch rots.
    DoesNotApply {
        /// Where and why.
        why: String,
    },
    /// The compiler's text.
    DoesNotCompile {
        /// The first error.
        error: String,
    },
    /// Without the bug a test is not green either, so a red one would prove nothing.
    ReferenceIsRed {
        /// That test.
        test: String,
    },
    /// Its stage is not in the course yet.
    Waits,
}

/// What was found out about one bug.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// The bug.
    pub bug: String,
    /// The stage that must catch it.
    pub stage: String,
    /// What became of it.
    #[serde(flatten)]
    pub fate: Fate,
    /// How long that took, in seconds.
    pub seconds: f64,
    /// Found in an earlier run, on the same sources.
    #[serde(default, skip_deserializing)]
    pub remembered: bool,
}

impl Finding {
    /// Whether a suite did its duty.
    pub fn is_good(&self) -> bool {
        matches!(self.fate, Fate::Caught { .. } | Fate::Waits)
    }
}

/// What is kept between runs.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Memory {
    #[serde(default)]
    caught: BTreeMap<String, Remembered>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    /// Of the sources and the patch.
    fingerprint: u64,
    finding: Finding,
}

/// Hunts these bugs.
///
/// # Errors
/// The copy cannot be made, or cargo cannot build the reference.
pub fn hunt(
    workspace: &Workspace,
    course: &Course,
    bugs: &[&Bug],
    options: &Options,
    fresh: bool,
    progress: &Progress,
) -> Result<Vec<Finding>> {
    let mut files = tree::read_course(&workspace.root)?;
    leave_out_authors_parts(&mut files)?;
    let copy = workspace.copy("zoo", files.clone())?;
    let mut runner = runner(course, options)?;
    (runner.give_up, runner.stop_at_red) = (true, true);
    let state = workspace.scratch().join("zoo.json");
    let memory = fs::read(&state).ok().and_then(|text| serde_json::from_slice(&text).ok());
    let mut hunter = Hunter {
        course,
        folders: workspace.student_folders(course)?,
        files,
        copy,
        runner,
        options,
        fingerprints: BTreeMap::new(),
        planted: Vec::new(),
        reference: BTreeMap::new(),
        progress,
    };
    let mut memory: Memory = memory.unwrap_or_default();
    let mut findings = Vec::new();
    for (at, bug) in bugs.iter().enumerate() {
        let fingerprint = match course.stages.iter().find(|s| s.id == bug.stage) {
            Some(stage) => hunter.fingerprint(workspace, stage)? ^ bug_fingerprint(bug, stage),
            None => 0,
        };
        let known = memory.caught.get(&bug.id);
        if let Some(known) = known.filter(|k| !fresh && k.fingerprint == fingerprint) {
            findings.push(Finding { remembered: true, ..known.finding.clone() });
            continue;
        }
        let last = known.and_then(|known| match &known.finding.fate {
            Fate::Caught { test, .. } => Some(test.clone()),
            _ => None,
        });
        let started = Instant::now();
        let what = format!("{} ({} of {})", bug.id, at + 1, bugs.len());
        let fate = hunter.one(bug, last.as_deref(), &what)?;
        let seconds = started.elapsed().as_secs_f64();
        let (id, stage) = (bug.id.clone(), bug.stage.clone());
        let finding = Finding { bug: id, stage, fate, seconds, remembered: false };
        if let Fate::Caught { .. } = finding.fate {
            let remembered = Remembered { fingerprint, finding: finding.clone() };
            memory.caught.insert(bug.id.clone(), remembered);
            // What cannot be kept is found again.
            let _ = fs::write(&state, serde_json::to_vec_pretty(&memory).unwrap_or_default());
        }
        findings.push(finding);
    }
    hunter.plant(&Files::new())?;
    Ok(findings)
}

fn bug_fingerprint(bug: &Bug, stage: &Stage) -> u64 {
    let tests: Vec<_> = stage.tests.iter().map(|t| (&t.name, t.seeds)).collect();
    let text = format!("{}{:?}{tests:?}", bug.stage, bug.patch);
    tree::fingerprint(&[(bug.id.clone(), text.into_bytes())].into())
}

struct Hunter<'a> {
    course: &'a Course,
    folders: BTreeMap<String, String>,
    /// The reference, as the copy has it (but for the marks in manifests).
    files: Files,
    /// Of what each package's tests are made of.
    fingerprints: BTreeMap<String, u64>,
    copy: Workspace,
    runner: Runner,
    options: &'a Options,
    /// The files that are changed in the copy right now.
    planted: Vec<String>,
    /// Stages that ran without a bug: the test that is not green, if there is one.
    reference: BTreeMap<String, Option<String>>,
    progress: &'a Progress,
}

impl Hunter<'_> {
    /// Another number when the tests of this stage may end otherwise.
    fn fingerprint(&mut self, workspace: &Workspace, stage: &Stage) -> Result<u64> {
        if let Some(known) = self.fingerprints.get(&stage.package) {
            return Ok(*known);
        }
        let of_package = tree::fingerprint(&workspace.sources(&stage.package)?);
        self.fingerprints.insert(stage.package.clone(), of_package);
        Ok(of_package)
    }

    fn one(&mut self, bug: &Bug, last: Option<&str>, what: &str) -> Result<Fate> {
        let course = self.course;
        let Some(at) = course.stages.iter().position(|s| s.id == bug.stage) else {
            return Ok(Fate::Waits);
        };
        let changed = match bug.patch.apply(&self.files) {
            Ok(changed) => changed,
            Err(e) => return Ok(Fate::DoesNotApply { why: format!("{}: {e}", bug.file) }),
        };
        let package = &course.stages[at].package;
        // The bug's own stage, then the nearest of the earlier ones.
        let earlier = course.stages[..=at].iter().rev();
        let later = course.stages[at + 1..].iter().filter(|_| bug.is_mutant);
        let stages: Vec<&Stage> = earlier.chain(later).filter(|s| s.package == *package).collect();
        if let Some(test) = self.red_without(&stages)? {
            return Ok(Fate::ReferenceIsRed { test });
        }
        self.plant(&changed)?;
        let programs = match self.build(stages[0], what)? {
            Ok(programs) => programs,
            Err(error) => return Ok(Fate::DoesNotCompile { error }),
        };
        let mut tests: Vec<&Test> = stages.iter().flat_map(|s| &s.tests).collect();
        // The sort is stable: the rest stays in order.
        tests.sort_by_key(|test| Some(test.name.as_str()) != last);
        let outcomes = self.run(&tests, &programs, what);
        let red = tests.iter().zip(&outcomes).find(|(_, o)| o.status == Status::Fail);
        Ok(match red {
            Some((test, outcome)) => Fate::Caught {
                test: test.name.clone(),
                broke: outcome.broke.clone(),
                seed: outcome.seed.unwrap_or(1),
            },
            None => Fate::Survived {
                tests: tests.len(),
                undecided: outcomes.iter().filter(|o| o.status == Status::Undecided).count(),
            },
        })
    }

    /// A test of these stages that is not green without a bug.
    fn red_without(&mut self, stages: &[&Stage]) -> Result<Option<String>> {
        let new: Vec<&Stage> =
            stages.iter().copied().filter(|s| !self.reference.contains_key(&s.id)).collect();
        if !new.is_empty() {
            self.plant(&Files::new())?;
            let programs = self.build(stages[0], "without a bug")?.map_err(anyhow::Error::msg)?;
            for stage in new {
                let tests: Vec<&Test> = stage.tests.iter().collect();
                let what = format!("stage {} without a bug", stage.id);
                let outcomes = self.run(&tests, &programs, &what);
                let red = tests.iter().zip(outcomes).find(|(_, o)| o.status != Status::Pass);
                self.reference.insert(stage.id.clone(), red.map(|(test, _)| test.name.clone()));
            }
        }
        Ok(stages.iter().find_map(|s| self.reference.get(&s.id).cloned().flatten()))
    }

    /// Puts these files into the copy, and takes back what was changed there before.
    fn plant(&mut self, changed: &Files) -> Result<()> {
        let mut write = changed.clone();
        for path in std::mem::take(&mut self.planted) {
            if let (false, Some(old)) = (write.contains_key(&path), self.files.get(&path)) {
                write.insert(path, old.clone());
            }
        }
        self.planted = changed.keys().cloned().collect();
        tree::write(&self.copy.root, &write)
    }

    fn build(&self, stage: &Stage, what: &str) -> Result<std::result::Result<Programs, String>> {
        let colours = self.options.colours;
        let built =
            cargo_build::build(&self.copy, &wanted(&[stage], false), colours, self.progress)?;
        self.progress.step(what);
        let folder = self.copy.root.join(&self.folders[&stage.package]);
        Ok(Programs::of(stage, &folder, &built, false))
    }

    fn run(&self, tests: &[&Test], programs: &Programs, what: &str) -> Vec<Outcome> {
        self.progress.phase(what, tests.len());
        let job = |test: &&Test| Job { brief: true, ..programs.job(&test.name, seeds(test, None)) };
        let jobs: Vec<Job> = tests.iter().map(job).collect();
        self.runner.run(&jobs, self.progress)
    }
}
