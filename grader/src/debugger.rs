//! `cargo grade replay TEST --seed N --debugger`: the one process to look into, and how to start it.
//!
//! A test with its world is one ordinary program with arguments: no threads, no child, no clock that runs on while
//! somebody thinks. So a breakpoint may stand for an hour. What is missing in a usual build are the names of variables
//! (the workspace builds with line tables only, which is quicker); here the student's crate is built with all of them.

use std::path::Path;

use anyhow::Result;

use crate::base::Base;
use crate::cargo_build;
use crate::course::{Course, Hole};
use crate::cut;
use crate::grade::{Programs, wanted};
use crate::holes::{Holes, Spot};
use crate::report::progress::Progress;
use crate::run::arguments;
use crate::workspace::Workspace;

/// Builds the test, and tells how to run it in a debugger.
///
/// # Errors
/// No such test, or it does not build.
pub fn commands(
    workspace: &Workspace,
    course: &Course,
    name: &str,
    seed: u64,
    progress: Progress,
) -> Result<String> {
    let (stage, test) = course.test(name)?;
    let mut wanted = wanted(&[stage], false);
    wanted.debug.insert(stage.package.clone());
    let built = cargo_build::build(workspace, &wanted, false, &progress)?;
    drop(progress);
    let folder = workspace.root.join(&workspace.student_folders(course)?[&stage.package]);
    let programs = Programs::of(stage, &folder, &built, false).map_err(anyhow::Error::msg)?;
    let mut job = programs.job(&test.name, vec![seed]);
    job.brief = true;
    let arguments: Vec<String> =
        arguments(&job).iter().map(|a| a.to_string_lossy().into_owned()).collect();
    let line = format!("{} {}", job.program.display(), arguments.join(" "));
    let hole = course.hole(&test.after)?.1;
    let spots = spots(workspace, course, hole)?;
    let mut text = format!("{}, seed {seed}, is one process:\n\n  {line}\n", test.name);
    text += &format!("\nWith gdb:\n\n  rust-gdb --args {line}\n");
    for spot in &spots {
        text += &format!("  (gdb) break {spot}\n");
    }
    text += "  (gdb) break rust_panic\n  (gdb) run\n";
    text += &format!("\nWith lldb:\n\n  rust-lldb -- {line}\n");
    for spot in &spots {
        text += &format!("  (lldb) breakpoint set --file {} --line {}\n", spot.file, spot.line);
    }
    text += "  (lldb) breakpoint set --name rust_panic\n  (lldb) run\n";
    text += &format!(
        "\nIn VS Code with CodeLLDB, in launch.json:\n\n{}\n",
        launch(&workspace.root, &job.program, &arguments)
    );
    Ok(text)
}

fn launch(root: &Path, program: &Path, arguments: &[String]) -> String {
    let configuration = serde_json::json!({
        "type": "lldb",
        "request": "launch",
        "name": "cargo grade replay",
        "program": program.display().to_string(),
        "args": arguments,
        "cwd": root.display().to_string(),
    });
    let text = serde_json::to_string_pretty(&configuration).unwrap_or_default();
    text.lines().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
}

/// Where the code of a hole begins: in the first line behind the brace of each of its functions.
fn spots(workspace: &Workspace, course: &Course, hole: &Hole) -> Result<Vec<Spot>> {
    let mut spots = Vec::new();
    for body in Base::read(workspace).map(|base| base.bodies(&hole.id)).unwrap_or_default() {
        let functions = cut::functions(&workspace.read(&body.file).unwrap_or_default());
        let functions = functions.unwrap_or_default();
        if let Some(f) = functions.iter().filter(|f| f.path == body.path).nth(body.nth) {
            spots.push(Spot { file: body.file, line: f.open + 1 });
        }
    }
    // In the reference the marker stands there.
    if spots.is_empty() {
        let marker = Holes::find(workspace, course)?.spot(&hole.id).cloned();
        spots.extend(marker.map(|spot| Spot { line: spot.line + 1, ..spot }));
    }
    Ok(spots)
}
