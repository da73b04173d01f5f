//! `cargo grade class ...`: hands over to the crate `grader/class`.
//!
//! Reading archives, sandboxes and reports are an instructor's business, and their libraries would stand between a
//! student and the first verdict. So they are a program of its own, which is built when it is first asked for, and which
//! a starter does not have.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::cargo_build;
use crate::cli::App;

/// For instructors: grade many submissions, in a sandbox
#[derive(Debug, Args)]
#[command(disable_help_flag = true)]
pub struct Class {
    /// A folder of submissions, and where reports go; --help tells more
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Class {
    /// Hands over.
    ///
    /// # Errors
    /// As [`hand_over`].
    pub fn run(self, app: &App) -> Result<ExitCode> {
        hand_over(app, &self.arguments)
    }
}

/// Builds the program, and lets it do what is asked.
///
/// # Errors
/// This is a starter, or cargo cannot be started.
pub fn hand_over(app: &App, arguments: &[OsString]) -> Result<ExitCode> {
    let root = &app.workspace.root;
    if !root.join("grader/class/Cargo.toml").is_file() {
        bail!("a class is graded with the whole course; this is a starter, or a part of one");
    }
    let status = cargo_build::command(&app.here)
        .args(["run", "--quiet", "--package", "class", "--bin", "grade-class", "--manifest-path"])
        .arg(root.join("Cargo.toml"))
        .arg("--")
        .args(arguments)
        .status()
        .context("cargo cannot be started; is it on the PATH?")?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2)))
}
