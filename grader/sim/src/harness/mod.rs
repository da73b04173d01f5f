//! The programs: what `cargo test`, `cargo grade` and the judge all call.
//!
//! A suite is a list of [`Test`]s. Its two programs are one line each: the test program of the
//! student's crate calls [`run_tests`] with a function that makes a subject, the judge calls
//! [`run_judge`]. Both understand:
//!
//! - `grade TEST --seeds 1,2 [--subject PATH]`: run one test, print the verdict as a line of JSON
//!   (`report`), exit with 0 (pass), 1 (fail), 2 (undecided) or 3 (bad usage);
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

use std::process::ExitCode;

use crate::failure::{Failure, Outcome};
use crate::link::{InProcess, Launch, Link, Process, serve};
use crate::rng::Rng;
use crate::seam::{Protocol, Subject};
use args::Command;

/// One graded test: a rule, and a function that checks it through the seam.
pub struct Test<P: Protocol> {
    /// `stage1::raw_get::an_absent_key_is_not_found`: the path of the function without its crate.
    pub name: String,
    /// What must hold, why, the section, a hint: the doc comment of the function.
    pub doc: String,
    /// The check itself.
    pub run: fn(&mut Run<'_, P>) -> Outcome,
}

/// What a test gets: its seed, a generator, and a way to start subjects.
pub struct Run<'a, P: Protocol> {
    /// The seed of this run.
    pub seed: u64,
    /// The generator of this run.
    pub rng: Rng,
    launch: &'a dyn Launch<P>,
    inputs: u64,
}

impl<P: Protocol> Run<'_, P> {
    /// Starts a fresh subject. Starting another after dropping the first is a restart.
    ///
    /// # Errors
    /// As [`Launch::launch`].
    pub fn start(&mut self) -> Outcome<Box<dyn Link<P>>> {
        self.launch.launch()
    }

    /// Counts one input; worlds call it for each, reports print the sum.
    pub fn count_input(&mut self) {
        self.inputs += 1;
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
        Command::Grade { test, seeds, subject: None } => {
            grade(&tests, &test, &seeds, &InProcess(make))
        }
        Command::Bad(why) => args::usage(&why),
        Command::Libtest => libtest(tests, make),
    }
}

/// The judge: runs a suite against subjects behind a pipe. Links no student code.
pub fn run_judge<P: Protocol>(tests: &[Test<P>]) -> ExitCode {
    match args::parse(std::env::args().skip(1)) {
        Command::List => report::list(tests),
        Command::Grade { test, seeds, subject: Some(program) } => {
            grade(tests, &test, &seeds, &Process { program })
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
) -> ExitCode {
    let Some(test) = tests.iter().find(|test| test.name == name) else {
        return args::usage(&format!("there is no test called {name}; `tests` lists them"));
    };
    let mut run = 0;
    let mut inputs = 0;
    let mut ended = (seeds.first().copied().unwrap_or_default(), Ok(()));
    for &seed in seeds {
        let (outcome, asked) = run_once(test, seed, launch);
        run += 1;
        inputs += asked;
        ended = (seed, outcome);
        if ended.1.is_err() {
            break;
        }
    }
    report::verdict(name, ended.0, run, inputs, &ended.1)
}

fn run_once<P: Protocol>(test: &Test<P>, seed: u64, launch: &dyn Launch<P>) -> (Outcome, u64) {
    let mut run = Run { seed, rng: Rng::fork(seed, &test.name), launch, inputs: 0 };
    // A panic here is the suite's own fault (the subject's are caught at the link), and the grader's
    // own fault is never the student's.
    let outcome = panics::catch(|| (test.run)(&mut run)).unwrap_or_else(|panic| {
        Err(Failure::Undecided {
            why: format!("the test itself panicked at {}: {}", panic.at, panic.message),
        })
    });
    (outcome, run.inputs)
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
                    let (outcome, _) = run_once(&test, seed, &InProcess(make));
                    outcome.map_err(|failure| report::text(&test, seed, &failure))?;
                }
                Ok(())
            })
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
