//! The daily loop: grade, explain, replay, and the demo.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::{App, code, say};
use crate::course::Course;
use crate::grade::{self, Graded, Options};
use crate::holes::Holes;
use crate::report::{Standing, explain, json, table};
use crate::workspace::Workspace;
use crate::{cargo_build, class, debugger, demo, lint, list, replay, submission, watch};

/// Grading: what is done when no command is named.
#[derive(Debug, Args)]
pub struct Grade {
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
    /// Grade each stage of the submission on the reference's earlier projects, too, in a sandbox
    #[arg(long, requires = "submission", conflicts_with_all = ["test", "seed", "json"])]
    isolate: bool,
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

impl Grade {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        if self.isolate {
            return class::hand_over(app, &self.isolated());
        }
        let options = Options {
            stages: self.stages,
            test: self.test,
            seed: self.seed,
            jobs: self.jobs,
            no_fail_fast: self.no_fail_fast,
            judge: self.judge,
            backstop: self.backstop,
            colours: app.paint().colours(),
            ..Options::default()
        };
        if self.watch {
            watch::watch(&app.workspace, &options, app.plain)?;
            return Ok(ExitCode::SUCCESS);
        }
        let course = app.workspace.course()?;
        let workspace = match &self.submission {
            Some(folder) => {
                let (copy, notes) =
                    submission::prepare(&app.workspace, &course, folder, "submission")?;
                for note in notes {
                    say(&format!("note: {note}\n"));
                }
                copy
            }
            None => app.workspace.clone(),
        };
        let progress = app.progress();
        let mut graded = grade::grade(&workspace, &course, &options, &progress)?;
        drop(progress);
        say(&tell(app, &workspace, &course, &graded)?);
        if self.why_points {
            say(&format!("\n{}", table::why_points(&graded.report)));
        }
        if self.verbose {
            say(&format!("\n{}", table::coverage(&graded.report)));
        }
        if let Some(file) = self.json {
            graded.report.rustc = cargo_build::rustc_version(&workspace.root);
            json::write(&graded.report, &file)?;
        }
        Ok(code(&graded.report))
    }

    /// What another program has to know about a submission that is graded on two bases.
    fn isolated(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = vec!["one".into()];
        arguments.extend(self.submission.iter().map(|path| path.clone().into()));
        if !self.stages.is_empty() {
            arguments.extend(["--stages".into(), self.stages.join(",").into()]);
        }
        if self.why_points {
            arguments.push("--why-points".into());
        }
        let numbers = [("--jobs", self.jobs.map(|n| n as u64)), ("--backstop", self.backstop)];
        for (name, number) in numbers {
            if let Some(number) = number {
                arguments.extend([name.into(), number.to_string().into()]);
            }
        }
        arguments
    }
}

/// The table, and what to say below it.
fn tell(app: &App, workspace: &Workspace, course: &Course, graded: &Graded) -> Result<String> {
    let (paint, report) = (app.paint(), &graded.report);
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
    let warm_up = report.stages.iter().find(|s| s.is_unscored());
    if let Some(stage) = warm_up.filter(|s| s.standing() == Standing::NotStarted)
        && report.first_open().is_some_and(|open| open.id != stage.id)
    {
        text += &paint.dim(format!(
            "Stage {0} is a warm-up for who is new to Rust; cargo grade {0} begins it.\n",
            stage.id
        ));
    }
    if report.warnings > 0 {
        let warnings = list::count(report.warnings, "warning");
        text += &paint.dim(format!("{warnings} of the compiler:\n"));
        for warning in graded.warnings.iter().take(3) {
            text += &paint.dim(format!("  {warning}\n"));
        }
        if report.warnings > 3 {
            text += &paint.dim("  and more; cargo check shows them.\n");
        }
    }
    if report.partial {
        text += &paint.dim("Only some tests were asked for, so there are no points.\n");
    }
    let holes = Holes::find(workspace, course)?;
    if report.passed()
        && !report.partial
        && let Some((stage, _)) = holes.next(course)
    {
        text += &paint.dim(format!(
            "Next: stage {}, {}. Read docs/src/{}, then type cargo grade {}.\n",
            stage.id,
            stage.title,
            stage.chapter,
            stage.id.to_lowercase()
        ));
    }
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

/// Tell what a test is about: its rule, the long form, where to read
#[derive(Debug, Args)]
pub struct Explain {
    /// The name of the test, or enough of it
    test: String,
}

impl Explain {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        let course = app.workspace.course()?;
        let (stage, test) = course.test(&self.test)?;
        let progress = app.progress();
        let doc = replay::long_form(&app.workspace, &course, (stage, test), &progress);
        drop(progress);
        let holes = Holes::find(&app.workspace, &course)?;
        let docs = doc.map(|doc| (test.name.clone(), doc)).into_iter().collect();
        let paint = app.paint();
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
}

/// Run one test in the foreground, with its output
#[derive(Debug, Args)]
pub struct Replay {
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
    /// Run nothing; build it for a debugger, and tell how to start that
    #[arg(long, conflicts_with_all = ["judge", "trace"])]
    debugger: bool,
}

impl Replay {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        let course = app.workspace.course()?;
        if self.debugger {
            let progress = app.progress();
            let text =
                debugger::commands(&app.workspace, &course, &self.test, self.seed, progress)?;
            say(&text);
            return Ok(ExitCode::SUCCESS);
        }
        let options = Options {
            seed: Some(self.seed),
            judge: self.judge,
            trace: self.trace.map(|file| app.here.join(file)),
            colours: app.paint().colours(),
            ..Options::default()
        };
        let progress = app.progress();
        let (report, docs) =
            replay::replay(&app.workspace, &course, &self.test, &options, progress)?;
        let holes = Holes::find(&app.workspace, &course)?;
        let suspects = lint::of_report(&app.workspace, &course, &report);
        let context = explain::Context {
            course: &course,
            holes: &holes,
            docs: &docs,
            paint: app.paint(),
            suspects: &suspects,
            in_full: true,
        };
        say(&format!("\n{}{}", replay::sentence(&report), context.first(&report)));
        Ok(code(&report))
    }
}

/// Watch a famous bug: figure 8 of the Raft paper, broken on purpose
#[derive(Debug, Args)]
pub struct Demo {
    /// Only what the simulator finds with this seed
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
}

impl Demo {
    pub(super) fn run(self, app: &App) -> Result<ExitCode> {
        demo::demo(&app.workspace, self.seed)
    }
}
