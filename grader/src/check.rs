//! `cargo grade check`: the author's spelling checker for the course.
//!
//! Everything that a student would stumble over later is a complaint here, one line each: the place,
//! what is wrong, how to mend it. The file, the markers in the source, the book and the suites have to
//! tell the same story: each hole has a marker and a test, each test a rule, each anchor a heading.
//! In a starter there are no markers; there the calls `hole(..)` are held against the file instead.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Result;

use crate::anchors::anchors;
use crate::cargo_build;
use crate::course::{Course, Stage};
use crate::cut;
use crate::grade::{Programs, long_forms, wanted};
use crate::holes::{Holes, Spot};
use crate::markers;
use crate::report::progress::Progress;
use crate::suggest::did_you_mean;
use crate::tree;
use crate::workspace::{COURSE, Workspace};
use crate::zoo;

/// Something to mend.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Complaint {
    /// Where.
    pub spot: Spot,
    /// What is wrong.
    pub what: String,
    /// What to do about it.
    pub mend: String,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.spot, self.what, self.mend)
    }
}

/// Checks everything that can be checked without building.
///
/// # Errors
/// The course cannot be read at all.
pub fn check(workspace: &Workspace) -> Result<Vec<Complaint>> {
    let course = workspace.course()?;
    let text = workspace.read(COURSE)?;
    let mut checker = Checker {
        workspace,
        course: &course,
        text: &text,
        complaints: Vec::new(),
        missed: BTreeSet::new(),
    };
    checker.unique_names();
    for stage in &course.stages {
        checker.stage(stage);
    }
    checker.packages();
    checker.markers();
    let mut complaints = checker.complaints;
    complaints.extend(zoo::check(workspace)?);
    Ok(complaints)
}

/// Compares the tests in the file with those that the programs have; builds them.
///
/// # Errors
/// Something does not build.
pub fn check_programs(
    workspace: &Workspace,
    course: &Course,
    progress: &Progress,
) -> Result<Vec<Complaint>> {
    let text = workspace.read(COURSE)?;
    let stages: Vec<&Stage> = course.stages.iter().collect();
    let mut complaints = Vec::new();
    if stages.is_empty() {
        return Ok(complaints);
    }
    let built = cargo_build::build(workspace, &wanted(&stages, true), false, progress)?;
    let folders = workspace.student_folders(course)?;
    // A package's program holds the tests of all its stages.
    let mut listed: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for stage in &stages {
        let names = stage.tests.iter().map(|t| t.name.as_str());
        listed.entry(&stage.package).or_default().extend(names);
    }
    for (package, tests) in listed {
        let Some(stage) = stages.iter().find(|s| s.package == package) else { continue };
        let folder = workspace.root.join(&folders[package]);
        let programs = Programs::of(stage, &folder, &built, true).map_err(anyhow::Error::msg)?;
        let mut known = BTreeSet::new();
        for program in [Some(&programs.test), programs.judge.as_ref()].into_iter().flatten() {
            known.extend(long_forms(program)?.into_keys());
        }
        for &test in tests.iter().filter(|t| !known.contains(**t)) {
            complaints.push(Complaint {
                spot: spot(&text, "name", test),
                what: format!(
                    "the suite has no test `{test}`{}",
                    did_you_mean(test, known.iter().map(String::as_str))
                ),
                mend: "correct the name, or write the test".into(),
            });
        }
        for test in known.iter().filter(|t| !tests.contains(t.as_str())) {
            complaints.push(Complaint {
                spot: spot(&text, "package", package),
                what: format!(
                    "the suite has a test `{test}` that is not listed, so it never counts"
                ),
                mend: "add a [[stage.test]] for it, or remove it".into(),
            });
        }
    }
    Ok(complaints)
}

/// The line of `key = "value"` in the file; the first line if it is not there in that form.
fn spot(text: &str, key: &str, value: &str) -> Spot {
    let quoted = format!("\"{value}\"");
    let line = text.lines().position(|line| {
        line.trim_start().strip_prefix(key).is_some_and(|rest| {
            rest.trim_start().strip_prefix('=').is_some_and(|rest| rest.trim().starts_with(&quoted))
        })
    });
    Spot { file: COURSE.into(), line: line.map_or(1, |at| at + 1) }
}

struct Checker<'a> {
    workspace: &'a Workspace,
    course: &'a Course,
    text: &'a str,
    complaints: Vec<Complaint>,
    /// Chapters that were missed already: once is enough for all the tests that cite them.
    missed: BTreeSet<String>,
}

impl Checker<'_> {
    fn complain(&mut self, spot: Spot, what: impl Into<String>, mend: impl Into<String>) {
        self.complaints.push(Complaint { spot, what: what.into(), mend: mend.into() });
    }

    fn at(&self, key: &str, value: &str) -> Spot {
        spot(self.text, key, value)
    }

    fn unique_names(&mut self) {
        let course = self.course;
        let stages = course.stages.iter().map(|s| ("stage", "id", s.id.as_str()));
        let holes = course.holes().map(|(_, h)| ("hole", "id", h.id.as_str()));
        let tests = course.stages.iter().flat_map(|s| &s.tests);
        let tests = tests.map(|t| ("test", "name", t.name.as_str()));
        let mut seen = BTreeSet::new();
        for (kind, key, name) in stages.chain(holes).chain(tests) {
            if !seen.insert((kind, name.to_lowercase())) {
                let spot = self.at(key, name);
                self.complain(spot, format!("two {kind}s are called `{name}`"), "rename one");
            }
        }
    }

    fn stage(&mut self, stage: &Stage) {
        let at_stage = self.at("id", &stage.id);
        for (empty, what) in [
            (stage.title.is_empty(), "title"),
            (stage.points == 0 && !stage.extra, "points"),
            (stage.holes.is_empty(), "holes"),
            (stage.tests.is_empty(), "tests"),
        ] {
            if empty {
                self.complain(
                    at_stage.clone(),
                    format!("stage {} has no {what}", stage.id),
                    "add them",
                );
            }
        }
        self.reading(&at_stage, &stage.chapter);
        for file in &stage.given {
            if !self.workspace.root.join(file).is_file() {
                let what = format!("the given file {file} does not exist");
                self.complain(at_stage.clone(), what, "correct the path");
            }
            if file.ends_with("src/lib.rs") {
                let what = format!("{file} is given, and no student can add a module there");
                self.complain(at_stage.clone(), what, "take it off the list");
            }
        }
        for hole in &stage.holes {
            let spot = self.at("id", &hole.id);
            if hole.hints.len() < 3 {
                let what = format!("hole {} has {} hints", hole.id, hole.hints.len());
                self.complain(
                    spot.clone(),
                    what,
                    "write three: a question, where to look, an outline",
                );
            }
            if hole.hints.iter().any(|hint| hint.trim().is_empty()) {
                self.complain(
                    spot.clone(),
                    format!("hole {} has an empty hint", hole.id),
                    "write it",
                );
            }
            if hole.minutes == 0 {
                let what = format!("hole {} takes no time", hole.id);
                self.complain(spot.clone(), what, "estimate the minutes");
            }
            if !stage.tests.iter().any(|t| t.after == hole.id) {
                let what =
                    format!("no test of stage {} turns green with hole {}", stage.id, hole.id);
                self.complain(
                    spot.clone(),
                    what,
                    "add a test with this `after`, or merge the hole",
                );
            }
            if !self.workspace.root.join(&hole.file).is_file() {
                self.complain(spot, format!("{} does not exist", hole.file), "correct the path");
            }
        }
        let order: Vec<&str> = self.course.holes().map(|(_, h)| h.id.as_str()).collect();
        let last = stage.holes.last().and_then(|h| order.iter().position(|id| *id == h.id));
        for test in &stage.tests {
            let spot = self.at("name", &test.name);
            if test.rule.trim().is_empty() {
                let what = format!("test {} has no rule", test.name);
                self.complain(spot.clone(), what, "say in a sentence which rule it checks");
            }
            if test.weight == 0 || test.seeds == 0 {
                let what = format!("test {} has no weight or no seeds", test.name);
                self.complain(spot.clone(), what, "give it at least 1 of each");
            }
            match order.iter().position(|id| *id == test.after) {
                None => {
                    let known = did_you_mean(&test.after, order.iter().copied());
                    let what = format!("`after` names no hole: `{}`{known}", test.after);
                    self.complain(spot.clone(), what, "name the last hole that the test needs");
                }
                at if at > last => {
                    let what = format!(
                        "test {} waits for {}, a hole of a later stage",
                        test.name, test.after
                    );
                    self.complain(spot.clone(), what, "move the test there");
                }
                _ => {}
            }
            if let Some(chapter) = &test.chapter {
                self.reading(&spot, chapter);
            }
        }
    }

    fn reading(&mut self, spot: &Spot, chapter: &str) {
        let (file, anchor) = chapter.split_once('#').unwrap_or((chapter, ""));
        let Ok(text) = self.workspace.read(&format!("docs/src/{file}")) else {
            if self.missed.insert(file.to_owned()) {
                let what = format!("there is no chapter docs/src/{file}");
                self.complain(spot.clone(), what, "write it, or correct the path");
            }
            return;
        };
        let anchors = anchors(&text);
        if !anchor.is_empty() && !anchors.contains(anchor) {
            let known = did_you_mean(anchor, anchors.iter().map(String::as_str));
            let what = format!("docs/src/{file} has no heading with the anchor `{anchor}`{known}");
            self.complain(spot.clone(), what, "correct the anchor or the heading");
        }
    }

    fn packages(&mut self) {
        let packages = match self.workspace.packages() {
            Ok(packages) => packages,
            Err(e) => {
                let spot = Spot { file: "Cargo.toml".into(), line: 1 };
                return self.complain(spot, format!("{e:#}"), "mend the manifest");
            }
        };
        for stage in &self.course.stages {
            for (key, package) in [("package", &stage.package), ("suite", &stage.suite)] {
                if !packages.contains_key(package) {
                    let known = did_you_mean(package, packages.keys().map(String::as_str));
                    let what = format!("the workspace has no package `{package}`{known}");
                    self.complain(self.at(key, package), what, "correct the name");
                }
            }
        }
    }

    fn markers(&mut self) {
        let Ok(folders) = self.workspace.student_folders(self.course) else { return };
        let files: Vec<String> = folders
            .values()
            .flat_map(|f| {
                tree::rust_files(&self.workspace.root, &format!("{f}/src")).unwrap_or_default()
            })
            .collect();
        let given: BTreeSet<&String> = self.course.stages.iter().flat_map(|s| &s.given).collect();
        let known: BTreeMap<&str, &str> =
            self.course.holes().map(|(_, h)| (h.id.as_str(), h.file.as_str())).collect();
        let mut marked = BTreeSet::new();
        for file in files {
            let Ok(text) = self.workspace.read(&file) else {
                let spot = Spot { file, line: 1 };
                self.complain(spot, "this file cannot be read as text", "mend it");
                continue;
            };
            let blocks = match cut::places(&text) {
                Ok(places) => places.into_iter().map(|(block, _)| block).collect(),
                Err(errors) => {
                    for error in errors {
                        let spot = Spot { file: file.clone(), line: error.line };
                        self.complain(
                            spot,
                            error.what,
                            "see grader/src/cut.rs for what a block may be",
                        );
                    }
                    // What pairs still counts as marked.
                    markers::blocks(&text).unwrap_or_default()
                }
            };
            for block in blocks {
                let spot = Spot { file: file.clone(), line: block.begin };
                match known.get(block.id.as_str()) {
                    None => {
                        let near = did_you_mean(&block.id, known.keys().copied());
                        let what = format!("{COURSE} has no hole `{}`{near}", block.id);
                        self.complain(spot, what, "add it there, or correct the marker");
                    }
                    Some(other) if *other != file => {
                        let what = format!("hole {} belongs into {other}", block.id);
                        self.complain(
                            spot,
                            what,
                            format!("move it, or correct `file` in {COURSE}"),
                        );
                    }
                    Some(_) if given.contains(&file) => {
                        let what = "this file is given, so no student will write this hole";
                        self.complain(spot, what, "take it out of `given`, or move the hole");
                    }
                    Some(_) => {}
                }
                marked.insert(block.id);
            }
        }
        self.unmarked(&marked, &known);
    }

    fn unmarked(&mut self, marked: &BTreeSet<String>, known: &BTreeMap<&str, &str>) {
        let Ok(holes) = Holes::find(self.workspace, self.course) else { return };
        for (id, spot) in holes.unwritten() {
            if !known.contains_key(id) {
                let near = did_you_mean(id, known.keys().copied());
                let what = format!("{COURSE} has no hole `{id}`{near}");
                self.complain(spot.clone(), what, "correct the call");
            }
        }
        // In a starter, a hole without a call is one that was written.
        if !holes.is_starter() {
            for (_, hole) in self.course.holes().filter(|(_, h)| !marked.contains(&h.id)) {
                let what = format!("hole {} has no marker in {}", hole.id, hole.file);
                self.complain(
                    self.at("id", &hole.id),
                    what,
                    format!("put `// BEGIN SOLUTION {}` and `// END SOLUTION` there", hole.id),
                );
            }
        }
    }
}
