//! `cargo grade solution HOLE`: how the reference wrote it, for who is done, or gives up.
//!
//! The solutions are public; whoever wants to copy one can. What stands between is a question: the command shows a
//! solution once the hole's own tests are green, so that it is a second opinion and not a first. `--give-up` shows
//! it before, and writes that down in `target/grade/given-up.json`, which nobody but the student reads.
//!
//! A starter holds no solution. So one comes from a clone of the course, or from a checkpoint that the instructor
//! released, named with `--reference`.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::course::{Course, Hole, Stage};
use crate::grade::{self, Options};
use crate::holes::{Holes, Spot, State};
use crate::list::count;
use crate::markers;
use crate::report::paint::Paint;
use crate::report::progress::Progress;
use crate::tree;
use crate::verdict::Status;
use crate::workspace::Workspace;

/// The file that remembers, below the scratch folder.
const GIVEN_UP: &str = "given-up.json";

/// Shows the solution of a hole.
///
/// # Errors
/// No such hole, none that may be seen yet, or nowhere to read it.
pub fn show(
    workspace: &Workspace,
    course: &Course,
    id: &str,
    (reference, give_up): (Option<&Path>, bool),
    paint: Paint,
    progress: Progress,
) -> Result<String> {
    let (stage, hole) = course.hole(id)?;
    let blocks = blocks(workspace, course, hole, reference)?;
    let earned = is_green(workspace, course, (stage, hole), &progress)?;
    drop(progress);
    let mut text = String::new();
    match earned {
        Ok(green) => {
            text += &paint.good(format!("{green}, so here is how the reference does it.\n"))
        }
        Err(_) if give_up => {
            remember(workspace, &hole.id);
            text += &format!(
                "Noted that you looked up {}. Close it, and write it from memory.\n",
                hole.id
            );
        }
        Err(why) => bail!(
            "{why}, and a solution is worth most afterwards\n`cargo grade hint {0}` helps. `cargo grade solution {0} --give-up` shows it all the same, and notes that.",
            hole.id
        ),
    }
    for (spot, lines) in blocks {
        text += &format!("\n{}\n", paint.strong(spot));
        lines.iter().for_each(|line| text += &format!("    {line}\n"));
    }
    Ok(text)
}

/// The holes whose solution was looked up before it was earned.
pub fn given_up(workspace: &Workspace) -> BTreeSet<String> {
    let text = fs::read(workspace.scratch().join(GIVEN_UP)).ok();
    text.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

fn remember(workspace: &Workspace, id: &str) {
    let mut known = given_up(workspace);
    known.insert(id.to_owned());
    let folder = workspace.scratch();
    let text = serde_json::to_vec_pretty(&known).unwrap_or_default();
    let _ = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join(GIVEN_UP), text));
}

/// The tests of a hole, in a sentence; or what is missing.
fn is_green(
    workspace: &Workspace,
    course: &Course,
    (stage, hole): (&Stage, &Hole),
    progress: &Progress,
) -> Result<std::result::Result<String, String>> {
    if Holes::find(workspace, course)?.state(&hole.id) == State::Unwritten {
        return Ok(Err(format!("{} is not written yet", hole.id)));
    }
    let options = Options {
        stages: vec![stage.id.clone()],
        hole: Some(hole.id.clone()),
        ..Options::default()
    };
    let graded = grade::grade(workspace, course, &options, progress)?;
    let all = graded.report.stages.iter().map(|s| s.tests.len()).sum::<usize>();
    let green = graded.report.stages.iter().map(|s| s.count(Status::Pass)).sum::<usize>();
    let sentence = format!("{green} of {} of {} pass", count(all, "test"), hole.id);
    Ok(if green == all { Ok(sentence) } else { Err(sentence) })
}

/// The marked blocks of a hole in a reference.
fn blocks(
    workspace: &Workspace,
    course: &Course,
    hole: &Hole,
    reference: Option<&Path>,
) -> Result<Vec<(Spot, Vec<String>)>> {
    let source = source(workspace, reference)?;
    let mut found = Vec::new();
    for folder in source.student_folders(course)?.values() {
        for file in tree::rust_files(&source.root, &format!("{folder}/src"))? {
            let text = source.read(&file)?;
            let lines: Vec<&str> = text.lines().collect();
            for block in markers::blocks(&text).unwrap_or_default() {
                if block.id == hole.id {
                    let inside = &lines[block.begin..block.end - 1];
                    let spot = Spot { file: file.clone(), line: block.begin + 1 };
                    found.push((spot, outdent(inside)));
                }
            }
        }
    }
    if found.is_empty() {
        bail!(
            "{} does not hold the solution of {}: it is a starter, a checkpoint of an earlier stage, or another release",
            source.root.display(),
            hole.id
        );
    }
    Ok(found)
}

/// The course that solutions are read from.
///
/// # Errors
/// None was named, or there is none.
pub fn source(workspace: &Workspace, reference: Option<&Path>) -> Result<Workspace> {
    match reference {
        Some(folder) => {
            Workspace::find(folder).context("the reference that was named cannot be used")
        }
        None if workspace.root.join(crate::base::BASE).is_file() => bail!(
            "a starter holds no solution, and no reference was named\nName a clone of the course, or a checkpoint from your instructor: --reference DIR."
        ),
        None => Ok(workspace.clone()),
    }
}

/// Without the indentation that all lines share.
fn outdent(lines: &[&str]) -> Vec<String> {
    let indent = |line: &&str| line.len() - line.trim_start().len();
    let shared = lines.iter().filter(|l| !l.trim().is_empty()).map(indent).min().unwrap_or(0);
    lines.iter().map(|line| line.get(shared..).unwrap_or_default().to_owned()).collect()
}
