//! The command line. Each command is a few lines here; the work is in the other modules.
//!
//! Exit codes: 0 if all that was asked for passed, 1 if not, 2 if the grader could not do what it was
//! asked to do (a typing error, a workspace that cargo does not understand, a full disk).

use std::ffi::OsString;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Parser, Subcommand};

use crate::course::Course;
use crate::grade::{Graded, Options};
use crate::holes::Holes;
use crate::limits::Limits;
use crate::report::paint::Paint;
use crate::report::progress::Progress;
use crate::report::{Report, Standing, explain, json, table};
use crate::workspace::Workspace;
use crate::{
    cargo_build, check, demo, grade, handout, hint, ladder, limits, lint, list, replay, submission,
    sweep, watch, zoo,
};

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
    grade: Grade,
    /// No colours, no progress line
    #[arg(long, global = true)]
    plain: bool,
}

#[derive(Debug, Args)]
struct Grade {
    /// Stages to grade, in any case; `2` means all that begin with 2; none means all
    #[arg(value_name = "STAGE")]
    stages: Vec<String>,
    /// Run only tests whose name contains this
    #[arg(long, value_name = "PART")]
    test: Option<String>,
    /// Run each test on this seed in place of the public ones
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// How many tests at once (default: one a core)
    #[arg(long, value_name = "N")]
    jobs: Option<usize>,
    /// Go on after a stage that does not pass
    #[arg(long)]
    no_fail_fast: bool,
    /// Let the judge, a process without student code, give the verdicts
    #[arg(long)]
    judge: bool,
    /// Grade the sources below this folder with our own tests
    #[arg(long, value_name = "DIR", requires = "judge", conflicts_with = "watch")]
    submission: Option<PathBuf>,
    /// Grade again whenever a source file changes
    #[arg(long)]
    watch: bool,
    /// Write a report for machines
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Show the sum behind the points
    #[arg(long)]
    why_points: bool,
    /// Show what each test of a simulated world exercised
    #[arg(long)]
    verbose: bool,
    /// Seconds after which a test counts as hanging (undecided, not wrong)
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..))]
    backstop: Option<u64>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Show the stages, their holes and what is written, their tests
    List {
        /// Only these stages
        stages: Vec<String>,
    },
    /// Tell what a test is about: its rule, the long form, where to read
    Explain {
        /// The name of the test, or enough of it
        test: String,
    },
    /// Show the next hint for a hole
    Hint {
        /// The hole; the next one that is not written if absent
        hole: Option<String>,
    },
    /// Run one test in the foreground, with its output
    Replay {
        /// The name of the test, or enough of it
        test: String,
        /// The seed
        #[arg(long, value_name = "N", default_value_t = 1)]
        seed: u64,
        /// Let the judge run it
        #[arg(long)]
        judge: bool,
        /// Write the trace of a simulated world: a line of JSON an event
        #[arg(long, value_name = "FILE")]
        trace: Option<PathBuf>,
    },
    /// For authors: check the course, its markers and its book
    Check {
        /// Climb the ladder too: each prefix of holes filled, each hole cut alone
        #[arg(long)]
        ladder: bool,
        /// Only what can be checked without building
        #[arg(long, conflicts_with = "ladder")]
        quick: bool,
        /// Only these stages (with --ladder)
        #[arg(requires = "ladder")]
        stages: Vec<String>,
    },
    /// For authors: make the starter, the workspace that a student gets
    Handout {
        /// Where; the folder has to be empty or new
        dir: PathBuf,
        /// Only the stages up to this one
        #[arg(long, value_name = "STAGE")]
        until: Option<String>,
    },
    /// Watch a famous bug: figure 8 of the Raft paper, broken on purpose
    Demo {
        /// Only what the simulator finds with this seed
        #[arg(long, value_name = "N")]
        seed: Option<u64>,
    },
    /// For authors: run many seeds of every test, in sittings
    Sweep {
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
    },
    /// For authors: plant each known mistake, and demand a red test
    Zoo {
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
    },
    #[command(name = limits::COMMAND, hide = true)]
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

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("error: {e:#}");
            ExitCode::from(2)
        }
    }
}

fn run(cli: Cli) -> Result<ExitCode> {
    if let Some(Command::Limited { memory_mib, cpu_seconds, parent, command }) = cli.command {
        return Ok(Limits { memory_mib, cpu_seconds }.exec(parent, &command));
    }
    let here = std::env::current_dir().context("the current folder is gone")?;
    let app = App { workspace: Workspace::find(&here)?, plain: cli.plain };
    match cli.command {
        None => app.grade(cli.grade),
        Some(Command::List { stages }) => app.list(&stages),
        Some(Command::Explain { test }) => app.explain(&test),
        Some(Command::Hint { hole }) => app.hint(hole.as_deref()),
        Some(Command::Replay { test, seed, judge, trace }) => {
            app.replay(&test, seed, judge, trace.map(|file| here.join(file)))
        }
        Some(Command::Check { ladder, quick, stages }) => app.check(ladder, quick, stages),
        Some(Command::Handout { dir, until }) => app.handout(&here.join(dir), until.as_deref()),
        Some(Command::Demo { seed }) => demo::demo(&app.workspace, seed),
        Some(Command::Sweep { stages, seeds, fresh, judge, jobs }) => {
            app.sweep(Options { stages, judge, jobs, ..Options::default() }, seeds, fresh)
        }
        Some(Command::Zoo { what, list, fresh, jobs, json }) => {
            let options = Options { jobs, ..Options::default() };
            app.zoo(&what, &options, list, fresh, json.as_deref())
        }
        Some(Command::Limited { .. }) => bail!("this command is the grader's own"),
    }
}

struct App {
    workspace: Workspace,
    plain: bool,
}

impl App {
    fn paint(&self) -> Paint {
        Paint::detect(self.plain)
    }

    fn progress(&self) -> Progress {
        Progress::detect(self.plain)
    }

    fn grade(&self, args: Grade) -> Result<ExitCode> {
        let options = Options {
            stages: args.stages,
            test: args.test,
            seed: args.seed,
            jobs: args.jobs,
            no_fail_fast: args.no_fail_fast,
            judge: args.judge,
            backstop: args.backstop,
            trace: None,
            colours: self.paint().colours(),
        };
        if args.watch {
            watch::watch(&self.workspace, &options, self.plain)?;
            return Ok(ExitCode::SUCCESS);
        }
        let course = self.workspace.course()?;
        let workspace = match &args.submission {
            Some(folder) => {
                let (copy, notes) =
                    submission::prepare(&self.workspace, &course, folder, "submission")?;
                for note in notes {
                    say(&format!("note: {note}\n"));
                }
                copy
            }
            None => self.workspace.clone(),
        };
        let progress = self.progress();
        let mut graded = grade::grade(&workspace, &course, &options, &progress)?;
        drop(progress);
        let text = self.tell(&workspace, &course, &graded)?;
        say(&text);
        if args.why_points {
            say(&format!("\n{}", table::why_points(&graded.report)));
        }
        if args.verbose {
            say(&format!("\n{}", table::coverage(&graded.report)));
        }
        if let Some(file) = args.json {
            graded.report.rustc = cargo_build::rustc_version(&workspace.root);
            json::write(&graded.report, &file)?;
        }
        Ok(code(&graded.report))
    }

    /// The table, and what to say below it.
    fn tell(&self, workspace: &Workspace, course: &Course, graded: &Graded) -> Result<String> {
        let (paint, report) = (self.paint(), &graded.report);
        let mut text = table::render(report, paint);
        let left_out: Vec<&str> = report
            .stages
            .iter()
            .filter(|s| s.standing() == Standing::NotRun)
            .map(|s| s.id.as_str())
            .collect();
        if let (Some(first), false) = (report.first_open(), left_out.is_empty()) {
            text += &paint.dim(format!(
                "Not run: {}. Stage {} comes first (--no-fail-fast runs them all).\n",
                left_out.join(", "),
                first.id
            ));
        }
        if report.warnings > 0 {
            let warnings = list::count(report.warnings, "warning");
            text += &paint.dim(format!("{warnings} of the compiler; cargo check shows them.\n"));
        }
        if report.partial {
            text += &paint.dim("Only some tests were asked for, so there are no points.\n");
        }
        let holes = Holes::find(workspace, course)?;
        let suspects = lint::of_report(workspace, course, report);
        let context = explain::Context {
            course,
            holes: &holes,
            docs: &graded.docs,
            paint,
            suspects: &suspects,
            in_full: false,
        };
        let explanation = context.first(report);
        if !explanation.is_empty() {
            text += &format!("\n{explanation}");
        }
        Ok(text)
    }

    fn list(&self, stages: &[String]) -> Result<ExitCode> {
        let course = self.workspace.course()?;
        let holes = Holes::find(&self.workspace, &course)?;
        say(&list::render(&course, &course.select(stages)?, &holes, self.paint()));
        Ok(ExitCode::SUCCESS)
    }

    fn explain(&self, test: &str) -> Result<ExitCode> {
        let course = self.workspace.course()?;
        let (stage, test) = course.test(test)?;
        let progress = self.progress();
        let doc = replay::long_form(&self.workspace, &course, (stage, test), &progress);
        drop(progress);
        let holes = Holes::find(&self.workspace, &course)?;
        let docs = doc.map(|doc| (test.name.clone(), doc)).into_iter().collect();
        let paint = self.paint();
        let context = explain::Context {
            course: &course,
            holes: &holes,
            docs: &docs,
            paint,
            suspects: &[],
            in_full: false,
        };
        let mut text = format!("{}\n\n", paint.strong(&test.name));
        text += &context.row("stage", &format!("{}: {}", stage.id, stage.title));
        text += &context.row("rule", &test.rule);
        text += &context.row("after", &test.after);
        text += &context.row("weight", &format!("{} of {}", test.weight, stage.weight()));
        text += &context.row("read", &stage.reading(test));
        text += &context.command("run", &format!("cargo grade replay {} --seed 1", test.name));
        text += &match context.long_form(&test.name) {
            none if none.is_empty() => {
                "\n  The long form is in the suite, which does not build right now.\n".to_owned()
            }
            doc => doc,
        };
        say(&text);
        Ok(ExitCode::SUCCESS)
    }

    fn hint(&self, hole: Option<&str>) -> Result<ExitCode> {
        let course = self.workspace.course()?;
        let holes = Holes::find(&self.workspace, &course)?;
        say(&hint::next(&self.workspace, &course, &holes, hole, self.paint())?);
        Ok(ExitCode::SUCCESS)
    }

    fn replay(
        &self,
        test: &str,
        seed: u64,
        judge: bool,
        trace: Option<PathBuf>,
    ) -> Result<ExitCode> {
        let course = self.workspace.course()?;
        let options = Options {
            seed: Some(seed),
            judge,
            trace,
            colours: self.paint().colours(),
            ..Options::default()
        };
        let progress = self.progress();
        let (report, docs) = replay::replay(&self.workspace, &course, test, &options, progress)?;
        let holes = Holes::find(&self.workspace, &course)?;
        let suspects = lint::of_report(&self.workspace, &course, &report);
        let context = explain::Context {
            course: &course,
            holes: &holes,
            docs: &docs,
            paint: self.paint(),
            suspects: &suspects,
            in_full: true,
        };
        say(&format!("\n{}{}", replay::sentence(&report), context.first(&report)));
        Ok(code(&report))
    }

    fn check(&self, climb: bool, quick: bool, stages: Vec<String>) -> Result<ExitCode> {
        let mut complaints = check::check(&self.workspace)?;
        let course = self.workspace.course()?;
        if !quick && complaints.is_empty() {
            complaints = check::check_programs(&self.workspace, &course, &self.progress())?;
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
        if !climb {
            return Ok(if complaints.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE });
        }
        let options = Options { stages, colours: self.paint().colours(), ..Options::default() };
        let progress = self.progress();
        let climbed = ladder::climb(&self.workspace, &course, &options, &progress)?;
        drop(progress);
        say(&format!("\n{}", ladder::render(&climbed, self.paint())));
        let sound = complaints.is_empty() && climbed.complaints.is_empty();
        Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    fn handout(&self, dir: &Path, until: Option<&str>) -> Result<ExitCode> {
        let course = self.workspace.course()?;
        let files = handout::handout(&self.workspace, &course, dir, until)?;
        say(&format!(
            "The starter is in {}: {files} files, no solution in any of them.\nNext: cd there, and type cargo grade.\n",
            dir.display()
        ));
        Ok(ExitCode::SUCCESS)
    }

    fn sweep(&self, options: Options, seeds: u64, fresh: bool) -> Result<ExitCode> {
        let course = self.workspace.course()?;
        let progress = self.progress();
        let swept = sweep::sweep(&self.workspace, &course, &options, (seeds, fresh), &progress)?;
        drop(progress);
        let stages = course.select(&options.stages)?;
        let (text, good) = sweep::render(&swept, &stages, seeds, self.paint());
        say(&text);
        Ok(success(good))
    }

    fn zoo(
        &self,
        what: &[String],
        options: &Options,
        list: bool,
        fresh: bool,
        json: Option<&Path>,
    ) -> Result<ExitCode> {
        let course = self.workspace.course()?;
        let (all, broken) = zoo::load(&self.workspace)?;
        for complaint in &broken {
            say(&format!("{complaint}\n"));
        }
        let bugs = zoo::select(&all, what)?;
        if list {
            say(&zoo::list(&bugs, self.paint()));
            return Ok(success(broken.is_empty()));
        }
        let progress = self.progress();
        let findings = zoo::hunt(&self.workspace, &course, &bugs, options, fresh, &progress)?;
        drop(progress);
        say(&zoo::render(&findings, &bugs, self.paint()));
        if let Some(file) = json {
            zoo::json(&findings, file)?;
        }
        Ok(success(broken.is_empty() && findings.iter().all(zoo::Finding::is_good)))
    }
}

fn success(good: bool) -> ExitCode {
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn code(report: &Report) -> ExitCode {
    if report.passed() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Prints; a reader that has gone away (`| head`) is no reason to panic.
fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
