//! The command line. Each command is a few lines here; the work is in the other modules.
//!
//! This file has the list of commands. What a command takes, and the few lines that hand it on, stand in one of
//! four files, after who types it: [`grading`] (the daily loop), [`student`], [`instructor`], [`author`]. A command with many
//! options of its own brings them from its own module.
//!
//! Exit codes: 0 if all that was asked for passed, 1 if not, 2 if the grader could not do what it was
//! asked to do (a typing error, a workspace that cargo does not understand, a full disk).

mod author;
mod grading;
mod instructor;
mod student;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, CommandFactory, Parser, Subcommand};

use crate::class;
use crate::limits::{self, Limits};
use crate::report::Report;
use crate::report::paint::Paint;
use crate::report::progress::Progress;
use crate::upgrade;
use crate::view;
use crate::workspace::Workspace;

/// Builds your crates, runs each test in a process of its own, and explains the first failure.
#[derive(Debug, Parser)]
#[command(
    name = "grade",
    bin_name = "cargo grade",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_value_name = "COMMAND"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    grade: grading::Grade,
    /// No colours, no progress line
    #[arg(long, global = true)]
    plain: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    List(student::List),
    Explain(grading::Explain),
    Hint(student::Hint),
    Replay(grading::Replay),
    View(view::View),
    Solution(student::Solution),
    Reset(student::Reset),
    Tidy(student::Tidy),
    Bughunt(student::Bughunt),
    Upgrade(student::Upgrade),
    Similar(instructor::Similar),
    Viva(instructor::Viva),
    Check(author::Check),
    Handout(author::Handout),
    Demo(grading::Demo),
    Sweep(author::Sweep),
    Zoo(author::Zoo),
    Class(class::Class),
    #[command(name = limits::COMMAND, hide = true)]
    Limited(Limited),
}

/// The grader's own command, see [`limits`].
#[derive(Debug, Args)]
struct Limited {
    #[arg(long)]
    memory_mib: u64,
    #[arg(long)]
    cpu_seconds: u64,
    #[arg(long)]
    parent: u32,
    #[arg(last = true)]
    command: Vec<OsString>,
}

impl Limited {
    fn exec(self) -> ExitCode {
        let limits = Limits { memory_mib: self.memory_mib, cpu_seconds: self.cpu_seconds };
        limits.exec(self.parent, &self.command)
    }
}

/// The whole program.
pub fn main() -> ExitCode {
    match run(Cli::parse()) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::from(2)
        }
    }
}

/// The names of all commands, for "did you mean".
pub fn commands() -> Vec<String> {
    let visible = |c: &&clap::Command| !c.is_hide_set();
    Cli::command().get_subcommands().filter(visible).map(|c| c.get_name().to_owned()).collect()
}

fn run(cli: Cli) -> Result<ExitCode> {
    // A limited process has no course round it, and needs none.
    if let Some(Command::Limited(limited)) = cli.command {
        return Ok(limited.exec());
    }
    let here = std::env::current_dir().context("the current folder is gone")?;
    let app = App { workspace: Workspace::find(&here)?, here, plain: cli.plain };
    if let Some(version) = upgrade::finish(&app.workspace)? {
        say(&format!("An upgrade to course {version} had been interrupted; it is done now.\n"));
    }
    match cli.command {
        None => cli.grade.run(&app),
        Some(Command::List(list)) => list.run(&app),
        Some(Command::Explain(explain)) => explain.run(&app),
        Some(Command::Hint(hint)) => hint.run(&app),
        Some(Command::Replay(replay)) => replay.run(&app),
        Some(Command::View(view)) => {
            say(&view.run(&app.workspace, &app.here, app.progress())?);
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Solution(solution)) => solution.run(&app),
        Some(Command::Reset(reset)) => reset.run(&app),
        Some(Command::Tidy(tidy)) => tidy.run(&app),
        Some(Command::Bughunt(bughunt)) => bughunt.run(&app),
        Some(Command::Upgrade(upgrade)) => upgrade.run(&app),
        Some(Command::Similar(similar)) => similar.run(&app),
        Some(Command::Viva(viva)) => viva.run(&app),
        Some(Command::Check(check)) => check.run(&app),
        Some(Command::Handout(handout)) => handout.run(&app),
        Some(Command::Demo(demo)) => demo.run(&app),
        Some(Command::Sweep(sweep)) => sweep.run(&app),
        Some(Command::Zoo(zoo)) => zoo.run(&app),
        Some(Command::Class(class)) => class.run(&app),
        Some(Command::Limited(limited)) => Ok(limited.exec()),
    }
}

/// What every command needs.
#[derive(Debug)]
pub struct App {
    /// The course that the command was typed in.
    pub workspace: Workspace,
    /// The folder that it was typed in: paths on the command line begin here.
    pub here: PathBuf,
    plain: bool,
}

impl App {
    /// How to paint.
    pub fn paint(&self) -> Paint {
        Paint::detect(self.plain)
    }

    /// The line that shows what is going on. Drop it before anything else is printed.
    pub fn progress(&self) -> Progress {
        Progress::detect(self.plain)
    }
}

/// The exit code for what passed, or did not.
pub fn success(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn code(report: &Report) -> ExitCode {
    success(report.passed())
}

/// Prints; a reader that has gone away (`| head`) is no reason to panic.
pub fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
