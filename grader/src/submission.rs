//! Puts a submission's files into a clean copy of the course.
//!
//! A submission is the `src/**/*.rs` of the student packages, but for files that `course.toml` lists
//! as given. Everything else (tests, suites, manifests, the lock file, build scripts, cargo's
//! configuration, the grader) comes from this workspace, whatever the submission has there: a student
//! who edited a test has edited a copy that nobody runs.
//!
//! The source folders are replaced, not merged: the copy holds no line of the reference's solution
//! that a submission could compile in by leaving a file out. Links are not followed.
//!
//! There is no sandbox round the build and the run here: `cargo grade class` has one.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::course::Course;
use crate::handout::leave_out_authors_parts;
use crate::tree;
use crate::workspace::Workspace;

/// No source file that a person wrote is larger.
pub const LARGEST: u64 = 1 << 20;

/// Makes the copy. Returns it, and what the reader should know about how it was made.
///
/// # Errors
/// The folder holds no source of any student package, or a file cannot be copied.
pub fn prepare(
    workspace: &Workspace,
    course: &Course,
    submission: &Path,
    name: &str,
) -> Result<(Workspace, Vec<String>)> {
    let mut files = tree::read_course(&workspace.root)?;
    leave_out_authors_parts(&mut files)?;
    let given: Vec<&str> =
        course.stages.iter().flat_map(|s| s.given.iter().map(String::as_str)).collect();
    let (mut notes, mut found) = (Vec::new(), 0);
    for (package, folder) in workspace.student_folders(course)? {
        let source = format!("{folder}/src");
        let theirs = tree::rust_files(submission, &source)?;
        if theirs.is_empty() {
            notes.push(format!("the submission has no {source}; {package} is the course's own"));
            continue;
        }
        found += 1;
        files.retain(|path, _| {
            !path.starts_with(&format!("{source}/")) || given.contains(&path.as_str())
        });
        for path in theirs {
            if given.contains(&path.as_str()) {
                continue;
            }
            let from = submission.join(&path);
            let size = fs::metadata(&from).with_context(|| format!("cannot read {path}"))?.len();
            if size > LARGEST {
                bail!(
                    "{path} of the submission has {size} bytes; a source file has at most {LARGEST}"
                );
            }
            let content = fs::read(&from).with_context(|| format!("cannot read {path}"))?;
            files.insert(path, content);
        }
    }
    if found == 0 {
        bail!(
            "{} is no submission: it has no source of any project crate\nName the folder that holds `project1-standalone` and its brothers.",
            submission.display()
        );
    }
    Ok((workspace.copy(name, files)?, notes))
}
