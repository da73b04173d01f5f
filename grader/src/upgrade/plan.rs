//! What an upgrade does to each file. Nothing is written here.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::base::{BASE, Base};
use crate::list::count;
use crate::tree::{self, Files};
use crate::workspace::Workspace;

/// What an upgrade would do.
#[derive(Debug, Default)]
pub struct Plan {
    /// The version that the workspace has.
    pub from: String,
    /// The version that comes.
    pub to: String,
    /// Files with their new content.
    pub write: Files,
    /// Files that go.
    pub remove: BTreeSet<String>,
    /// Files with changes of both sides.
    pub merged: Vec<String>,
    /// The course's own files that the student had changed.
    pub replaced: Vec<String>,
    /// Files that the course has dropped and the student had changed.
    pub kept: Vec<String>,
    /// What a person has to decide.
    pub conflicts: Vec<Conflict>,
}

/// Two changes that do not go together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conflict {
    /// The file.
    pub file: String,
    /// The lines of the student's file where it is, as far as they can be told.
    pub lines: Vec<usize>,
    /// In plain words.
    pub what: String,
    /// The file with conflict marks; `None` if there is nothing to mark.
    pub marked: Option<String>,
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.lines.first() {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

/// Compares three trees: the old starter, this workspace, and the newer starter in `folder`.
///
/// # Errors
/// One of them cannot be read, or the newer one is no starter.
pub fn plan(workspace: &Workspace, folder: &Path) -> Result<Plan> {
    let newer = Workspace::find(folder).context("the newer release cannot be used")?;
    let old = Base::read(workspace)?;
    let new = Base::read(&newer)
        .context("the newer release is no starter; `cargo grade handout` makes one from a clone")?;
    let theirs = tree::read_course(&newer.root)?;
    let mine = tree::read_course(&workspace.root)?;
    // A starter that somebody has begun to write in is nobody's release.
    let touched = new
        .sources
        .iter()
        .find(|(path, text)| theirs.get(*path).map(Vec::as_slice) != Some(text.as_bytes()));
    if let Some((path, _)) = touched {
        bail!(
            "{} is not as it was handed out ({path} was changed); unpack the newer starter again",
            newer.root.display()
        );
    }
    let mut plan = Plan { from: old.course.clone(), to: new.course.clone(), ..Plan::default() };
    let paths: BTreeSet<&String> =
        old.sources.keys().chain(old.others.keys()).chain(theirs.keys()).collect();
    for path in paths {
        let (mine, theirs) =
            (mine.get(path).map(Vec::as_slice), theirs.get(path).map(Vec::as_slice));
        if old.sources.contains_key(path) || new.sources.contains_key(path) {
            plan.source(path, old.sources.get(path).map(String::as_bytes), mine, theirs);
        } else {
            plan.other(path, old.others.get(path).copied(), mine, theirs);
        }
    }
    Ok(plan)
}

impl Plan {
    /// A file that students write in.
    fn source(
        &mut self,
        path: &str,
        old: Option<&[u8]>,
        mine: Option<&[u8]>,
        theirs: Option<&[u8]>,
    ) {
        let conflict = |what: &str| Conflict {
            file: path.to_owned(),
            lines: Vec::new(),
            what: what.to_owned(),
            marked: None,
        };
        match (old, mine, theirs) {
            // Nothing new, or the same change on both sides.
            (_, mine, theirs) if mine == theirs => {}
            (old, _, theirs) if old == theirs => {}
            // The student has not touched it.
            (old, mine, Some(theirs)) if old == mine => {
                self.write.insert(path.to_owned(), theirs.to_owned());
            }
            (old, mine, None) if old == mine => {
                self.remove.insert(path.to_owned());
            }
            (_, Some(_), None) => self.kept.push(path.to_owned()),
            (Some(_), None, Some(_)) => self
                .conflicts
                .push(conflict("you removed or moved it, and the newer release changes it")),
            (None, Some(_), Some(_)) => self
                .conflicts
                .push(conflict("you have a file of this name, and the newer release brings one")),
            (Some(old), Some(mine), Some(theirs)) => self.merge(path, old, mine, theirs),
            (None, None, _) | (_, None, None) => {}
        }
    }

    fn merge(&mut self, path: &str, old: &[u8], mine: &[u8], theirs: &[u8]) {
        let texts = [old, mine, theirs].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        let [old, mine, theirs] = &texts;
        let is_rust = |text: &str| syn::parse_file(text).is_ok();
        match diffy::merge(old, mine, theirs) {
            Ok(merged) if is_rust(&merged) || !is_rust(mine) => {
                self.merged.push(path.to_owned());
                self.write.insert(path.to_owned(), merged.into());
            }
            Ok(merged) => self.conflicts.push(Conflict {
                file: path.to_owned(),
                lines: Vec::new(),
                what: "both changes together are no Rust any more".into(),
                marked: Some(merged),
            }),
            Err(marked) => {
                let lines = places(&marked, mine);
                self.conflicts.push(Conflict {
                    file: path.to_owned(),
                    what: format!(
                        "you and the newer release changed the same lines ({})",
                        count(marked.matches("<<<<<<<").count(), "place")
                    ),
                    lines,
                    marked: Some(marked),
                });
            }
        }
    }

    /// A file that is the course's own.
    fn other(&mut self, path: &str, old: Option<u32>, mine: Option<&[u8]>, theirs: Option<&[u8]>) {
        let untouched = mine.is_none_or(|mine| old == Some(crc32fast::hash(mine)));
        match theirs {
            Some(theirs) if mine != Some(theirs) => {
                // Cargo itself writes the lock file.
                if !untouched && path != "Cargo.lock" && path != BASE {
                    self.replaced.push(path.to_owned());
                }
                self.write.insert(path.to_owned(), theirs.to_owned());
            }
            None if mine.is_some() && untouched => {
                self.remove.insert(path.to_owned());
            }
            None if mine.is_some() => self.kept.push(path.to_owned()),
            _ => {}
        }
    }

    /// Puts conflict marks where there are conflicts, so that nothing is left to decide before.
    pub fn mark_conflicts(&mut self) {
        for conflict in &self.conflicts {
            if let Some(marked) = &conflict.marked {
                self.write.insert(conflict.file.clone(), marked.clone().into());
            }
        }
    }
}

/// The lines of the student's file at which the conflicts stand.
fn places(marked: &str, mine: &str) -> Vec<usize> {
    let mut lines = Vec::new();
    let mut rest = marked;
    while let Some((_, after)) = rest.split_once("\n<<<<<<<") {
        let block = after.split_once('\n').map_or("", |(_, block)| block);
        let ours = block.split("\n|||||||").next().unwrap_or_default();
        if let Some(at) = mine.find(ours).filter(|_| !ours.is_empty()) {
            lines.push(mine[..at].matches('\n').count() + 1);
        }
        rest = after;
    }
    lines
}
