//! `cargo grade similar DIR`: who wrote what somebody else has.
//!
//! The sources of a class are compared with each other, with the reference (it is public), with whatever `--against` names
//! (older releases, other years) and with the mistakes of the zoo (somebody who handed in a bug hunt). A file is
//! [turned into tokens](tokens), so that renaming, reformatting and commenting change nothing; what the starter has is
//! taken out; [winnowing](winnow) keeps some fingerprints; what two works share is [weighed](compare), and
//! [told](report) with the lines side by side.
//!
//! There is no verdict, and there cannot be one: two people who worked together on a whiteboard, and one who copied, look
//! alike here; so do two who read the same book. What this finds is where a person should look. Left out, since each
//! costs more than it finds in a course of this size: a tree comparison that sees through reordered statements, and the
//! history of a student's commits (MOSS and JPlag do the first, course platforms the second).

pub mod compare;
pub mod corpus;
pub mod report;
pub mod tokens;
pub mod winnow;

use std::path::{Path, PathBuf};

use anyhow::Result;

use crate::course::Course;
use crate::workspace::Workspace;

/// What was found.
#[derive(Debug)]
pub struct Similar {
    /// What was read.
    pub corpus: corpus::Corpus,
    /// Who shares what with whom.
    pub pairs: Vec<compare::Pair>,
    /// Who has a mistake of the zoo, in its words.
    pub carriers: Vec<compare::Carrier>,
}

/// Compares a class.
///
/// # Errors
/// A folder that cannot be read, or one that holds no submission.
pub fn similar(
    workspace: &Workspace,
    course: &Course,
    class: &Path,
    against: &[PathBuf],
) -> Result<Similar> {
    let corpus = corpus::read(workspace, course, class, against)?;
    let pairs = compare::pairs(&corpus);
    let carriers = compare::carriers(&corpus);
    Ok(Similar { corpus, pairs, carriers })
}
