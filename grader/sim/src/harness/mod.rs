//! The programs: what `cargo test`, `cargo grade` and the judge all call.
//!
//! A suite is a list of [`Test`]s. Its two programs are one line each: the test program of the
//! student's crate calls [`run_tests`] with a function that makes a subject, the judge calls
//! [`run_judge`]. Both understand:
//!
//! - `grade TEST --seeds 1,2 [--subject PATH] [--trace FILE] [--brief]`: run one test, print the verdict as a line of JSON
//!   (`report`), exit with 0 (pass), 1 (fail), 2 (undecided) or 3 (bad usage). A seed that fails in a
//!   simulated world is run again: does it fail the same way, and can the plan be shorter (not with
//!   `--brief`)? With `--trace` the last run's trace is written;
//! - `tests`: list the tests with their rules, as JSON lines;
//! - `subject [STAGE]` (test program only): answer the judge's questions, in the vocabulary of that stage;
//! - anything else (test program only): what `cargo test` passes on, by way of `libtest-mimic`.
//!
//! A test's doc comment is the long form of its failure text. It stands once, above the function;
//! [`tests!`](crate::tests) reads it out of the source file, so that the text which a student sees is
//! the text which the author wrote beside the code.

mod args;
pub mod panics;
mod report;
mod run;
mod spoken;

use std::process::ExitCode;

use crate::failure::{Failure, Outcome};
use crate::link::{InProcess, Launch, Process, serve};
use crate::seam::{Protocol, Subject};
use crate::trace::first_difference;
use args::Command;
pub use args::{Show, WHISPERED};
pub use run::{Findings, Run};

/// One graded test: a rule, and a function that checks it through the seam.
pub struct Test<P: Protocol> {
    /// `stage1::raw_get::an_absent_key_is_not_found`: the path of the function without its crate.
    pub name: String,
    /// The source file that the function is in.
    pub source: &'static str,
    /// The check itself.
    pub run: fn(&mut Run<'_, P>) -> Outcome,
}

impl<P: Protocol> Test<P> {
    /// What must hold, why, the section, a hint: the doc comment of the function.
    pub fn doc(&self) -> String {
        // Looked for when somebody asks: subjects start thousands of times, and nobody asks them.
        doc_of(self.source, self.name.rsplit("::").next().unwrap_or_default())
    }
}

/// Lists the tests of a file: `tests!("raw_get.rs": name, name, ...)`.
///
/// The file name is the one that holds the invocation; the doc comments are read from it.
#[macro_export]
macro_rules! tests {
    ($file:literal: $($name:ident),+ $(,)?) => {
        vec![$($crate::harness::Test {
            name: $crate::harness::test_name(module_path!(), stringify!($name)),
            source: include_str!($file),
            run: $name,
        }),+]
    };
}

/// `some_suite::stage1::raw_get` and `name` make `stage1::raw_get::name`.
pub fn test_name(module: &str, name: &str) -> String {
    match module.split_once("::") {
        Some((_, path)) => format!("{path}::{name}"),
        None => name.to_owned(),
    }
}

/// The doc comment above `fn name(` in a source file; empty if there is none.
pub fn doc_of(source: &str, name: &str) -> String {
    let lines: Vec<&str> = source.lines().collect();
    let head = format!("fn {name}(");
    let Some(at) = lines.iter().position(|line| line.trim_start().starts_with(&head)) else {
        return String::new();
    };
    let mut doc: Vec<&str> = lines[..at]
        .iter()
        .rev()
        .map_while(|line| line.trim_start().strip_prefix("///"))
        .map(|line| line.strip_prefix(' ').unwrap_or(line))
        .collect();
    doc.reverse();
    doc.join("\n")
}

/// The test program: runs a suite against subjects in this process.
pub fn run_tests<P: Protocol, S: Subject<P> + 'static>(
    tests: Vec<Test<P>>,
    make: fn() -> S,
) -> ExitCode {
    run_suites(vec![suite(tests, make)])
}

/// The test program of a crate whose stages speak to their subjects in different vocabularies.
pub fn run_suites(suites: Vec<Box<dyn Suite>>) -> ExitCode {
    match args::parse(std::env::args().skip(1)) {
        Command::Subject(of) => subject(&suites, of.as_deref()),
        Command::List => list(suites.iter().flat_map(|suite| suite.rules())),
        Command::Grade { subject: Some(_), .. } | Command::Grade { mute: true, .. } => {
            args::usage("this is the test program: --subject and --mute are for the judge")
        }
        Command::Grade { test, seeds, subject: None, show, .. } => {
            first(suites.iter().map(|suite| suite.grade(&test, &seeds, None, &show)), &test)
        }
        Command::Bad(why) => args::usage(&why),
        Command::Libtest => {
            let arguments = libtest_mimic::Arguments::from_args();
            let trials = suites.into_iter().flat_map(Suite::trials).collect();
            libtest_mimic::run(&arguments, trials).exit_code()
        }
    }
}

/// The judge: runs a suite against subjects behind a pipe. Links no student code.
pub fn run_judge<P: Protocol>(tests: Vec<Test<P>>) -> ExitCode {
    run_judges(&[judged(tests)])
}

/// The judge of a crate whose stages speak to their subjects in different vocabularies.
pub fn run_judges(suites: &[Box<dyn Judged>]) -> ExitCode {
    match args::parse(std::env::args().skip(1)) {
        Command::List => list(suites.iter().flat_map(|suite| suite.rules())),
        Command::Grade { test, seeds, subject: Some(path), mute, show } => {
            let program = Some(Program { path: &path, mute });
            first(suites.iter().map(|suite| suite.grade(&test, &seeds, program, &show)), &test)
        }
        Command::Grade { subject: None, .. } => {
            args::usage("the judge needs --subject PATH, the test program of a submission")
        }
        Command::Bad(why) => args::usage(&why),
        Command::Subject(_) | Command::Libtest => {
            args::usage("the judge understands grade and tests")
        }
    }
}

// The suite that a judge asks for by its name; whoever asks without one means the first.
fn subject(suites: &[Box<dyn Suite>], of: Option<&str>) -> ExitCode {
    let asked = suites.iter().find(|suite| of.is_none_or(|of| suite.has(of)));
    let Some(suite) = asked else {
        return args::usage(&format!("there is no suite {:?} here", of.unwrap_or_default()));
    };
    match suite.serve() {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("the subject lost its judge: {e}");
            ExitCode::FAILURE
        }
    }
}

fn list<'a>(tests: impl Iterator<Item = (&'a str, String)>) -> ExitCode {
    tests.for_each(|(name, doc)| report::listed(name, &doc));
    ExitCode::SUCCESS
}

fn first(mut verdicts: impl Iterator<Item = Option<ExitCode>>, test: &str) -> ExitCode {
    let unknown = || args::usage(&format!("there is no test called {test}; `tests` lists them"));
    verdicts.find_map(|verdict| verdict).unwrap_or_else(unknown)
}

/// The subject of a judge.
#[derive(Debug, Clone, Copy)]
pub struct Program<'a> {
    /// Its program.
    pub path: &'a std::path::Path,
    /// Its answers are thrown away (see [`Process::mute`]).
    pub mute: bool,
}

/// The tests of one vocabulary, as a judge holds them.
pub trait Judged {
    /// Each test's name.
    fn names(&self) -> Vec<&str>;
    /// Each test's name and rule.
    fn rules(&self) -> Vec<(&str, String)>;
    /// Runs a test against the subject at `program`, or in this process; `None` if the test is not here.
    fn grade(
        &self,
        test: &str,
        seeds: &[u64],
        program: Option<Program<'_>>,
        show: &Show,
    ) -> Option<ExitCode>;
    /// Whether the tests of `module` (`stage3a`) are here.
    fn has(&self, module: &str) -> bool {
        self.names().iter().any(|name| suite_of(name) == module)
    }
}

/// The tests of one vocabulary, bound to whoever answers them.
pub trait Suite: Judged {
    /// Answers a judge on standard input and output.
    ///
    /// # Errors
    /// The pipe broke.
    fn serve(&self) -> std::io::Result<()>;
    /// For `cargo test`.
    fn trials(self: Box<Self>) -> Vec<libtest_mimic::Trial>;
}

/// A suite and its subject, for [`run_suites`].
pub fn suite<P: Protocol, S: Subject<P> + 'static>(
    tests: Vec<Test<P>>,
    make: fn() -> S,
) -> Box<dyn Suite> {
    Box::new(Bound { tests, make })
}

/// A suite without a subject, for [`run_judges`].
pub fn judged<P: Protocol>(tests: Vec<Test<P>>) -> Box<dyn Judged> {
    Box::new(Unbound { tests })
}

struct Bound<P: Protocol, S> {
    tests: Vec<Test<P>>,
    make: fn() -> S,
}

struct Unbound<P: Protocol> {
    tests: Vec<Test<P>>,
}

impl<P: Protocol, S: Subject<P> + 'static> Judged for Bound<P, S> {
    fn names(&self) -> Vec<&str> {
        names(&self.tests)
    }

    fn rules(&self) -> Vec<(&str, String)> {
        rules(&self.tests)
    }

    fn grade(
        &self,
        test: &str,
        seeds: &[u64],
        _: Option<Program<'_>>,
        show: &Show,
    ) -> Option<ExitCode> {
        grade(&self.tests, test, seeds, &InProcess(self.make), show)
    }
}

impl<P: Protocol, S: Subject<P> + 'static> Suite for Bound<P, S> {
    fn serve(&self) -> std::io::Result<()> {
        serve(self.make)
    }

    fn trials(self: Box<Self>) -> Vec<libtest_mimic::Trial> {
        trials(self.tests, self.make)
    }
}

impl<P: Protocol> Judged for Unbound<P> {
    fn names(&self) -> Vec<&str> {
        names(&self.tests)
    }

    fn rules(&self) -> Vec<(&str, String)> {
        rules(&self.tests)
    }

    fn grade(
        &self,
        test: &str,
        seeds: &[u64],
        program: Option<Program<'_>>,
        show: &Show,
    ) -> Option<ExitCode> {
        let Program { path, mute } = program?;
        let launch = Process { program: path.to_owned(), suite: suite_of(test).to_owned(), mute };
        grade(&self.tests, test, seeds, &launch, show)
    }
}

fn names<P: Protocol>(tests: &[Test<P>]) -> Vec<&str> {
    tests.iter().map(|test| test.name.as_str()).collect()
}

fn rules<P: Protocol>(tests: &[Test<P>]) -> Vec<(&str, String)> {
    tests.iter().map(|test| (test.name.as_str(), test.doc())).collect()
}

// `stage3a::transfer::x` is of the suite `stage3a`.
fn suite_of(test: &str) -> &str {
    test.split("::").next().unwrap_or_default()
}

fn grade<P: Protocol>(
    tests: &[Test<P>],
    name: &str,
    seeds: &[u64],
    launch: &dyn Launch<P>,
    show: &Show,
) -> Option<ExitCode> {
    let test = tests.iter().find(|test| test.name == name)?;
    let mut total = report::Total::default();
    let mut ended = Ended::default();
    for &seed in seeds {
        ended = run_to_the_end(test, seed, launch, show);
        total.add(&ended.findings);
        if ended.outcome.is_err() {
            break;
        }
    }
    let written =
        show.trace.as_ref().and_then(|path| report::write_trace(path, &ended.findings.trace));
    Some(report::verdict(name, &total, &ended, written))
}

/// A seed's verdict, with what is known about it.
struct Ended {
    seed: u64,
    outcome: Outcome,
    findings: Findings,
    /// Where a second run of the same seed went another way.
    differs: Option<String>,
}

impl Default for Ended {
    fn default() -> Self {
        Ended { seed: 0, outcome: Ok(()), findings: Findings::default(), differs: None }
    }
}

// Runs a seed; if it fails in a simulated world, once more with a trace and made shorter, to be shown.
fn run_to_the_end<P: Protocol>(
    test: &Test<P>,
    seed: u64,
    launch: &dyn Launch<P>,
    show: &Show,
) -> Ended {
    let (outcome, findings) = run_once(test, seed, launch, show.trace.is_some(), false);
    // A hole that is not written is no failure to look into.
    let looks = |failure: &Failure| {
        !matches!(failure, Failure::Undecided { .. }) && failure.hole().is_none()
    };
    let failed = outcome.as_ref().is_err_and(looks);
    if !failed || show.brief || findings.hash.is_none() {
        return Ended { seed, outcome, findings, differs: None };
    }
    let (again, shown) = run_once(test, seed, launch, true, true);
    if again.is_err() && shown.hash == findings.hash {
        return Ended { seed, outcome: again, findings: shown, differs: None };
    }
    let (_, third) = run_once(test, seed, launch, true, false);
    let where_ = first_difference(&shown.trace, &third.trace);
    let differs = where_.unwrap_or_else(|| "the runs had different lengths".into());
    Ended {
        seed,
        outcome,
        findings: Findings { trace: shown.trace, ..findings },
        differs: Some(differs),
    }
}

fn run_once<P: Protocol>(
    test: &Test<P>,
    seed: u64,
    launch: &dyn Launch<P>,
    record: bool,
    shrink: bool,
) -> (Outcome, Findings) {
    let mut run = Run::new(seed, &test.name, launch);
    (run.record, run.shrink) = (record, shrink);
    // A panic here is the suite's own fault (the subject's are caught at the link), and the grader's
    // own fault is never the student's.
    let outcome = panics::catch(|| (test.run)(&mut run)).unwrap_or_else(|panic| {
        Err(Failure::Undecided {
            why: format!("the test itself panicked at {}: {}", panic.at, panic.message),
        })
    });
    let findings = run.into_findings(outcome.as_ref().err());
    (outcome, findings)
}

/// Seeds that plain `cargo test` runs; `course.toml` says how many `cargo grade` runs.
const LIBTEST_SEEDS: std::ops::RangeInclusive<u64> = 1..=2;

fn trials<P: Protocol, S: Subject<P> + 'static>(
    tests: Vec<Test<P>>,
    make: fn() -> S,
) -> Vec<libtest_mimic::Trial> {
    tests
        .into_iter()
        .map(|test| {
            libtest_mimic::Trial::test(test.name.clone(), move || {
                for seed in LIBTEST_SEEDS {
                    let ended = run_to_the_end(&test, seed, &InProcess(make), &Show::default());
                    if let Err(failure) = &ended.outcome {
                        return Err(report::text(&test, seed, failure, &ended).into());
                    }
                }
                Ok(())
            })
        })
        .collect()
}
