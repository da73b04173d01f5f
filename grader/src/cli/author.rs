//! What the course's authors ask for: check it, cut it, doubt its suites.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::{App, say, success};
use crate::course::Course;
use crate::grade::Options;
use crate::handout::{Assistant, Scope};
use crate::list::count;
use crate::{check, handout, ladder, list, sweep, tree, zoo};

/// For authors: check the course, its markers and its book
#[derive(Debug, Args)]
pub struct Check {
    /// Climb the ladder too: each prefix of holes filled, each hole cut alone
    #[arg(long)]
    ladder: bool,
    /// Only what can be checked without building
    #[arg(long, conflicts_with = "ladder")]
    quick: bool,
    /// Only these stages (with --ladder)
    #[arg(requires = "ladder")]
    stages: Vec<String>,
}

impl Check {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        let mut complaints = check::check(&app.workspace)?;
        let course = app.workspace.course()?;
        if !self.quick && complaints.is_empty() {
            complaints = check::check_programs(&app.workspace, &course, &app.progress())?;
        }
        for complaint in &complaints {
            say(&format!("{complaint}\n"));
        }
        if complaints.is_empty() {
            let tests: usize = course.stages.iter().map(|s| s.tests.len()).sum();
            say(&format!(
                "The course is consistent: {}, {}, {}.\n",
                list::count(course.stages.len(), "stage"),
                list::count(course.holes().count(), "hole"),
                list::count(tests, "test")
            ));
        } else {
            say(&format!("\n{} to mend.\n", complaints.len()));
        }
        if !self.ladder {
            return Ok(success(complaints.is_empty()));
        }
        let options =
            Options { stages: self.stages, colours: app.paint().colours(), ..Options::default() };
        let progress = app.progress();
        let climbed = ladder::climb(&app.workspace, &course, &options, &progress)?;
        drop(progress);
        say(&format!("\n{}", ladder::render(&climbed, app.paint())));
        Ok(success(complaints.is_empty() && climbed.complaints.is_empty()))
    }
}

/// For authors: make the starter, the workspace that a student gets
#[derive(Debug, Args)]
pub struct Handout {
    /// Where; the folder has to be empty or new
    dir: PathBuf,
    /// Only the stages up to this one
    #[arg(long, value_name = "STAGE", conflicts_with = "stages")]
    until: Option<String>,
    /// Only these stages, with commas between them
    #[arg(long, value_name = "STAGES", value_delimiter = ',')]
    stages: Vec<String>,
    /// A checkpoint: the stages before this one come solved
    #[arg(long, value_name = "STAGE")]
    checkpoint: Option<String>,
    /// What AGENTS.md asks of coding assistants
    #[arg(long, value_enum, default_value_t)]
    assistant: Assistant,
}

impl Handout {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        let course = app.workspace.course()?;
        let dir = app.here.join(self.dir);
        let scope = Scope {
            until: self.until,
            stages: self.stages,
            checkpoint: self.checkpoint,
            assistant: self.assistant,
        };
        let files = handout::handout(&app.workspace, &course, &dir, &scope)?;
        let solved: Vec<&str> = scope.solved(&course)?.iter().map(|s| s.id.as_str()).collect();
        let what = if scope.checkpoint.is_some() {
            let solved = if solved.is_empty() { "none".into() } else { solved.join(", ") };
            format!("The checkpoint is in {}: {files} files. Solved: {solved}", dir.display())
        } else {
            format!(
                "The starter is in {}: {files} files, no solution in any of them",
                dir.display()
            )
        };
        say(&format!("{what}.\nNext: cd there, and type cargo grade.\n"));
        let missing = scope.missing(&course)?;
        if !missing.is_empty() {
            say(&format!(
                "note: {} {} left out, not solved. What stands on that stays red until its source is brought along; --checkpoint puts it in.\n",
                missing.join(", "),
                if missing.len() == 1 { "is" } else { "are" }
            ));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// For authors: run many seeds of every test, in sittings
#[derive(Debug, Args)]
pub struct Sweep {
    /// Only these stages
    stages: Vec<String>,
    /// Seeds 1 to this
    #[arg(long, value_name = "N", default_value_t = 1000)]
    seeds: u64,
    /// Start over, whatever was done before
    #[arg(long)]
    fresh: bool,
    /// Let the judge run them
    #[arg(long)]
    judge: bool,
    /// How many tests at once (default: 2)
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
}

impl Sweep {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        let course = app.workspace.course()?;
        let options = Options {
            stages: self.stages,
            judge: self.judge,
            jobs: self.jobs,
            ..Options::default()
        };
        let progress = app.progress();
        let how = (self.seeds, self.fresh);
        let swept = sweep::sweep(&app.workspace, &course, &options, how, &progress)?;
        drop(progress);
        let stages = course.select(&options.stages)?;
        let (text, good) = sweep::render(&swept, &stages, self.seeds, app.paint());
        say(&text);
        Ok(success(good))
    }
}

/// For authors: plant each known mistake, and demand a red test
#[derive(Debug, Args)]
pub struct Zoo {
    /// Stages or bugs; none means all
    #[arg(value_name = "STAGE|BUG")]
    what: Vec<String>,
    /// Show what there is; run nothing
    #[arg(long)]
    list: bool,
    /// Forget what was caught before
    #[arg(long)]
    fresh: bool,
    /// How many tests at once (default: one a core)
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Write the findings for machines
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write what caught what, as a page of Markdown
    #[arg(long, value_name = "FILE")]
    matrix: Option<PathBuf>,
    /// Hunt what is in this list, which `cargo mutants --list --json --diff` printed, in place of the zoo
    #[arg(long, value_name = "FILE")]
    mutants: Option<PathBuf>,
}

impl Zoo {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        let course = app.workspace.course()?;
        let (all, broken) = match &self.mutants {
            None => zoo::load(&app.workspace)?,
            Some(list) => (mutants_in(&app.here.join(list), app, &course)?, Vec::new()),
        };
        for complaint in &broken {
            say(&format!("{complaint}\n"));
        }
        let bugs = zoo::select(&all, &self.what)?;
        if self.list {
            say(&zoo::list(&bugs, app.paint()));
            return Ok(success(broken.is_empty()));
        }
        let options = Options { jobs: self.jobs, ..Options::default() };
        let progress = app.progress();
        let findings = zoo::hunt(&app.workspace, &course, &bugs, &options, self.fresh, &progress)?;
        drop(progress);
        say(&zoo::render(&findings, &bugs, app.paint()));
        if let Some(file) = self.json {
            zoo::json(&findings, &file)?;
        }
        let is_good = match &self.mutants {
            None => broken.is_empty() && findings.iter().all(zoo::Finding::is_good),
            Some(_) => zoo::mutants::open(&app.workspace, &findings, &bugs)? == 0,
        };
        if let Some(file) = self.matrix {
            let page = match &self.mutants {
                None => zoo::matrix(&findings, &bugs, &course.version),
                Some(_) => zoo::mutants::page(&app.workspace, &findings, &bugs, &course)?,
            };
            let file = app.here.join(file);
            std::fs::write(&file, page)
                .with_context(|| format!("cannot write {}", file.display()))?;
        }
        Ok(success(is_good))
    }
}

/// The mutants of the course's holes in a list.
fn mutants_in(list: &Path, app: &App, course: &Course) -> Result<Vec<zoo::Bug>> {
    let json =
        std::fs::read_to_string(list).with_context(|| format!("cannot read {}", list.display()))?;
    let files = tree::read_course(&app.workspace.root)?;
    let (bugs, others) = zoo::mutants::read(&json, &files, course)?;
    let others = count(others, "other");
    say(&format!("{} in the bodies of holes; {others} left alone.\n", count(bugs.len(), "mutant")));
    Ok(bugs)
}
