//! The command line of `cargo grade class`.
//!
//! Exit codes: 0 if every submission has a record and none needs a person, 1 if some does, 2 if the class could not be
//! graded.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};
use grader::limits::Limits;
use grader::report::progress::Progress;
use grader::workspace::Workspace;

use crate::record::Score;
use crate::report::{self, table};
use crate::run::{self, Plan};
use crate::sandbox::inner::Inside;
use crate::sandbox::selftest::Burglar;
use crate::sandbox::{Kind, NOBODY};
use crate::{place, seeds, sum};

/// Grades many submissions: folders, zip or tar files, each named after its student.
#[derive(Debug, Parser)]
#[command(
    name = "class",
    bin_name = "cargo grade class",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_value_name = "COMMAND"
)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    class: Class,
}

#[derive(Debug, Args)]
struct Class {
    /// The folder of submissions
    #[arg(required = true)]
    folder: Option<PathBuf>,
    /// The folder for reports; a run that was interrupted goes on from what is there
    #[arg(long, value_name = "REPORT", required = true)]
    out: Option<PathBuf>,
    /// Grade this submission alone, again, and compare with the record that is there
    #[arg(long, value_name = "ID")]
    only: Option<String>,
    /// Grade every n-th submission, beginning with the i-th
    #[arg(long, value_name = "I/N", value_parser = shard, default_value = "1/1", conflicts_with = "only")]
    shard: (usize, usize),
    #[command(flatten)]
    how: How,
}

/// How submissions are graded.
#[derive(Debug, Args)]
struct How {
    /// Only these stages, separated by commas; `2` means all that begin with 2
    #[arg(long, value_name = "STAGES", value_delimiter = ',')]
    stages: Vec<String>,
    /// Hidden seeds, separated by commas
    #[arg(long, value_name = "SEEDS", value_delimiter = ',', conflicts_with = "secret")]
    hidden_seeds: Vec<u64>,
    /// A file with a secret, out of which hidden seeds are drawn
    #[arg(long, value_name = "FILE")]
    secret: Option<PathBuf>,
    /// How many are drawn
    #[arg(long, value_name = "N", default_value_t = seeds::DRAWN, requires = "secret")]
    hidden: usize,
    /// Which sandbox (default: bwrap if it works, else uid if the grader is root)
    #[arg(long, value_enum)]
    sandbox: Option<Kind>,
    /// Run strangers' code with your own rights
    #[arg(long, conflicts_with = "sandbox")]
    no_sandbox: bool,
    /// Grade although submissions can reach the network; only where each has a container of its own (Gradescope)
    #[arg(long)]
    open_network: bool,
    /// The user inside of the sandbox; must own nothing
    #[arg(long, value_name = "UID", default_value_t = NOBODY)]
    uid: u32,
    /// The folder for scratch files (default: below the course's target folder)
    #[arg(long, value_name = "DIR")]
    work: Option<PathBuf>,
    /// A further folder that builds may read, such as a vendored registry
    #[arg(long, value_name = "DIR")]
    show: Vec<PathBuf>,
    /// Grade everything again, whatever was done before
    #[arg(long)]
    fresh: bool,
    /// How many tests at once (default: one a core)
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Seconds after which a test counts as hanging (default: the course's, or 20 times what the reference takes)
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    backstop: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Put the report folders of shards together
    Merge {
        /// The folder for the whole report
        out: PathBuf,
        /// The shards' report folders
        #[arg(required = true)]
        shards: Vec<PathBuf>,
    },
    /// Grade a single submission, and print its points on our base and on its own
    One {
        /// The folder or archive
        submission: PathBuf,
        /// Show the sum behind the points
        #[arg(long)]
        why_points: bool,
        #[command(flatten)]
        how: How,
    },
    /// Show the sum behind a student's points
    Why {
        /// The report folder
        report: PathBuf,
        /// The student
        id: String,
    },
    #[command(name = crate::sandbox::inner::COMMAND, hide = true)]
    Inside(Inside),
    #[command(name = crate::sandbox::selftest::COMMAND, hide = true)]
    Burgle(Burglar),
    #[command(name = grader::limits::COMMAND, hide = true)]
    Limited {
        #[arg(long)]
        memory_mib: u64,
        #[arg(long)]
        cpu_seconds: u64,
        #[arg(long)]
        parent: u32,
        #[arg(last = true)]
        command: Vec<OsString>,
    },
}

fn shard(text: &str) -> Result<(usize, usize), String> {
    let parts = text.split_once('/').and_then(|(i, n)| Some((i.parse().ok()?, n.parse().ok()?)));
    parts.filter(|(i, n)| (1..=*n).contains(i)).ok_or_else(|| "a shard is I/N, as in 1/4".into())
}

/// The whole program.
pub fn main() -> ExitCode {
    match dispatch(Cli::parse()) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::from(2)
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode> {
    match cli.command {
        Some(Command::Inside(inside)) => Ok(inside.exec()),
        Some(Command::Burgle(burglar)) => Ok(burglar.burgle()),
        Some(Command::Limited { memory_mib, cpu_seconds, parent, command }) => {
            Ok(Limits { memory_mib, cpu_seconds }.exec(parent, &command))
        }
        Some(Command::Merge { out, shards }) => {
            let scores = run::merge(&out, &shards)?;
            report::write(&out, &scores)?;
            say(&format!("{} records are in {}\n", scores.len(), out.display()));
            Ok(verdict(&scores))
        }
        Some(Command::One { submission, why_points, how }) => one(submission, why_points, how),
        Some(Command::Why { report, id }) => {
            let scores = run::load(&report, |name| name == id)?;
            let score = scores
                .first()
                .with_context(|| format!("{} has no record of {id}", report.display()))?;
            say(&sum::why(score));
            Ok(ExitCode::SUCCESS)
        }
        None => grade(cli.class),
    }
}

fn grade(class: Class) -> Result<ExitCode> {
    let here = here()?;
    let out = here.join(class.out.unwrap_or_default());
    let (workspace, mut plan) =
        class.how.plan(&here, class.folder.unwrap_or_default(), out.clone())?;
    (plan.only, plan.shard) = (class.only, class.shard);
    let progress = Progress::detect(false);
    let done = run::run(workspace, &plan, &progress, &say)?;
    drop(progress);
    report::write(&out, &done.scores)?;
    for ignored in &done.ignored {
        say(&format!("ignored: {ignored}\n"));
    }
    if let Some(same) = done.same {
        say(if same { "the same as before, byte for byte\n" } else { "NOT the same as before\n" });
    }
    say(&format!(
        "{} of {} records are new; the reports are in {}\n",
        done.graded,
        done.scores.len(),
        out.display()
    ));
    Ok(if done.same == Some(false) { ExitCode::FAILURE } else { verdict(&done.scores) })
}

/// Grades one submission. Its record is kept in the workshop until the next.
fn one(submission: PathBuf, why: bool, how: How) -> Result<ExitCode> {
    let here = here()?;
    let (workspace, mut plan) = how.plan(&here, submission, PathBuf::new())?;
    (plan.out, plan.single) = (plan.place.join("one"), true);
    place::remove(&plan.out)?;
    let progress = Progress::detect(false);
    let done = run::run(workspace, &plan, &progress, &say);
    drop(progress);
    place::remove(&plan.out)?;
    let scores = done?.scores;
    for score in &scores {
        say(&format!("\n{}", table::terminal(score)));
        if why {
            say(&format!("\n{}", sum::why(score)));
        }
    }
    let full =
        scores.iter().all(|score| score.stages.iter().all(|s| s.extra || sum::on_ours(s) >= 1.0));
    Ok(if full { verdict(&scores) } else { ExitCode::FAILURE })
}

fn here() -> Result<PathBuf> {
    std::env::current_dir().context("the current folder is gone")
}

impl How {
    fn plan(self, here: &Path, folder: PathBuf, out: PathBuf) -> Result<(Workspace, Plan)> {
        let workspace = Workspace::find(here)?;
        let hidden = match &self.secret {
            Some(file) => seeds::draw(&seeds::secret(file)?, self.hidden),
            None => self.hidden_seeds,
        };
        let absolute = |path: PathBuf| here.join(path);
        let plan = Plan {
            folder: absolute(folder),
            single: false,
            out,
            stages: self.stages,
            place: self.work.map_or_else(|| workspace.scratch().join("class"), absolute),
            sandbox: if self.no_sandbox { Some(Kind::None) } else { self.sandbox },
            open_network: self.open_network,
            uid: self.uid,
            shown: self.show.into_iter().map(absolute).collect(),
            hidden,
            secret: self.secret.map(absolute),
            only: None,
            shard: (1, 1),
            fresh: self.fresh,
            jobs: self.jobs,
            backstop: self.backstop,
        };
        Ok((workspace, plan))
    }
}

fn verdict(scores: &[Score]) -> ExitCode {
    if scores.iter().any(Score::needs_a_person) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Prints; a reader that has gone away is no reason to stop.
fn say(text: &str) {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
