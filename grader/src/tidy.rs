//! `cargo grade tidy [STAGE]`: the compiler's lints back on, for a stage that is finished.
//!
//! Cut code has helpers and imports that nobody uses, so a starter's crates allow them. The line that does so stands
//! at the root of the crate and covers all its stages; it can go when the last hole of the crate is written.

use anyhow::Result;

use crate::course::{Course, Stage};
use crate::handout::ALLOW;
use crate::holes::{Holes, State};
use crate::tree::{self, Files};
use crate::workspace::Workspace;

/// Takes the line away where that is possible. Returns what to say, a line for each crate.
///
/// # Errors
/// An unknown stage, a file that cannot be read or written.
pub fn tidy(workspace: &Workspace, course: &Course, stages: &[&Stage]) -> Result<String> {
    let holes = Holes::find(workspace, course)?;
    let folders = workspace.student_folders(course)?;
    let (mut changed, mut text) = (Files::new(), String::new());
    for package in course.packages() {
        if !stages.iter().any(|stage| stage.package == package) {
            continue;
        }
        let of_crate = course.stages.iter().filter(|s| s.package == package).flat_map(|s| &s.holes);
        let open: Vec<&str> = of_crate
            .filter(|hole| holes.state(&hole.id) == State::Unwritten)
            .map(|hole| hole.id.as_str())
            .collect();
        let root = format!("{}/src/lib.rs", folders[package]);
        let source = workspace.read(&root)?;
        let line = [format!("{ALLOW}\n\n"), format!("{ALLOW}\n")];
        let Some(line) = line.iter().find(|line| source.contains(*line)) else {
            text += &format!("{package}: its lints are on.\n");
            continue;
        };
        if let [first, ..] = open[..] {
            text += &format!(
                "{package}: not yet. {} of its holes are not written, {first} first; unused parts belong to them.\n",
                open.len()
            );
        } else {
            changed.insert(root.clone(), source.replacen(line, "", 1).into());
            text += &format!(
                "{package}: lints are on again ({root}); cargo check -p {package} shows what they find.\n"
            );
        }
    }
    tree::write(&workspace.root, &changed)?;
    Ok(text)
}
