//! `cargo grade demo`: a famous mistake, made on purpose, so that a reader sees what a failure looks like before
//! there is anything to write. The broken code is the simulator's own toy, in `grader/sim/examples/figure8`: a
//! starter can play it, too.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};

use crate::cargo_build;
use crate::workspace::Workspace;

/// Where the demo is, from the root.
const DEMO: &str = "grader/sim/examples/figure8/main.rs";

/// Builds the demo and plays it in the foreground.
///
/// # Errors
/// It is not there, or cargo cannot be started.
pub fn demo(workspace: &Workspace, seed: Option<u64>) -> Result<ExitCode> {
    if !workspace.root.join(DEMO).is_file() {
        bail!("this course has no demo: {DEMO} is missing");
    }
    let mut command = cargo_build::command(&workspace.root);
    command.args(["run", "--quiet", "--package", "sim", "--example", "figure8", "--"]);
    if let Some(seed) = seed {
        command.args(["--seed", &seed.to_string()]);
    }
    let status = command.status().context("cargo cannot be started; is it on the PATH?")?;
    Ok(ExitCode::from(u8::from(!status.success())))
}
