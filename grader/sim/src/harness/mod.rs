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
//! - `subject` (test program only): answer the judge's questions;
//! - anything else (test program only): what `cargo test` passes on, by way of `libtest-mimic`.
//!
//! A test's doc comment is the long form of its failure text. It stands once, above the function;
//! [`tests!`](crate::tests) reads it out of the source file, so that the text which a student sees is
//! the text which the author wrote beside the code.

mod args;
pub mod panics;
mod report;
mod run;

use std::process::ExitCode;

use crate::failure::{Failure, Outcome};
use crate::link::{InProcess, Launch, Process, serve};
use crate::seam::{Protocol, Subject};
use crate::trace::first_difference;
use args::{Command, Show};
pub use run::{Findings, Run};

/// One graded test: a rule, and a function that checks it through the seam.
pub struct Test<P: Protocol> {
    /// `stage1::raw_get::an_absent_key_is_not_found`: the path of the function without its crate.
    pub name: String,
    /// What must hold, why, the section, a hint: the doc comment of the function.
    pub doc: String,
    /// The check itself.
    pub run: fn(&mut Run<'_, P>) -> Outcome,
}

/// Lists the tests of a file: `tests!("raw_get.rs": name, name, ...)`.
///
/// The file name is the one that holds the invocation; the doc comments are read from it.
#[macro_export]
macro_rules! tests {
    ($file:literal: $($name:ident),+ $(,)?) => {
        vec![$($crate::harness::Test {
            name: $crate::harness::test_name(module_path!(), stringify!($name)),
            doc: $crate::harness::doc_of(include_str!($file), stringify!($name)),
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
    match args::parse(std::env::args().skip(1)) {
        Command::Subject => match serve(make) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("the subject lost its judge: {e}");
                ExitCode::FAILURE
            }
        },
        Command::List => report::list(&tests),
        Command::Grade { subject: Some(_), .. } => {
            args::usage("this is the test program: --subject is for the judge")
        }
        Command::Grade { test, seeds, subject: None, show } => {
            grade(&tests, &test, &seeds, &InProcess(make), &show)
        }
        Command::Bad(why) => args::usage(&why),
        Command::Libtest => libtest(tests, make),
    }
}

/// The judge: runs a suite against subjects behind a pipe. Links no student code.
pub fn run_judge<P: Protocol>(tests: &[Test<P>]) -> ExitCode {
    match args::parse(std::env::args().skip(1)) {
        Command::List => report::list(tests),
        Command::Grade { test, seeds, subject: Some(program), show } => {
            grade(tests, &test, &seeds, &Process { program }, &show)
        }
        Command::Grade { subject: None, .. } => {
            args::usage("the judge needs --subject PATH, the test program of a submission")
        }
        Command::Bad(why) => args::usage(&why),
        Command::Subject | Command::Libtest => args::usage("the judge understands grade and tests"),
    }
}

fn grade<P: Protocol>(
    tests: &[Test<P>],
    name: &str,
    seeds: &[u64],
    launch: &dyn Launch<P>,
    show: &Show,
) -> ExitCode {
    let Some(test) = tests.iter().find(|test| test.name == name) else {
        return args::usage(&format!("there is no test called {name}; `tests` lists them"));
    };
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
    report::verdict(name, &total, &ended, written)
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
    let failed = matches!(&outcome, Err(failure) if !matches!(failure, Failure::Undecided { .. }));
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
    (outcome, run.into_findings())
}

/// Seeds that plain `cargo test` runs; `course.toml` says how many `cargo grade` runs.
const LIBTEST_SEEDS: std::ops::RangeInclusive<u64> = 1..=2;

fn libtest<P: Protocol, S: Subject<P> + 'static>(tests: Vec<Test<P>>, make: fn() -> S) -> ExitCode {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = tests
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
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
