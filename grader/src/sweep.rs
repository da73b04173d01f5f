//! `cargo grade sweep`: many seeds of every test, in sittings.
//!
//! A thousand seeds of everything take about an hour on two cores, so the state is kept in
//! `target/grade/sweep.json` after every few seeds, and the next call goes on where the last one stopped. It
//! of a test belongs to the sources that it was made with: another fingerprint of its package starts it over. A failing seed is kept, with the
//! command that replays it, and the sweep goes on with the next.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::cargo_build;
use crate::course::{Course, Stage};
use crate::grade::{Options, Programs, runner, wanted};
use crate::list::count;
use crate::report::paint::Paint;
use crate::report::progress::Progress;
use crate::run::Job;
use crate::tree;
use crate::verdict::{Outcome, Status};
use crate::workspace::Workspace;

/// So many seeds run in one process; then the state is written.
const BATCH: u64 = 20;

/// Two at a time, unless asked otherwise: who sweeps for an hour wants to work meanwhile.
const JOBS: usize = 2;

/// What is kept between sittings.
#[derive(Debug, Default, Serialize, Deserialize)]
pub struct Swept {
    /// By test.
    pub tests: BTreeMap<String, Seeds>,
}

/// How far one test is.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Seeds {
    /// Of the sources that the test is made of.
    #[serde(default)]
    fingerprint: u64,
    /// Seeds 1 to this are done.
    pub done: u64,
    /// Seeds that did not pass, and what they said.
    pub failed: Vec<(u64, String)>,
    /// What all of them exercised.
    #[serde(default)]
    pub coverage: BTreeMap<String, u64>,
}

/// Sweeps seeds 1 to `seeds` of the stages that `options` asks for.
///
/// # Errors
/// Something does not build, or the state cannot be written.
pub fn sweep(
    workspace: &Workspace,
    course: &Course,
    options: &Options,
    (seeds, fresh): (u64, bool),
    progress: &Progress,
) -> Result<Swept> {
    let stages = course.select(&options.stages)?;
    let built =
        cargo_build::build(workspace, &wanted(&stages, options.judge), options.colours, progress)?;
    let mut runner = runner(course, options)?;
    (runner.jobs, runner.give_up) = (options.jobs.unwrap_or(JOBS), false);
    runner.limits.backstop_seconds *= BATCH;

    let file = workspace.scratch().join("sweep.json");
    let kept = fs::read(&file).ok().and_then(|text| serde_json::from_slice::<Swept>(&text).ok());
    let mut swept = kept.filter(|_| !fresh).unwrap_or_default();
    fs::create_dir_all(workspace.scratch()).context("cannot make the scratch folder")?;

    let folders = workspace.student_folders(course)?;
    for stage in stages {
        let folder = workspace.root.join(&folders[&stage.package]);
        let programs =
            Programs::of(stage, &folder, &built, options.judge).map_err(anyhow::Error::msg)?;
        let fingerprint = tree::fingerprint(&workspace.sources(&stage.package)?);
        for test in &stage.tests {
            let known = swept.tests.entry(test.name.clone()).or_default();
            if known.fingerprint != fingerprint {
                *known = Seeds { fingerprint, ..Seeds::default() };
            }
        }
        loop {
            let jobs = batch(stage, &programs, &swept, seeds);
            if jobs.is_empty() {
                break;
            }
            let low = jobs.iter().filter_map(|job| job.seeds.first()).min().copied().unwrap_or(1);
            progress.phase(&format!("stage {}, from seed {low}", stage.id), jobs.len());
            let outcomes = runner.run(&jobs, progress);
            for (job, outcome) in jobs.iter().zip(outcomes) {
                swept.tests.entry(job.test.clone()).or_default().add(job, outcome);
            }
            let text = serde_json::to_vec_pretty(&swept).unwrap_or_default();
            fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
        }
    }
    Ok(swept)
}

/// The next seeds of each test of a stage that is not done.
fn batch(stage: &Stage, programs: &Programs, swept: &Swept, seeds: u64) -> Vec<Job> {
    let next = |name: &str| swept.tests.get(name).map_or(0, |seeds| seeds.done) + 1;
    let tests = stage.tests.iter().map(|test| (&test.name, next(&test.name)));
    let open = tests.filter(|(_, first)| *first <= seeds);
    open.map(|(name, first)| {
        let last = seeds.min(first + BATCH - 1);
        Job { brief: true, ..programs.job(name, (first..=last).collect()) }
    })
    .collect()
}

impl Seeds {
    fn add(&mut self, job: &Job, outcome: Outcome) {
        for (what, times) in outcome.world.coverage {
            *self.coverage.entry(what).or_default() += times;
        }
        // A process stops at its first failure: the next batch goes on behind it.
        self.done = match outcome.status {
            Status::Pass => job.seeds.last().copied().unwrap_or(self.done),
            _ => outcome.seed.unwrap_or(self.done + 1),
        };
        if outcome.status != Status::Pass {
            self.failed.push((self.done, outcome.broke));
        }
    }
}

/// What was found in these stages, as text; and whether all of it is good.
pub fn render(swept: &Swept, stages: &[&Stage], seeds: u64, paint: Paint) -> (String, bool) {
    let (mut text, mut failures, mut runs) = (String::new(), 0, 0);
    for test in stages.iter().flat_map(|stage| &stage.tests) {
        let Some(found) = swept.tests.get(&test.name) else { continue };
        runs += found.done.min(seeds);
        for (seed, broke) in found.failed.iter().filter(|(seed, _)| *seed <= seeds) {
            failures += 1;
            text += &format!("{}\n  {broke}\n", paint.bad(format!("{} (seed {seed})", test.name)));
            text += &format!("  again   cargo grade replay {} --seed {seed}\n\n", test.name);
        }
    }
    let tests: usize = stages.iter().map(|stage| stage.tests.len()).sum();
    let runs = usize::try_from(runs).unwrap_or(usize::MAX);
    text += &format!(
        "{}, {}: {}.\n",
        count(tests, "test"),
        count(runs, "run"),
        match failures {
            0 => paint.good("all of them pass"),
            n => paint.bad(format!("{n} did not pass")),
        }
    );
    (text, failures == 0)
}
