//! `cargo grade zoo`: mistakes that the suites must catch.
//!
//! A suite is judged by what it lets through. Each file of `grader/zoo` plants one mistake in the reference
//! and names the stage that has to find it; `grader/zoo/README.md` tells the form. The zoo is a claim about
//! *public* seeds: what a student can see is enough.
//!
//! One scratch copy of the workspace is kept, and cargo rebuilds in it what a patch changes: the crate with the
//! mistake, and what stands on it. Then the tests run until the first is red: first the one that caught the bug the
//! last time, then those of the bug's own stage, then those of earlier stages of the same package, the nearest
//! first. A test that is red on the reference proves nothing; so the stages run once without a bug before.
//!
//! What was caught is remembered in `target/grade/zoo.json`, under a fingerprint of the patch and of the sources that the
//! stage's tests are made of. So a run that was interrupted goes on where it stopped, a change of project 4 leaves what is
//! known of project 2 alone, and a bug that got through is tried again each time.

mod hunt;
pub mod mutants;
mod patch;
mod table;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::check::Complaint;
use crate::holes::Spot;
use crate::suggest::did_you_mean;
use crate::tree;
use crate::workspace::Workspace;

pub use hunt::{Fate, Finding, hunt};
pub use patch::{Patch, Wrong};
pub use table::{json, list, matrix, render};

/// Where the patches are, from the root.
pub const FOLDER: &str = "grader/zoo";

/// A mistake.
#[derive(Debug, Clone)]
pub struct Bug {
    /// Unique: the stage and a number.
    pub id: String,
    /// The stage that must catch it.
    pub stage: String,
    /// Whether a later stage of its package may catch it, too.
    pub is_mutant: bool,
    /// What the code does wrong.
    pub mistake: String,
    /// What goes wrong for those who rely on it.
    pub users: String,
    /// Where it comes from.
    pub source: String,
    /// The patch's file, from the root.
    pub file: String,
    /// The patch.
    pub patch: Patch,
}

/// Every patch that can be read, in the order of ids, and what is wrong with the others.
///
/// # Errors
/// The folder cannot be listed.
pub fn load(workspace: &Workspace) -> Result<(Vec<Bug>, Vec<Complaint>)> {
    let folder = workspace.root.join(FOLDER);
    let (mut bugs, mut complaints) = (Vec::<Bug>::new(), Vec::new());
    if !folder.is_dir() {
        return Ok((bugs, complaints));
    }
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| format!("cannot list {FOLDER}"))? {
        let name = entry.with_context(|| format!("cannot list {FOLDER}"))?.file_name();
        if let Ok(name) = name.into_string()
            && Path::new(&name).extension().is_some_and(|e| e == "patch")
        {
            names.push(name);
        }
    }
    names.sort();
    for name in names {
        let file = format!("{FOLDER}/{name}");
        match workspace.read(&file).map(|text| parse(&file, &text)) {
            Ok(Ok(bug)) if bugs.iter().any(|other| other.id == bug.id) => {
                complaints.push(complaint(
                    &file,
                    1,
                    format!("two bugs are called {}", bug.id),
                    "give one another number",
                ))
            }
            Ok(Ok(bug)) => bugs.push(bug),
            Ok(Err(e)) => complaints.push(complaint(&file, e.line, e.what, FORM)),
            Err(e) => complaints.push(complaint(&file, 1, format!("{e:#}"), FORM)),
        }
    }
    Ok((bugs, complaints))
}

const FORM: &str = "grader/zoo/README.md tells the form";

fn complaint(file: &str, line: usize, what: String, mend: &str) -> Complaint {
    Complaint { spot: Spot { file: file.into(), line }, what, mend: mend.into() }
}

/// Reads the text of a patch's file.
///
/// # Errors
/// What is wrong with it, and where.
pub fn parse(file: &str, text: &str) -> Result<Bug, Wrong> {
    let wrong = |line, what: String| Err(Wrong { line, what });
    let mut header: BTreeMap<&str, String> = BTreeMap::new();
    let (mut last, mut bytes, mut diff_line) = (None, 0, 1);
    for (number, line) in (1..).zip(text.split_inclusive('\n')) {
        bytes += line.len();
        diff_line = number + 1;
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        match (line.split_once(": "), last) {
            _ if line.starts_with("--- ") || line.starts_with("diff ") => {
                return wrong(number, "an empty line has to stand before the diff".into());
            }
            (_, Some(key)) if line.starts_with("  ") => {
                let value = header.entry(key).or_default();
                *value = format!("{value} {}", line.trim());
            }
            (Some((key, value)), _) if KEYS.contains(&key) => {
                header.insert(key, value.trim().to_owned());
                last = Some(key);
            }
            (Some((key, _)), _) => {
                let near = did_you_mean(key, KEYS.iter().copied());
                return wrong(number, format!("the header has no `{key}`{near}"));
            }
            _ => return wrong(number, "a line of the header is `key: value`".into()),
        }
    }
    let mut value = |key: &str| match header.remove(key) {
        Some(value) if !value.is_empty() => Ok(value),
        _ => Err(Wrong { line: 1, what: format!("the header has no `{key}`") }),
    };
    let bug = Bug {
        id: value("id")?,
        stage: value("stage")?,
        is_mutant: false,
        mistake: value("mistake")?,
        users: value("users")?,
        source: value("source")?,
        file: file.to_owned(),
        patch: Patch::parse(&text[bytes..], diff_line)?,
    };
    let name = file.rsplit('/').next().unwrap_or(file);
    if !name.starts_with(&format!("{}-", bug.id)) || !bug.id.starts_with(&format!("{}-", bug.stage))
    {
        let what = format!("id {}, stage {} and the name {name} do not fit", bug.id, bug.stage);
        return wrong(1, what);
    }
    Ok(bug)
}

const KEYS: &[&str] = &["id", "stage", "mistake", "users", "source"];

/// What is wrong with the zoo without building anything: files that are not in form, patches that rot.
///
/// # Errors
/// The sources cannot be read.
pub fn check(workspace: &Workspace) -> Result<Vec<Complaint>> {
    let (bugs, mut complaints) = load(workspace)?;
    if bugs.is_empty() {
        return Ok(complaints);
    }
    let files = tree::read_course(&workspace.root)?;
    for bug in &bugs {
        if let Err(e) = bug.patch.apply(&files) {
            let what = format!("bug {} does not apply: {}", bug.id, e.what);
            complaints.push(complaint(&bug.file, e.line, what, "make the patch anew"));
        }
    }
    Ok(complaints)
}

/// The bugs that were asked for: by id, by stage, or by the beginning of a stage's name; all if none was.
///
/// # Errors
/// A name that fits nothing.
pub fn select<'a>(bugs: &'a [Bug], asked: &[String]) -> Result<Vec<&'a Bug>> {
    let mut wanted = vec![asked.is_empty(); bugs.len()];
    for name in asked {
        let typed = name.to_lowercase();
        let find = |fits: &dyn Fn(&Bug) -> bool| -> Vec<usize> {
            (0..bugs.len()).filter(|at| fits(&bugs[*at])).collect()
        };
        let found = [
            find(&|bug| bug.id.to_lowercase() == typed),
            find(&|bug| bug.stage.to_lowercase() == typed),
            find(&|bug| bug.stage.to_lowercase().starts_with(&typed)),
        ];
        let Some(found) = found.into_iter().find(|found| !found.is_empty()) else {
            let known = bugs.iter().flat_map(|bug| [bug.id.as_str(), bug.stage.as_str()]);
            bail!(
                "the zoo has no bug and no stage `{name}`{}\n`cargo grade zoo --list` shows what there is.",
                did_you_mean(name, known)
            );
        };
        for at in found {
            wanted[at] = true;
        }
    }
    Ok(bugs.iter().zip(wanted).filter_map(|(bug, wanted)| wanted.then_some(bug)).collect())
}
