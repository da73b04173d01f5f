//! `cargo grade upgrade DIR`: a newer release of the course, without losing a line of the student's.
//!
//! `DIR` is the newer starter. What students write in is merged three ways, line by line (the old starter from
//! `grader/base.json`, the student's text, the newer starter): helpers, fields and written holes stay, what the course
//! changed elsewhere in the file comes in. Everything else is the course's own and is replaced; a copy of what the
//! student had changed there is kept.
//!
//! Invariants:
//!
//! - *Conflicts are named, never decided.* With one, nothing at all changes, unless `--with-conflicts` asks for the
//!   usual marks in the file.
//! - *All or nothing.* The new files are prepared beside the tree, the old ones copied aside, and a journal is written;
//!   only then do files change, each by one rename. An error on the way takes all of it back. Whoever is interrupted
//!   (a closed lid, a power cut) finds the journal at the next call of any command, and the upgrade goes on.
//! - *A file that the course does not know is not touched.*

mod apply;
mod plan;

pub use apply::{apply, finish, prepare};
pub use plan::{Conflict, Plan, plan};

use crate::list::count;

/// What a plan would do, for a person.
pub fn render(plan: &Plan) -> String {
    let mut text = format!("From course {} to {}.\n", plan.from, plan.to);
    let mut block = |title: &str, files: &[String]| {
        if !files.is_empty() {
            text += &format!("\n{title}\n");
            files.iter().for_each(|file| text += &format!("  {file}\n"));
        }
    };
    block("Your changes and the course's, in one file:", &plan.merged);
    block("Replaced, although you had changed it (a copy is kept):", &plan.replaced);
    block("Yours now; the course has no such file any more:", &plan.kept);
    if !plan.conflicts.is_empty() {
        text += &format!("\n{}:\n", count(plan.conflicts.len(), "conflict"));
        for conflict in &plan.conflicts {
            text += &format!("  {conflict}\n");
        }
    }
    text + &format!(
        "\n{} to write, {} to remove; everything else stays.\n",
        count(plan.write.len(), "file"),
        plan.remove.len()
    )
}
