//! Grades one submission: build it, put it before the judge, write down what was found.
//!
//! For each package, in course order:
//!
//! 1. It is built on the reference's earlier packages. If it does not compile there, but does on the student's own
//!    (which may offer more), it is graded there, and the record says so.
//! 2. If it compiles on neither, the starter's files come back, those of the latest stage first, until it does. What was
//!    taken back is lost, what remains is graded.
//! 3. Each stage's tests run on the public seeds; those that pass, on the hidden ones too. One test a stage runs with a
//!    mute world, in which no answer can be right (`Grading::tripwire`).
//!
//! At the end the student's packages are built on each other, and whatever stands on another package of the student is
//! tested again.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Result;
use grader::course::{Stage, Test};
use grader::grade::Programs;
use grader::report::progress::Progress;
use grader::run::{HANGING, Job, Runner};
use grader::tree::Files;
use grader::verdict::{Outcome, Status};

use crate::record::{
    BuildNote, Conditions, FORMAT, Fate, Score, StageScore, TestScore, Times, Verdict,
};
use crate::workshop::{Base, Sources, Workshop};
use crate::{seeds, sum};

/// What it takes to grade.
pub struct Grading<'a> {
    /// The programs' maker.
    pub workshop: &'a Workshop,
    /// The stages.
    pub stages: Vec<&'a Stage>,
    /// Runs tests.
    pub runner: Runner,
    /// What scores are given under.
    pub conditions: Conditions,
    /// For each stage, a test that a mute subject fails.
    pub tripwires: BTreeMap<String, String>,
    /// Shows what is going on.
    pub progress: &'a Progress,
}

/// The programs of a submission that compiled.
struct Ready {
    subject: PathBuf,
    /// Its sources, mended if they had to be.
    sources: Files,
}

impl Grading<'_> {
    /// Grades the files of a submission.
    ///
    /// # Errors
    /// The grader's own troubles. Whatever is wrong with a submission is in its score.
    pub fn grade(&self, id: &str, files: &Files) -> Result<(Score, Times)> {
        let started = Instant::now();
        let (handed_in, notes) = self.workshop.sort(files);
        let sources = seeds::hash(
            files.iter().flat_map(|(path, content)| [path.as_bytes(), content.as_slice()]),
        );
        let mut score = self.blank(id, Fate::Graded);
        (score.notes, score.sources) = (notes, sources);
        let mut times = Times { id: id.to_owned(), ..Times::default() };

        let mut stack = handed_in.clone();
        for package in self.packages() {
            let building = Instant::now();
            let ready = self.make(package, &stack, &mut score)?;
            times.build += building.elapsed().as_secs_f64();
            for at in self.stages_of(package) {
                let running = Instant::now();
                let stage = self.stages[at];
                score.stages[at] = self.stage(stage, &ready, &mut score.flags);
                if let Some(why) = self.tripwire(stage, &ready) {
                    score.fate = Fate::Void { why };
                }
                times.stages.push((stage.id.clone(), running.elapsed().as_secs_f64()));
            }
            stack.insert(package.to_owned(), ready.sources);
        }
        self.on_their_own(&stack, &mut score, &mut times)?;
        if let Fate::Void { .. } = score.fate {
            for test in score.stages.iter_mut().flat_map(|stage| &mut stage.tests) {
                let none =
                    Verdict::of(&Outcome::without_line(Status::NotRun, "the submission is void"));
                (test.ours, test.hidden, test.own) = (none, None, None);
            }
        }
        sum::settle(&mut score);
        times.total = started.elapsed().as_secs_f64();
        Ok((score, times))
    }

    /// A score without points.
    pub fn blank(&self, id: &str, fate: Fate) -> Score {
        let mut score = Score {
            format: FORMAT,
            id: id.to_owned(),
            fate,
            points: 0.0,
            extra: 0.0,
            worth: 0,
            flags: Vec::new(),
            notes: Vec::new(),
            sources: String::new(),
            conditions: self.conditions.clone(),
            builds: Vec::new(),
            stages: self.stages.iter().map(|stage| unrun(stage)).collect(),
        };
        sum::settle(&mut score);
        score
    }

    /// The packages of the graded stages, in course order.
    pub fn packages(&self) -> Vec<&str> {
        let all = self.workshop.course.packages();
        all.into_iter().filter(|package| !self.stages_of(package).is_empty()).collect()
    }

    fn stages_of(&self, package: &str) -> Vec<usize> {
        (0..self.stages.len()).filter(|at| self.stages[*at].package == package).collect()
    }

    /// Builds a package, on our base if possible, mended if necessary.
    fn make(&self, package: &str, handed_in: &Sources, score: &mut Score) -> Result<Ready> {
        let error = match self.attempt(Base::Ours, package, handed_in, score)? {
            Ok(ready) => return Ok(ready),
            Err(error) => error,
        };
        let mut note = BuildNote { package: package.to_owned(), error, mended: Vec::new() };
        let stands_on_own = self
            .workshop
            .below(package)
            .iter()
            .any(|p| handed_in[p] != self.workshop.reference()[p]);
        if stands_on_own && let Ok(ready) = self.attempt(Base::Own, package, handed_in, score)? {
            note.mended.push("graded on their own earlier packages, where it compiles".into());
            score.builds.push(note);
            return Ok(ready);
        }
        let mut mended = handed_in.clone();
        let starter = self.workshop.starter(package);
        let course = &self.workshop.course;
        // Of all stages of the package, graded now or not: the latest may be what does not compile.
        for stage in course.stages.iter().rev().filter(|stage| stage.package == package) {
            let mut files: Vec<&String> = stage.holes.iter().map(|hole| &hole.file).collect();
            files.dedup();
            let Some(theirs) = mended.get_mut(package) else { continue };
            let mut changed = false;
            for file in files {
                let Some(ours) = starter.get(file) else { continue };
                if theirs.get(file) != Some(ours) {
                    theirs.insert(file.clone(), ours.clone());
                    note.mended.push(format!("{file} is the starter's again (stage {})", stage.id));
                    changed = true;
                }
            }
            if changed && let Ok(ready) = self.attempt(Base::Ours, package, &mended, score)? {
                score.builds.push(note);
                return Ok(ready);
            }
        }
        note.mended.push(format!("all of {package} is the starter's again"));
        score.builds.push(note);
        mended.insert(package.to_owned(), starter.clone());
        match self.attempt(Base::Ours, package, &mended, score)? {
            Ok(ready) => Ok(ready),
            Err(error) => anyhow::bail!("the starter's own {package} does not build:\n{error}"),
        }
    }

    /// The program, or the compiler's text.
    fn attempt(
        &self,
        base: Base,
        package: &str,
        sources: &Sources,
        score: &mut Score,
    ) -> Result<std::result::Result<Ready, String>> {
        let built = self.workshop.build(base, sources, &[package], self.progress)?;
        if built.cut_short {
            let flag = format!("the build of {package} did not come to an end of its own");
            if !score.flags.contains(&flag) {
                score.flags.push(flag);
            }
        }
        let folder = self.workshop.folder(package);
        let Some(program) = built.test_program(&folder) else {
            return Ok(Err(built.errors_for(&folder)));
        };
        let subject = self.workshop.subject(base, package, program)?;
        Ok(Ok(Ready { subject, sources: sources[package].clone() }))
    }

    fn programs(&self, stage: &Stage, subject: &Path) -> Programs {
        Programs { test: subject.to_owned(), judge: Some(self.workshop.judge(stage)) }
    }

    fn job(&self, stage: &Stage, subject: &Path, test: &str, seeds: Vec<u64>) -> Job {
        Job { brief: true, secret: true, ..self.programs(stage, subject).job(test, seeds) }
    }

    fn stage(&self, stage: &Stage, ready: &Ready, flags: &mut Vec<String>) -> StageScore {
        let mut found = unrun(stage);
        let tests: Vec<&Test> = stage.tests.iter().collect();
        let outcomes = self.run(stage, ready, &tests, &|test| grader::grade::seeds(test, None), "");
        for (test, outcome) in found.tests.iter_mut().zip(&outcomes) {
            test.ours = Verdict::of(outcome);
        }
        let hidden = &self.conditions.hidden_seeds;
        if !hidden.is_empty() {
            let green: Vec<usize> =
                (0..tests.len()).filter(|at| found.tests[*at].ours.passed()).collect();
            let again: Vec<&Test> = green.iter().map(|at| tests[*at]).collect();
            let outcomes = self.run(stage, ready, &again, &|_| hidden.clone(), ", hidden seeds");
            for (at, outcome) in green.into_iter().zip(&outcomes) {
                found.tests[at].hidden = Some(Verdict::of(outcome));
            }
        }
        let undecided = |verdict: &Verdict| verdict.verdict == Status::Undecided;
        for test in &found.tests {
            if undecided(&test.ours) || test.hidden.as_ref().is_some_and(undecided) {
                flags.push(format!("undecided twice: {}", test.name));
            }
        }
        found
    }

    fn run(
        &self,
        stage: &Stage,
        ready: &Ready,
        tests: &[&Test],
        seeds: &dyn Fn(&Test) -> Vec<u64>,
        what: &str,
    ) -> Vec<Outcome> {
        self.progress.phase(&format!("stage {}{what}", stage.id), tests.len());
        let job = |test: &&Test| self.job(stage, &ready.subject, &test.name, seeds(test));
        let jobs: Vec<Job> = tests.iter().map(job).collect();
        let mut outcomes = self.runner.run(&jobs, self.progress);
        give_up_in_order(&mut outcomes);
        outcomes
    }

    /// Runs a test in whose world every answer of the subject is thrown away. The subject sees nothing unusual. If the
    /// test passes all the same, somebody else than the judge gave the verdict.
    fn tripwire(&self, stage: &Stage, ready: &Ready) -> Option<String> {
        let name = self.tripwires.get(&stage.id)?;
        let outcome = self.mute(stage, &ready.subject, name);
        (outcome.status == Status::Pass).then(|| {
            format!("{name} passed in a world in which it cannot: the verdicts are not the judge's")
        })
    }

    /// A test in a mute world.
    fn mute(&self, stage: &Stage, subject: &Path, test: &str) -> Outcome {
        let mut job = self.job(stage, subject, test, vec![1]);
        job.mute = true;
        self.runner.one(&job)
    }

    /// Finds a tripwire for each stage: the first test that the reference passes, and fails when it is mute.
    ///
    /// # Errors
    /// The reference does not build.
    pub fn lay_tripwires(&mut self, reference: &Score) -> Result<()> {
        let mut nothing = self.blank("", Fate::Graded);
        let mut found = BTreeMap::new();
        for package in self.packages() {
            let ready =
                match self.attempt(Base::Ours, package, self.workshop.reference(), &mut nothing)? {
                    Ok(ready) => ready,
                    Err(error) => {
                        anyhow::bail!("the reference does not build in the sandbox:\n{error}")
                    }
                };
            for at in self.stages_of(package) {
                let stage = self.stages[at];
                let passed = reference.stages[at].tests.iter().filter(|test| test.ours.passed());
                let fails =
                    |name: &&String| self.mute(stage, &ready.subject, name).status == Status::Fail;
                if let Some(name) = passed.map(|test| &test.name).take(5).find(fails) {
                    found.insert(stage.id.clone(), name.clone());
                }
            }
        }
        self.tripwires = found;
        Ok(())
    }

    /// The whole stack: the student's packages on the student's packages.
    fn on_their_own(&self, stack: &Sources, score: &mut Score, times: &mut Times) -> Result<()> {
        let standing = |package: &&str| !self.workshop.below(package).is_empty();
        let upper: Vec<&str> = self.packages().into_iter().filter(standing).collect();
        if upper.is_empty() {
            return Ok(());
        }
        let building = Instant::now();
        let built = self.workshop.build(Base::Own, stack, &self.packages(), self.progress)?;
        times.build += building.elapsed().as_secs_f64();
        for package in upper {
            let folder = self.workshop.folder(package);
            let subject = built
                .test_program(&folder)
                .map(|program| self.workshop.subject(Base::Own, package, program));
            let Some(subject) = subject.transpose()? else {
                score.builds.push(BuildNote {
                    package: package.to_owned(),
                    error: built.errors_for(&folder),
                    mended: vec![
                        "on their own earlier packages it does not compile, so that tenth is lost"
                            .into(),
                    ],
                });
                for at in self.stages_of(package) {
                    for test in &mut score.stages[at].tests {
                        test.own = Some(Verdict::of(&Outcome::without_line(
                            Status::Fail,
                            "it does not compile",
                        )));
                    }
                }
                continue;
            };
            let ready = Ready { subject, sources: Files::new() };
            for at in self.stages_of(package) {
                let running = Instant::now();
                let stage = self.stages[at];
                // What is not written is not written on any base.
                let (found, written): (Vec<usize>, Vec<&Test>) = stage
                    .tests
                    .iter()
                    .enumerate()
                    .filter(|(test, _)| {
                        score.stages[at].tests[*test].ours.verdict != Status::NotWritten
                    })
                    .unzip();
                let outcomes = self.run(
                    stage,
                    &ready,
                    &written,
                    &|test| grader::grade::seeds(test, None),
                    " on their own",
                );
                for test in &mut score.stages[at].tests {
                    test.own = Some(test.ours.clone());
                }
                for (test, outcome) in found.into_iter().zip(&outcomes) {
                    score.stages[at].tests[test].own = Some(Verdict::of(outcome));
                    if outcome.status == Status::Undecided {
                        score.flags.push(format!(
                            "undecided twice on their own stack: {}",
                            stage.tests[test].name
                        ));
                    }
                }
                times.stages.push((format!("{} (own)", stage.id), running.elapsed().as_secs_f64()));
            }
        }
        Ok(())
    }
}

/// The runner gives up after some tests that hang, and which others have run by then depends on the machine. So that a
/// record does not, everything behind the last of those counts as not run.
fn give_up_in_order(outcomes: &mut [Outcome]) {
    if !outcomes.iter().any(|outcome| outcome.status == Status::NotRun) {
        return;
    }
    let hanging =
        outcomes.iter().enumerate().filter(|(_, outcome)| outcome.status == Status::Undecided);
    let Some((last, _)) = hanging.take(HANGING).last() else { return };
    outcomes[last + 1..].fill(Outcome::not_run());
}

fn unrun(stage: &Stage) -> StageScore {
    let not_run = Verdict::of(&Outcome::not_run());
    let test = |test: &Test| TestScore {
        name: test.name.clone(),
        rule: test.rule.clone(),
        reading: stage.reading(test),
        weight: test.weight,
        ours: not_run.clone(),
        hidden: None,
        own: None,
    };
    StageScore {
        id: stage.id.clone(),
        title: stage.title.clone(),
        worth: stage.points,
        extra: stage.extra,
        weight: stage.weight(),
        points: 0.0,
        tests: stage.tests.iter().map(test).collect(),
    }
}
