//! What somebody asks for who has a class.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::{App, say};
use crate::grade::Options;
use crate::{similar, viva};

/// For instructors: who wrote what somebody else has
#[derive(Debug, Args)]
pub struct Similar {
    /// The folder of the submissions, each a folder
    class: PathBuf,
    /// Other work to compare with: an older release, the class of another year
    #[arg(long, value_name = "DIR")]
    against: Vec<PathBuf>,
    /// Write a page with the lines side by side
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Write the pairs for machines
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

impl Similar {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        let course = app.workspace.course()?;
        let against: Vec<PathBuf> = self.against.iter().map(|dir| app.here.join(dir)).collect();
        let class = app.here.join(&self.class);
        let found = similar::similar(&app.workspace, &course, &class, &against)?;
        say(&similar::report::text(&found, app.paint()));
        if let Some(file) = self.out {
            let file = app.here.join(file);
            std::fs::write(&file, similar::report::page(&found))
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        if let Some(file) = self.json {
            similar::report::json(&found, &app.here.join(file))?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// For instructors: three questions about a submission, with answers
#[derive(Debug, Args)]
pub struct Viva {
    /// The folder of the submission
    submission: PathBuf,
    /// Only about these stages
    #[arg(value_name = "STAGE")]
    stages: Vec<String>,
    /// Draws the questions; the same number, the same sheet
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
}

impl Viva {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        let course = app.workspace.course()?;
        let folder = app.here.join(&self.submission);
        let options = Options { stages: self.stages, ..Options::default() };
        let progress = app.progress();
        let (questions, left_out) =
            viva::viva(&app.workspace, &course, &folder, &options, self.seed, &progress)?;
        drop(progress);
        let name =
            folder.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        say(&viva::render(&name, &questions, &left_out, app.paint()));
        Ok(ExitCode::SUCCESS)
    }
}
