//! `cargo grade view TEST --seed N`: runs a test with a trace, makes a page of it, and opens that; `--text` prints it. A file
//! that holds a trace will do as well.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;

use crate::course::{Course, Stage, Test};
use crate::grade::{Options, runner};
use crate::replay::programs;
use crate::report::progress::Progress;
use crate::run::{Job, Runner};
use crate::verdict::{Outcome, Status};
use crate::viewer::gallery;
use crate::viewer::text::{Wanted, twin};
use crate::viewer::{Shown, page};
use crate::workspace::Workspace;

/// See a run in a browser: lanes, messages, logs, what went wrong
#[derive(Debug, Args)]
pub struct View {
    /// A test (or enough of its name), or a file with a trace; the page made last if absent
    #[arg(value_name = "TEST|TRACE")]
    what: Option<String>,
    /// The seed
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Let the judge run it
    #[arg(long)]
    judge: bool,
    /// Where the page goes (default: below target/grade/view)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Make the page, and open nothing
    #[arg(long)]
    no_open: bool,
    /// Print the run in place of making a page
    #[arg(long, requires = "what")]
    text: bool,
    /// With --text: the logs after this event
    #[arg(long, value_name = "EVENT", requires = "text")]
    at: Option<usize>,
    /// With --text: only events of this node
    #[arg(long, value_name = "N", requires = "text")]
    node: Option<u64>,
    /// With --text: only events of this region
    #[arg(long, value_name = "N", requires = "text")]
    region: Option<u64>,
    /// With --text: only events whose line has this word; give it twice for both
    #[arg(long, value_name = "WORD", requires = "text")]
    find: Vec<String>,
    /// With --text: so many events up to the logs' event, not all
    #[arg(long, value_name = "N", requires = "text")]
    last: Option<usize>,
    /// For authors: plant this mistake of the zoo first
    #[arg(long, requires = "what", conflicts_with = "judge")]
    bug: Option<String>,
    /// For authors: make the pages of the book's gallery, and their pictures if there is a Chromium
    #[arg(long, value_name = "DIR", conflicts_with = "what")]
    gallery: Option<PathBuf>,
}

/// What a run left behind for people to look at.
#[derive(Debug)]
pub struct Recorded {
    /// How the test ended.
    pub outcome: Outcome,
    /// What happened.
    pub shown: Shown,
}

impl View {
    /// Makes the page, or the text. Returns what is to be printed.
    ///
    /// # Errors
    /// There is no such test or trace, it does not build, or the page cannot be written.
    pub fn run(&self, workspace: &Workspace, here: &Path, progress: Progress) -> Result<String> {
        let course = workspace.course()?;
        if let Some(folder) = &self.gallery {
            return gallery::make(workspace, &course, &here.join(folder), &progress);
        }
        let folder = workspace.scratch().join("view");
        let Some(what) = &self.what else { return show(&newest(&folder)?, self.no_open) };
        let file = here.join(what);
        let (shown, name) = if file.is_file() {
            let json = std::fs::read_to_string(&file)
                .with_context(|| format!("{} cannot be read", file.display()))?;
            let name = file.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            (Shown::read(what, &json).map_err(anyhow::Error::msg)?, name)
        } else {
            let (stage, test) = course.test(what)?;
            let options =
                Options { seed: Some(self.seed), judge: self.judge, ..Options::default() };
            let recorded = match &self.bug {
                None => record(workspace, &course, (stage, test), &options, &progress)?,
                Some(bug) => {
                    let command =
                        format!("cargo grade view {} --seed {} --bug {bug}", test.name, self.seed);
                    let what = (Some(&**bug), &*test.name, self.seed);
                    let about = (&*test.rule, &*command);
                    gallery::planted(workspace, &course, what, about, &progress)?
                }
            };
            (recorded.shown, format!("{}-{}", test.name.replace("::", "."), self.seed))
        };
        drop(progress);
        if self.text {
            let wanted = Wanted {
                at: self.at,
                node: self.node,
                region: self.region,
                find: self.find.clone(),
                last: self.last,
            };
            return Ok(twin(&shown, &wanted));
        }
        let out = match &self.out {
            Some(out) => here.join(out),
            None => folder.join(format!("{name}.html")),
        };
        write(&out, &page(&shown))?;
        show(&out, self.no_open)
    }
}

/// Runs a test, and keeps its trace.
///
/// # Errors
/// It does not build, or it left no trace.
pub fn record(
    workspace: &Workspace,
    course: &Course,
    (stage, test): (&Stage, &Test),
    options: &Options,
    progress: &Progress,
) -> Result<Recorded> {
    let programs = programs(workspace, course, stage, options, progress)?;
    progress.step(&test.name);
    let seed = options.seed.unwrap_or(1);
    let job = programs.job(&test.name, vec![seed]);
    let judge = if options.judge { " --judge" } else { "" };
    let command = format!("cargo grade view {} --seed {seed}{judge}", test.name);
    let about = (&*test.rule, &*command);
    trace_of(&runner(course, options)?, job, about, &workspace.scratch().join("view"))
}

/// Runs a job, and reads the trace that it writes into `folder`. `about`: the test's rule, and the command that shows it.
///
/// # Errors
/// It left no trace.
pub fn trace_of(
    runner: &Runner,
    mut job: Job,
    (rule, command): (&str, &str),
    folder: &Path,
) -> Result<Recorded> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    // A name of our own: two calls may be under way.
    let file = folder.join(format!("{}.{}.jsonl", job.test.replace("::", "."), std::process::id()));
    job.trace = Some(file.clone());
    let outcome = runner.one(&job);
    let json = std::fs::read_to_string(&file);
    let _ = std::fs::remove_file(&file);
    let Ok(json) = json else {
        let why = if outcome.status == Status::Pass { "it has no world" } else { &outcome.broke };
        bail!("{} left no trace to look at: {why}", job.test);
    };
    let mut shown = Shown::read(&job.test, &json).map_err(anyhow::Error::msg)?;
    rule.clone_into(&mut shown.about);
    command.clone_into(&mut shown.command);
    Ok(Recorded { outcome, shown })
}

/// Writes a page, and the folders above it.
///
/// # Errors
/// The disk says no.
pub fn write(file: &Path, text: &str) -> Result<()> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)
            .with_context(|| format!("cannot make {}", folder.display()))?;
    }
    std::fs::write(file, text).with_context(|| format!("cannot write {}", file.display()))
}

fn newest(folder: &Path) -> Result<PathBuf> {
    let pages = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let pages = pages.filter(|path| path.extension().is_some_and(|e| e == "html"));
    let made = |path: &PathBuf| path.metadata().and_then(|m| m.modified()).ok();
    pages.max_by_key(made).context(
        "no page was made yet\nName a test: each failure says `see  cargo grade view TEST --seed N`.",
    )
}

fn show(page: &Path, no_open: bool) -> Result<String> {
    let opened = !no_open && open(page);
    let how = if opened { "opened" } else { "open it in a browser" };
    Ok(format!("The run is in {} ({how}).\n", page.display()))
}

// Whatever opens pages on this machine; false where there is no screen.
fn open(page: &Path) -> bool {
    let program = match std::env::consts::OS {
        "macos" => "open",
        "windows" => "explorer",
        _ if std::env::var_os("DISPLAY").is_some()
            || std::env::var_os("WAYLAND_DISPLAY").is_some() =>
        {
            "xdg-open"
        }
        _ => return false,
    };
    let quiet = || Stdio::null();
    let mut command = Command::new(program);
    command.arg(page).stdin(quiet()).stdout(quiet()).stderr(quiet());
    command.spawn().is_ok()
}
