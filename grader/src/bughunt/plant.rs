//! Chooses a bug, proves that a test sees it, and writes the workspace.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::{Answer, FILE, Sealed};
use crate::base::BASE;
use crate::cargo_build;
use crate::course::{Course, Stage, Test};
use crate::grade::{Options, Programs, runner, seeds, wanted};
use crate::handout::{leave_out_authors_parts, refuse_occupied};
use crate::holes::{Holes, State};
use crate::markers;
use crate::report::explain::wrap;
use crate::report::progress::Progress;
use crate::run::Job;
use crate::tree::{self, Files};
use crate::verdict::{Outcome, Status};
use crate::workspace::Workspace;
use crate::zoo::{self, Bug};

const README: &str = include_str!("../templates/bughunt.md");

/// A bug that no test sees any more is left aside, but not for ever.
const TRIES: usize = 8;

/// What is to be made.
#[derive(Debug)]
pub struct Hunt {
    /// A stage as typed; any if absent.
    pub stage: Option<String>,
    /// The student's number.
    pub seed: u64,
    /// Where the workspace goes; beside the course if absent.
    pub folder: Option<PathBuf>,
}

/// Makes the workspace of a hunt from `source`, a course whose stages are written. Returns its folder, and the
/// stage.
///
/// # Errors
/// There is no bug to plant, the folder is not empty, or something does not build.
pub fn plant(source: &Workspace, hunt: &Hunt, progress: &Progress) -> Result<(PathBuf, String)> {
    let course = source.course()?;
    let asked: Vec<String> = hunt.stage.iter().cloned().collect();
    let stages = course.select(&asked)?;
    let bugs = bugs(source, &course, &stages, hunt.seed)?;
    let mut files = tree::read_course(&source.root)?;
    leave_out_authors_parts(&mut files)?;
    files.remove(BASE);
    for bug in bugs.iter().take(TRIES) {
        // A patch that rots is the authors' affair; `grade check` tells them.
        let Ok(changed) = bug.patch.apply(&files) else { continue };
        let Some(stage) = course.stages.iter().find(|s| s.id == bug.stage) else { continue };
        let default = || source.root.with_file_name(format!("bughunt-{}-{}", stage.id, hunt.seed));
        let folder = hunt.folder.clone().unwrap_or_else(default);
        refuse_occupied(&folder)?;
        let mut files = files.clone();
        files.extend(changed);
        without_markers(source, &course, &mut files)?;
        let Some((red, shown)) = red(source, &course, stage, files.clone(), progress)? else {
            continue;
        };
        let answer = Answer {
            bug: bug.id.clone(),
            mistake: bug.mistake.clone(),
            users: bug.users.clone(),
            files: bug.patch.paths().map(str::to_owned).collect(),
            red,
        };
        let sealed = Sealed::new(&stage.id, hunt.seed, &answer);
        files.insert(FILE.into(), serde_json::to_vec_pretty(&sealed)?);
        files.insert("README.md".into(), story(stage, &shown).into());
        tree::write(&folder, &files)?;
        return Ok((folder, stage.id.clone()));
    }
    bail!("none of the bugs that were tried is seen by a test; try another --seed")
}

/// The bugs of these stages, in an order that the seed decides.
fn bugs(source: &Workspace, course: &Course, stages: &[&Stage], seed: u64) -> Result<Vec<Bug>> {
    let (mut bugs, _) = zoo::load(source)?;
    if bugs.is_empty() {
        bail!(
            "{} has no bugs to plant: a hunt needs a clone of the course, or a checkpoint\nName one: --reference DIR.",
            source.root.display()
        );
    }
    let holes = Holes::find(source, course)?;
    let is_written =
        |stage: &Stage| stage.holes.iter().all(|h| holes.state(&h.id) != State::Unwritten);
    bugs.retain(|bug| stages.iter().any(|s| s.id == bug.stage && is_written(s)));
    if bugs.is_empty() {
        let ids: Vec<&str> = stages.iter().map(|s| s.id.as_str()).collect();
        bail!("the zoo has no bug for {} here, or that stage is not written in it", ids.join(", "));
    }
    bugs.sort_by_key(|bug| crc32fast::hash(format!("{seed} {}", bug.id).as_bytes()));
    Ok(bugs)
}

/// The markers would show which code is a student's; the bug is always there.
fn without_markers(source: &Workspace, course: &Course, files: &mut Files) -> Result<()> {
    for folder in source.student_folders(course)?.values() {
        let folder = format!("{folder}/src/");
        for (path, content) in files.iter_mut().filter(|(path, _)| tree::is_source(path, &folder)) {
            let text =
                std::str::from_utf8(content).with_context(|| format!("{path} is no text"))?;
            let silent = |line: &&str| markers::begin(line).is_none() && !markers::end(line);
            *content = text.split_inclusive('\n').filter(silent).collect::<String>().into();
        }
    }
    Ok(())
}

/// The tests that are red in these files, and the first of them told in full. `None` if none is, or if they do not
/// compile.
fn red(
    source: &Workspace,
    course: &Course,
    stage: &Stage,
    files: Files,
    progress: &Progress,
) -> Result<Option<(Vec<String>, Outcome)>> {
    let copy = source.copy("bughunt", files)?;
    let built = cargo_build::build(&copy, &wanted(&[stage], false), false, progress)?;
    let folder = copy.root.join(&source.student_folders(course)?[&stage.package]);
    let Ok(programs) = Programs::of(stage, &folder, &built, false) else { return Ok(None) };
    let runner = runner(course, &Options::default())?;
    let tests: Vec<&Test> = stage.tests.iter().collect();
    let job = |test: &&Test| Job { brief: true, ..programs.job(&test.name, seeds(test, None)) };
    let jobs: Vec<Job> = tests.iter().map(job).collect();
    progress.phase("looking for a failing run", jobs.len());
    let outcomes = runner.run(&jobs, progress);
    let red: Vec<_> =
        tests.iter().zip(outcomes).filter(|(_, o)| o.status == Status::Fail).collect();
    let Some((test, outcome)) = red.first() else { return Ok(None) };
    let again = runner.one(&programs.job(&test.name, vec![outcome.seed.unwrap_or(1)]));
    let shown = if again.status == Status::Fail { again } else { outcome.clone() };
    Ok(Some((red.iter().map(|(test, _)| test.name.clone()).collect(), shown)))
}

/// The README of the hunt: what was seen, without the rule that it breaks.
fn story(stage: &Stage, shown: &Outcome) -> String {
    let mut lines = vec![shown.broke.clone(), String::new()];
    lines.extend(shown.facts.iter().map(|fact| format!("fact    {fact}")));
    for (title, text) in [
        ("the shortest plan that still fails:", shown.world.schedule.clone().unwrap_or_default()),
        ("the last lines of the run:", shown.world.last.join("\n")),
    ] {
        if !text.trim().is_empty() {
            lines.extend([String::new(), title.into()]);
            lines.extend(text.lines().map(|line| format!("  {line}")));
        }
    }
    let seen: Vec<String> = lines
        .iter()
        .flat_map(|text| text.lines().chain(text.is_empty().then_some("")))
        .flat_map(|line| wrap(line, 110))
        .collect();
    README
        .replace("{stage}", &stage.id)
        .replace("{lower}", &stage.id.to_lowercase())
        .replace("{title}", &stage.title)
        .replace("{chapter}", &stage.chapter)
        .replace("{seen}", seen.join("\n").trim_end())
}
