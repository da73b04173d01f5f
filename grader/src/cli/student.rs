//! What a student asks for between two runs.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use super::{App, say, success};
use crate::holes::Holes;
use crate::results::Results;
use crate::{bughunt, hint, list, reset, solution, tidy, upgrade};

/// Show the stages, their holes and how far each is, their tests
#[derive(Debug, Args)]
pub struct List {
    /// Only these stages
    stages: Vec<String>,
}

impl List {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        let course = app.workspace.course()?;
        let known = list::Known {
            holes: &Holes::find(&app.workspace, &course)?,
            results: &Results::load(&app.workspace, &course)?,
            given_up: &solution::given_up(&app.workspace),
        };
        say(&list::render(&course, &course.select(&self.stages)?, &known, app.paint()));
        Ok(ExitCode::SUCCESS)
    }
}

/// Show the next hint for a hole
#[derive(Debug, Args)]
pub struct Hint {
    /// The hole; the next one that is not written if absent
    hole: Option<String>,
}

impl Hint {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        let course = app.workspace.course()?;
        let holes = Holes::find(&app.workspace, &course)?;
        say(&hint::next(&app.workspace, &course, &holes, self.hole.as_deref(), app.paint())?);
        Ok(ExitCode::SUCCESS)
    }
}

/// Show how the reference wrote a hole, once its tests are green
#[derive(Debug, Args)]
pub struct Solution {
    /// The hole
    hole: String,
    /// Where to read it: a clone of the course, or a checkpoint
    #[arg(long, value_name = "DIR")]
    reference: Option<PathBuf>,
    /// Show it before they are green, and note that
    #[arg(long)]
    give_up: bool,
}

impl Solution {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        let course = app.workspace.course()?;
        let reference = self.reference.map(|folder| app.here.join(folder));
        let how = (reference.as_deref(), self.give_up);
        let text =
            solution::show(&app.workspace, &course, &self.hole, how, app.paint(), app.progress())?;
        say(&text);
        Ok(ExitCode::SUCCESS)
    }
}

/// Put a hole's cut body back; what you wrote is kept aside
#[derive(Debug, Args)]
pub struct Reset {
    /// The hole
    hole: String,
}

impl Reset {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        let course = app.workspace.course()?;
        say(&reset::reset(&app.workspace, &course, &self.hole)?);
        Ok(ExitCode::SUCCESS)
    }
}

/// Turn the compiler's lints on again in crates that are finished
#[derive(Debug, Args)]
pub struct Tidy {
    /// Only the crates of these stages
    stages: Vec<String>,
}

impl Tidy {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        let course = app.workspace.course()?;
        let stages = course.select(&self.stages)?;
        say(&tidy::tidy(&app.workspace, &course, &stages)?);
        Ok(ExitCode::SUCCESS)
    }
}

/// Find a mistake that was planted in working code
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Bughunt {
    #[command(subcommand)]
    check: Option<BughuntCheck>,
    /// A bug of this stage; of any if absent
    stage: Option<String>,
    /// Your number: another one is another hunt (drawn if absent)
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Where the workspace goes (default: beside this one)
    #[arg(long, value_name = "DIR")]
    to: Option<PathBuf>,
    /// Where working code and bugs come from: a clone of the course, or a checkpoint
    #[arg(long, value_name = "DIR")]
    reference: Option<PathBuf>,
}

#[derive(Debug, Subcommand)]
enum BughuntCheck {
    /// In the workspace of a hunt: is it mended, and which rule was broken?
    Check {
        /// The rule, by the name of a test that checks it, or enough of that
        #[arg(long, value_name = "TEST")]
        rule: Option<String>,
    },
}

impl Bughunt {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        if let Some(BughuntCheck::Check { rule }) = self.check {
            let course = app.workspace.course()?;
            let checked = bughunt::check(&app.workspace, &course, rule.as_deref(), app.progress())?;
            say(&checked.text);
            return Ok(success(checked.done));
        }
        let reference = self.reference.map(|folder| app.here.join(folder));
        let source = solution::source(&app.workspace, reference.as_deref())?;
        // The state of a std hasher is drawn by the system: the one dice that needs no dependency.
        let drawn = || RandomState::new().build_hasher().finish() % 1_000_000;
        let hunt = bughunt::Hunt {
            stage: self.stage,
            seed: self.seed.unwrap_or_else(drawn),
            folder: self.to.map(|folder| app.here.join(folder)),
        };
        let progress = app.progress();
        let (folder, stage) = bughunt::plant(&source, &hunt, &progress)?;
        drop(progress);
        say(&format!(
            "One bug is in {}, somewhere in stage {stage} or below (seed {}).\nNext: cd there, and read README.md. The first build takes as long as the first one here did.\n",
            folder.display(),
            hunt.seed
        ));
        Ok(ExitCode::SUCCESS)
    }
}

/// Take over a newer release of the course; your code stays
#[derive(Debug, Args)]
pub struct Upgrade {
    /// The newer starter
    dir: PathBuf,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Where both sides changed the same lines, put both there, marked
    #[arg(long)]
    with_conflicts: bool,
}

impl Upgrade {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        let mut plan = upgrade::plan(&app.workspace, &app.here.join(&self.dir))?;
        say(&upgrade::render(&plan));
        if self.dry_run {
            say("Nothing was changed: this was a dry run.\n");
            return Ok(success(plan.conflicts.is_empty()));
        }
        if !plan.conflicts.is_empty() && !self.with_conflicts {
            say(
                "Nothing was changed. Move your lines out of the way, or use --with-conflicts to get both, marked.\n",
            );
            return Ok(ExitCode::FAILURE);
        }
        plan.mark_conflicts();
        let old = upgrade::apply(&app.workspace, &plan)?;
        say(&format!("Done. What was replaced is in {} (until cargo clean).\n", old.display()));
        Ok(success(plan.conflicts.is_empty()))
    }
}
