//! `cargo grade handout DIR`: makes the starter, the workspace that a student gets.
//!
//! The starter is computed in memory from the reference (same input, same bytes), checked, and only
//! then written. What happens to a file:
//!
//! - sources of student packages: blocks are [cut]; the crate's root gets the function
//!   `hole` and the few `allow`s that cut code needs;
//! - what only authors need is left out, and so are projects without a graded stage; the workspace's manifest
//!   and lock file are made to fit;
//! - `README.md` and `AGENTS.md` are the student's own; `grader/base.json` says what was handed out (see [`crate::base`]);
//!   everything else is copied byte for byte.
//!
//! A [`Scope`] makes smaller ones: fewer stages, or a *checkpoint*, whose earlier stages come solved. There the
//! markers stay in the source, so that `grade solution` finds in it what it shows.
//!
//! The last check does not trust the cutting: it takes the lines between markers as plain text, and
//! looks for each in every byte of the result. A line that also stands outside of markers in some source
//! is no secret; any other is a leak, and nothing is written.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use aho_corasick::{AhoCorasick, PatternID};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use toml_edit::{DocumentMut, Item, Table};

use crate::base::{BASE, Base};
use crate::cargo_build;
use crate::course::{Course, Stage};
use crate::cut::{self, Cut};
use crate::manifest;
use crate::markers;
use crate::tree::{self, Files};
use crate::workspace::{COURSE, Workspace};
use crate::zoo;

/// What cut code needs: its imports and helpers have lost their users. `grade tidy` takes it away.
pub const ALLOW: &str = "#![allow(dead_code, unused_imports)] // until the holes are written";

/// How the crate's root names the function. It stays when nobody calls it any more: `grade reset` may bring a call
/// back.
const HOLE_MODULE: &str = "mod hole;\n#[allow(unused_imports)]\npub(crate) use hole::hole;\n";

const HOLE: &str = include_str!("templates/hole.rs");
const README: &str = include_str!("templates/README.md");

/// Lines shorter than this are nobody's invention.
const TELLING: usize = 24;

/// Which part of the course is handed out. The default is all of it.
#[derive(Debug, Clone, Default)]
pub struct Scope {
    /// Only the stages up to this one.
    pub until: Option<String>,
    /// Only these stages; all if empty.
    pub stages: Vec<String>,
    /// The stages before this one come solved, with their part of the zoo.
    pub checkpoint: Option<String>,
    /// What a coding assistant is asked to do.
    pub assistant: Assistant,
}

/// What a coding assistant is asked to do in the starter (`AGENTS.md`); the book's page on assistants says why.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Assistant {
    /// Ask and explain; write no hole.
    #[default]
    Tutor,
    /// Nothing.
    Off,
    /// Write code with the student.
    Allowed,
}

impl Assistant {
    fn text(self) -> &'static str {
        match self {
            Assistant::Tutor => include_str!("templates/agents-tutor.md"),
            Assistant::Off => include_str!("templates/agents-off.md"),
            Assistant::Allowed => include_str!("templates/agents-allowed.md"),
        }
    }
}

impl Scope {
    /// The stages that stand in the starter's course.
    ///
    /// # Errors
    /// A name that fits no stage.
    pub fn graded<'a>(&self, course: &'a Course) -> Result<Vec<&'a Stage>> {
        let mut stages = course.select(&self.stages)?;
        if let Some(until) = &self.until {
            let last = course.select(std::slice::from_ref(until))?;
            let last = last.last().map(|s| s.id.as_str());
            let keep =
                1 + course.stages.iter().position(|s| Some(s.id.as_str()) == last).unwrap_or(0);
            let within = |id: &str| course.stages[..keep].iter().any(|s| s.id == id);
            stages.retain(|s| within(&s.id));
        }
        Ok(stages)
    }

    /// The stages that come solved: those before the checkpoint.
    ///
    /// # Errors
    /// A name that fits no stage.
    pub fn solved<'a>(&self, course: &'a Course) -> Result<&'a [Stage]> {
        let Some(checkpoint) = &self.checkpoint else { return Ok(&[]) };
        let first = course.select(std::slice::from_ref(checkpoint))?;
        let first = first.first().map(|s| s.id.as_str());
        let at = course.stages.iter().position(|s| Some(s.id.as_str()) == first);
        Ok(&course.stages[..at.unwrap_or(0)])
    }

    /// The stages before the last graded one that are neither graded nor solved. What stands on them stays red until
    /// the student brings them along.
    ///
    /// # Errors
    /// A name that fits no stage.
    pub fn missing<'a>(&self, course: &'a Course) -> Result<Vec<&'a str>> {
        let graded: BTreeSet<&str> = self.graded(course)?.iter().map(|s| s.id.as_str()).collect();
        let solved = self.solved(course)?.len();
        let last = course.stages.iter().rposition(|s| graded.contains(s.id.as_str())).unwrap_or(0);
        let before = course.stages.iter().take(last).skip(solved);
        Ok(before
            .filter(|s| !s.extra)
            .map(|s| s.id.as_str())
            .filter(|id| !graded.contains(id))
            .collect())
    }
}

/// Makes a starter and writes it to `folder`.
///
/// # Errors
/// The folder is not empty, the workspace is no reference, some marker is wrong, or a solution would
/// leak. Then nothing is written.
pub fn handout(
    workspace: &Workspace,
    course: &Course,
    folder: &Path,
    scope: &Scope,
) -> Result<usize> {
    refuse_occupied(folder)?;
    let files = starter(workspace, course, scope)?;
    tree::write(folder, &files)?;
    Ok(files.len())
}

/// Says so if there is something in a folder that is to be filled.
///
/// # Errors
/// There is, or it cannot be told.
pub fn refuse_occupied(folder: &Path) -> Result<()> {
    match fs::read_dir(folder) {
        Ok(mut entries) => {
            if entries.next().is_some() {
                bail!(
                    "{} is not empty, and a starter must not overwrite anybody's work\nName a new folder, or empty this one yourself.",
                    folder.display()
                );
            }
            Ok(())
        }
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e).with_context(|| format!("{} cannot be used", folder.display())),
    }
}

/// The files of a starter.
///
/// # Errors
/// As [`handout`].
pub fn starter(workspace: &Workspace, course: &Course, scope: &Scope) -> Result<Files> {
    let original = tree::read_course(&workspace.root)?;
    let mut files = original.clone();
    let folders = workspace.student_folders(course)?;
    let solved = scope.solved(course)?;
    let is_cut = |id: &str| !solved.iter().flat_map(|s| &s.holes).any(|hole| hole.id == id);
    let mut blocks = 0;
    for folder in folders.values() {
        blocks += cut_package(&mut files, folder, Cut::Starter, &is_cut)?;
    }
    if blocks == 0 {
        bail!(
            "there is nothing to cut: no source has a `BEGIN SOLUTION` marker. This is a starter already; starters are made from the reference."
        );
    }
    leave_out_authors_parts(&mut files)?;
    leave_out_ungraded_projects(&mut files, folders.values().map(String::as_str))?;
    let course = keep_stages(&mut files, course, &scope.graded(course)?)?;
    files.insert("README.md".into(), readme(&course).into());
    files.insert("AGENTS.md".into(), scope.assistant.text().into());
    settle_lock(workspace, &mut files)?;
    let sources = folders.values().cloned().collect();
    let leaks = leaks(&original, &files, &sources, &is_cut)?;
    if !leaks.is_empty() {
        bail!(
            "the starter would give solutions away, so it was not written:\n{}",
            leaks.join("\n")
        );
    }
    files.extend(zoo_of(workspace, solved)?);
    let base = Base::of(&course.version, &files, &sources);
    files.insert(BASE.into(), base.json().into());
    Ok(files)
}

/// The patches of the zoo for stages that come solved: what `grade bughunt` plants.
fn zoo_of(workspace: &Workspace, solved: &[Stage]) -> Result<Files> {
    let (bugs, _) = zoo::load(workspace)?;
    let bugs = bugs.iter().filter(|bug| solved.iter().any(|stage| stage.id == bug.stage));
    bugs.map(|bug| Ok((bug.file.clone(), workspace.read(&bug.file)?.into()))).collect()
}

/// Cuts the `wanted` holes out of the sources of one package. Returns how many blocks they had; a package
/// without any is left as it is.
///
/// # Errors
/// Markers that are wrong, all of them.
pub fn cut_package(
    files: &mut Files,
    folder: &str,
    how: Cut,
    wanted: &dyn Fn(&str) -> bool,
) -> Result<usize> {
    let source = format!("{folder}/src/");
    let paths: Vec<String> =
        files.keys().filter(|p| tree::is_source(p, &source)).cloned().collect();
    let (mut blocks, mut wrong) = (0, Vec::new());
    for path in paths {
        let text = tree::text(files, &path)?;
        if !text.lines().any(|line| markers::begin(line).is_some() || markers::end(line)) {
            continue;
        }
        blocks += text.lines().filter_map(markers::begin).filter(|id| wanted(id)).count();
        match cut::cut_some(text, how, wanted) {
            Ok(text) => {
                files.insert(path, text.into());
            }
            Err(errors) => {
                wrong.extend(errors.iter().map(|e| format!("{path}:{}: {}", e.line, e.what)));
            }
        }
    }
    if !wrong.is_empty() {
        bail!("these markers are wrong:\n{}\n`cargo grade check` lists more.", wrong.join("\n"));
    }
    if blocks > 0 {
        let root = format!("{source}lib.rs");
        let (prelude, module) = match how {
            Cut::Starter => (format!("{ALLOW}\n\n{HOLE_MODULE}"), HOLE),
            Cut::Gate => ("mod hole;\n".to_owned(), include_str!("templates/gate.rs")),
        };
        let text = with_prelude(tree::text(files, &root)?, &prelude);
        files.insert(root, text.into());
        files.insert(format!("{source}hole.rs"), module.into());
    }
    Ok(blocks)
}

/// Puts lines behind the crate's inner documentation and attributes, where items begin.
fn with_prelude(text: &str, prelude: &str) -> String {
    let (mut at, mut end, mut in_attribute) = (0, 0, false);
    for line in text.split_inclusive('\n') {
        at += line.len();
        let trimmed = line.trim();
        if in_attribute || trimmed.starts_with("#![") {
            in_attribute = !trimmed.contains(']');
            end = at;
        } else if trimmed.starts_with("//!") {
            end = at;
        } else if !trimmed.is_empty() && !trimmed.starts_with("//") {
            break;
        }
    }
    let (head, tail) = text.split_at(end);
    let gap = if head.is_empty() { "" } else { "\n" };
    format!("{head}{gap}{prelude}{tail}")
}

/// Makes the manifest fit a tree without the authors' packages.
///
/// # Errors
/// It cannot be read.
pub fn leave_out_authors_parts(files: &mut Files) -> Result<()> {
    let manifest = manifest::without_members(tree::text(files, "Cargo.toml")?, tree::authors_only)?;
    files.insert("Cargo.toml".into(), manifest.into());
    Ok(())
}

/// Leaves out projects that the course does not grade yet: nobody could tell a student whether an answer is
/// right, and their solutions would lie about uncut.
fn leave_out_ungraded_projects<'a>(
    files: &mut Files,
    graded: impl Iterator<Item = &'a str>,
) -> Result<()> {
    let graded: BTreeSet<&str> = graded.map(tree::top_of).collect();
    let left_out = |path: &str| {
        let top = tree::top_of(path);
        top != path && top.starts_with("project") && !graded.contains(top)
    };
    let manifest = tree::text(files, "Cargo.toml")?.to_owned();
    let packages: Vec<String> = files
        .keys()
        .filter(|path| left_out(path) && path.ends_with("/Cargo.toml"))
        .filter_map(|path| manifest::package_name(tree::text(files, path).ok()?))
        .collect();
    files.retain(|path, _| !left_out(path));
    // A member's own path may be the top folder itself.
    let manifest = manifest::without_members(&manifest, |m| left_out(&format!("{m}/")))?;
    let manifest = manifest::without_profiles(&manifest, &packages)?;
    files.insert("Cargo.toml".into(), manifest.into());
    Ok(())
}

/// Makes the lock file fit, so that a starter builds with `--locked`. Which packages stay depends on the
/// features that the remaining members ask for, and only cargo can say; offline, since nothing new is
/// needed.
fn settle_lock(workspace: &Workspace, files: &mut Files) -> Result<()> {
    const LOCK: &str = "Cargo.lock";
    if !files.contains_key(LOCK) {
        return Ok(());
    }
    let folder = workspace.scratch().join("handout");
    tree::sync(&folder, files)?;
    let output = cargo_build::command(&folder)
        .args(["update", "--workspace", "--offline"])
        .output()
        .context("cargo cannot be started; is it on the PATH?")?;
    if !output.status.success() {
        let told = String::from_utf8_lossy(&output.stderr);
        bail!("cargo could not make the starter's lock file:\n{}", told.trim_end());
    }
    let lock = fs::read(folder.join(LOCK)).context("the starter's lock file is gone")?;
    files.insert(LOCK.into(), lock);
    Ok(())
}

/// Takes all stages but these out of the course's description. Their code stays as it is.
fn keep_stages(files: &mut Files, course: &Course, keep: &[&Stage]) -> Result<Course> {
    if keep.len() == course.stages.len() {
        return Ok(course.clone());
    }
    let mut text: DocumentMut = tree::text(files, COURSE)?.parse().context("course.toml")?;
    if let Some(stages) = text.get_mut("stage").and_then(Item::as_array_of_tables_mut) {
        let id = |stage: &Table| stage.get("id").and_then(Item::as_str).map(str::to_owned);
        stages.retain(|stage| id(stage).is_some_and(|id| keep.iter().any(|s| s.id == id)));
    }
    let text = text.to_string();
    let course = Course::parse(&text)?;
    files.insert(COURSE.into(), text.into());
    Ok(course)
}

fn readme(course: &Course) -> String {
    let stages: Vec<String> = course
        .stages
        .iter()
        .map(|s| format!("- stage {}: {} ({}), `docs/src/{}`", s.id, s.title, s.worth(), s.chapter))
        .collect();
    README.replace("{version}", &course.version).replace("{stages}", &stages.join("\n"))
}

/// Lines of solutions that the result gives away.
fn leaks(
    original: &Files,
    result: &Files,
    folders: &BTreeSet<String>,
    is_cut: &dyn Fn(&str) -> bool,
) -> Result<Vec<String>> {
    let (mut secrets, mut public) = (BTreeSet::new(), Vec::new());
    for (path, content) in original {
        let Ok(text) = std::str::from_utf8(content) else { continue };
        if Path::new(path).extension().is_none_or(|e| e != "rs") {
            continue;
        }
        // Elsewhere the words of a marker are only words: the grader's own sources have them.
        let of_student =
            folders.iter().any(|folder| tree::is_source(path, &format!("{folder}/src/")));
        let (inside, outside) = if of_student {
            markers::inside_and_outside(text, is_cut)
        } else {
            (Vec::new(), text.lines().map(str::trim).collect())
        };
        secrets.extend(inside.into_iter().filter(|line| line.chars().count() > TELLING));
        public.extend(outside);
    }
    let secrets: Vec<&str> = secrets.into_iter().collect();
    // All of them at once: a solution has thousands of lines, and the course a hundred thousand.
    let finder = AhoCorasick::new(&secrets).context("the solutions' lines cannot be searched")?;
    // What stands elsewhere in the open, be it as a part of a line, is no secret.
    let open: BTreeSet<PatternID> =
        finder.find_overlapping_iter(&public.join("\n")).map(|found| found.pattern()).collect();
    let mut leaks = Vec::new();
    for (path, content) in result {
        let text = String::from_utf8_lossy(content);
        let told = finder.find_overlapping_iter(&*text).filter(|m| !open.contains(&m.pattern()));
        let lines: BTreeSet<usize> =
            told.map(|found| text[..found.start()].matches('\n').count()).collect();
        for line in lines {
            let content = text.lines().nth(line).unwrap_or_default();
            leaks.push(format!("{path}:{}: {}", line + 1, content.trim()));
        }
    }
    Ok(leaks)
}
