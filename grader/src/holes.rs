//! Finds the holes in the source: which are written, which are not, and in which line.
//!
//! In a starter an unwritten hole is the call `hole("1.write", ...)`; in the reference it is the marker
//! `BEGIN SOLUTION 1.write`; where neither stands, the student has written it. All files of all student
//! packages are searched, since a student may move a function. The search is plain text, so that it
//! works on a file that does not parse.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::course::{Course, Hole, Stage};
use crate::markers;
use crate::tree;
use crate::workspace::Workspace;

/// Where something stands.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The file, from the root.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
}

impl std::fmt::Display for Spot {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// What became of a hole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The call `hole(..)` stands there.
    Unwritten,
    /// It does not.
    Written,
    /// This is the reference: the solution stands between its markers.
    Reference,
}

/// All holes that were found.
#[derive(Debug, Default)]
pub struct Holes {
    unwritten: BTreeMap<String, Vec<Spot>>,
    reference: BTreeMap<String, Vec<Spot>>,
    starter: bool,
}

impl Holes {
    /// Searches the student packages.
    ///
    /// # Errors
    /// A folder that cannot be listed.
    pub fn find(workspace: &Workspace, course: &Course) -> Result<Self> {
        let mut holes = Holes::default();
        for folder in workspace.student_folders(course)?.values() {
            holes.starter |= workspace.root.join(folder).join("src/hole.rs").is_file();
            for file in tree::rust_files(&workspace.root, &format!("{folder}/src"))? {
                // What is no text has no holes; the compiler will say so.
                if let Ok(text) = workspace.read(&file) {
                    holes.search(&file, &text);
                }
            }
        }
        Ok(holes)
    }

    fn search(&mut self, file: &str, text: &str) {
        for (id, line) in calls(text) {
            self.unwritten.entry(id).or_default().push(Spot { file: file.into(), line });
        }
        for (at, line) in text.lines().enumerate() {
            if let Some(id) = markers::begin(line) {
                let spot = Spot { file: file.into(), line: at + 1 };
                self.reference.entry(id.into()).or_default().push(spot);
            }
        }
    }

    /// What became of a hole.
    pub fn state(&self, id: &str) -> State {
        if self.unwritten.contains_key(id) {
            State::Unwritten
        } else if self.reference.contains_key(id) {
            State::Reference
        } else {
            State::Written
        }
    }

    /// Where it stands, if it can still be seen.
    pub fn spot(&self, id: &str) -> Option<&Spot> {
        self.unwritten.get(id).or_else(|| self.reference.get(id)).and_then(|spots| spots.first())
    }

    /// The calls of unwritten holes.
    pub fn unwritten(&self) -> impl Iterator<Item = (&str, &Spot)> {
        self.unwritten.iter().flat_map(|(id, spots)| spots.iter().map(move |s| (id.as_str(), s)))
    }

    /// The next one to write, in course order. A warm-up counts once somebody has begun it.
    pub fn next<'a>(&self, course: &'a Course) -> Option<(&'a Stage, &'a Hole)> {
        let open = |hole: &Hole| self.state(&hole.id) == State::Unwritten;
        let left_out = |stage: &Stage| stage.points == 0 && stage.holes.iter().all(open);
        course.holes().find(|(stage, hole)| open(hole) && !left_out(stage))
    }

    /// `hole 1.write in file:line (about 15 minutes)`.
    pub fn describe(&self, hole: &Hole) -> String {
        let place = self.spot(&hole.id).map_or_else(|| hole.file.clone(), Spot::to_string);
        format!("hole {} in {place} (about {} minutes)", hole.id, hole.minutes)
    }

    /// Whether this tree came from `grade handout`: it has the file that the handout adds.
    pub fn is_starter(&self) -> bool {
        self.starter
    }
}

/// The calls `hole("id"`, with their lines; a formatter may have put a line break into them.
pub fn calls(text: &str) -> Vec<(String, usize)> {
    let mut found = Vec::new();
    for (at, _) in text.match_indices("hole(") {
        let line_start = text[..at].rfind('\n').map_or(0, |n| n + 1);
        let part_of_a_word =
            text[..at].chars().next_back().is_some_and(|c| c.is_alphanumeric() || c == '_');
        if part_of_a_word || text[line_start..at].trim_start().starts_with("//") {
            continue;
        }
        let id = text[at + "hole(".len()..].trim_start().strip_prefix('"');
        if let Some((id, _)) = id.and_then(|rest| rest.split_once('"')) {
            found.push((id.to_owned(), text[..at].matches('\n').count() + 1));
        }
    }
    found
}
