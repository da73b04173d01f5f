//! What a test's process said, and what that is worth.
//!
//! A program ends with a line of JSON, the verdict line. The rules here are about everything that
//! can be wrong with that:
//!
//! - *No line.* The process ended before the test did: `exit(0)` in a handler, an abort, a signal.
//!   That is a fail, whatever the exit code says. If its last words are those of an allocator without
//!   memory, the fail names the limit.
//! - *A line that does not fit* the test that was asked for, or the exit code, was not written by the
//!   harness. A fail. Under the judge this cannot happen by ordinary means: standard output is the
//!   judge's alone.
//! - *Time ran out*, on the wall or on the processor. A clock decides nothing: undecided. It scores
//!   nothing either, but says that it is not counted as wrong, and who should look.
//! - *A hole that is not written yet* is no failure to be explained but the next task.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::process::Finished;

/// How a test ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The rule holds on all seeds.
    Pass,
    /// It does not.
    Fail,
    /// It reached a hole that is not written yet.
    NotWritten,
    /// No verdict: a person should look.
    Undecided,
    /// It was not run.
    NotRun,
}

/// The verdict on one test.
#[derive(Debug, Clone, Serialize)]
pub struct Outcome {
    /// How it ended.
    #[serde(rename = "verdict")]
    pub status: Status,
    /// What broke, in plain words; empty on a pass.
    pub broke: String,
    /// The facts that contradict each other.
    pub facts: Vec<String>,
    /// The seed it ended with.
    pub seed: Option<u64>,
    /// Virtual time at the end.
    pub virtual_ms: u64,
    /// How many inputs the subject was given.
    pub inputs: u64,
    /// The hole that is not written yet.
    pub hole: Option<String>,
    /// What only simulated worlds find out.
    #[serde(flatten)]
    pub world: World,
    /// The last lines it printed.
    pub said: String,
    /// How long it took, in seconds.
    pub seconds: f64,
}

/// What a simulated world finds out besides the verdict. For people; nothing of it decides.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct World {
    /// What the seeds exercised: how many elections, crashes, ...
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub coverage: BTreeMap<String, u64>,
    /// Of a failed seed: whether a second run was the same.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deterministic: Option<bool>,
    /// Where the second run differed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub differs: Option<String>,
    /// The shortest plan that still fails.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// Where the trace was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trace: Option<PathBuf>,
    /// The last lines of the trace that matter.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub last: Vec<String>,
}

/// What was asked of a program.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The test.
    pub test: &'a str,
    /// How many seeds.
    pub seeds: usize,
    /// The judge ran it: its standard output is evidence.
    pub judge: bool,
    /// Its memory limit.
    pub memory_mib: u64,
    /// The wall-clock backstop.
    pub backstop: Duration,
}

#[derive(Deserialize)]
struct Line {
    tinykv_verdict: u32,
    test: String,
    verdict: String,
    seed: u64,
    seeds_run: usize,
    broke: String,
    facts: Vec<String>,
    hole: Option<String>,
    inputs: u64,
    virtual_ms: u64,
    #[serde(flatten)]
    world: World,
}

/// How a verdict line begins; a program's other output is told from it by this.
pub const LINE: &str = "{\"tinykv_verdict\":";

/// More inputs than this before a rule broke, and it broke in a storm.
const STORM: u64 = 1000;

impl Outcome {
    /// Whether it took so many inputs that they tell which rule broke, but hardly where.
    pub fn came_in_a_storm(&self) -> bool {
        self.inputs > STORM
    }

    /// An outcome that only says why there is none.
    pub fn without_line(status: Status, broke: impl Into<String>) -> Self {
        Outcome {
            status,
            broke: broke.into(),
            facts: Vec::new(),
            seed: None,
            virtual_ms: 0,
            inputs: 0,
            hole: None,
            world: World::default(),
            said: String::new(),
            seconds: 0.0,
        }
    }

    /// The test was left out.
    pub fn not_run() -> Self {
        Self::without_line(Status::NotRun, "")
    }
}

/// Reads what a process left behind.
pub fn read(finished: &Finished, asked: Asked<'_>) -> Outcome {
    let (line, said) = split(&finished.stdout);
    let mut outcome = match line {
        // A verdict that was given stands, also when the process then took its time to die.
        Some(line) => by_line(line, finished, asked),
        None => by_end(finished, asked),
    };
    if matches!(outcome.status, Status::Fail | Status::Undecided) && out_of_memory(finished) {
        outcome.facts.push(format!(
            "its last words are those of a program without memory; each process may use {} MiB",
            asked.memory_mib
        ));
    }
    outcome.said = last_words(if asked.judge { "" } else { said }, &finished.stderr);
    outcome.seconds = finished.took.as_secs_f64();
    outcome
}

/// The verdict line, if the last line is one, and all that was said before.
fn split(stdout: &str) -> (Option<Line>, &str) {
    let text = stdout.trim_end();
    let last = text.rfind('\n').map_or(0, |at| at + 1);
    // Student code may have left its own line open.
    let parsed = text[last..].find(LINE).and_then(|at| {
        let line = serde_json::from_str::<Line>(&text[last + at..]).ok()?;
        (line.tinykv_verdict == 1).then_some((line, &text[..last + at]))
    });
    match parsed {
        Some((line, before)) => (Some(line), before),
        None => (None, stdout),
    }
}

fn by_line(line: Line, finished: &Finished, asked: Asked<'_>) -> Outcome {
    let status = match (line.verdict.as_str(), finished.status.code()) {
        ("pass", Some(0)) if line.seeds_run == asked.seeds => Some(Status::Pass),
        ("fail", Some(1)) if line.hole.is_some() => Some(Status::NotWritten),
        // Without a code the process was ended by a signal after it had given its verdict.
        ("fail", Some(1) | None) => Some(Status::Fail),
        ("undecided", Some(2)) => Some(Status::Undecided),
        _ => None,
    };
    let Some(status) = status.filter(|_| line.test == asked.test) else {
        let mut outcome = Outcome::without_line(
            Status::Fail,
            "the verdict line was not written by the test harness: it does not fit the test, its seeds or the exit code",
        );
        outcome.facts = vec![
            format!(
                "the line says {} on {} after {} of {} seeds",
                line.verdict, line.test, line.seeds_run, asked.seeds
            ),
            format!("the test was {}, and the process ended with {}", asked.test, finished.status),
        ];
        return outcome;
    };
    Outcome {
        status,
        broke: line.broke,
        facts: line.facts,
        seed: Some(line.seed),
        virtual_ms: line.virtual_ms,
        inputs: line.inputs,
        hole: line.hole,
        world: line.world,
        said: String::new(),
        seconds: 0.0,
    }
}

fn by_end(finished: &Finished, asked: Asked<'_>) -> Outcome {
    let fail = |broke: String| Outcome::without_line(Status::Fail, broke);
    let undecided = |why: String| Outcome::without_line(Status::Undecided, why);
    let who = if asked.judge { "the judge" } else { "the test process" };
    if finished.timed_out {
        return undecided(format!(
            "{who} was still running at the backstop of {} s; an endless loop or a deadlock looks like this",
            asked.backstop.as_secs()
        ));
    }
    if asked.judge {
        // No student code runs in there, so whatever ended it is for a person to find out.
        return undecided(format!(
            "the judge itself ended without a verdict ({}): {}",
            finished.status,
            finished.stderr.trim_end().lines().last().unwrap_or("it said nothing")
        ));
    }
    match signal(finished) {
        Some(24) => undecided(
            "the test process used up its processor time; an endless loop looks like this".into(),
        ),
        _ if out_of_memory(finished) => fail(format!(
            "the test process ran out of memory: the limit is {} MiB",
            asked.memory_mib
        )),
        Some(6) => fail("the test process aborted (signal 6) before the test ended".into()),
        Some(11) => fail(
            "the test process ended by signal 11 before the test did; an endless recursion looks like this"
                .into(),
        ),
        Some(9) => fail(format!(
            "the test process was killed (signal 9) before the test ended; the memory limit is {} MiB",
            asked.memory_mib
        )),
        Some(signal) => {
            fail(format!("the test process ended by signal {signal} before the test did"))
        }
        None if finished.status.code() == Some(3) => undecided(format!(
            "the test program did not understand the grader: {}",
            finished.stderr.trim_end().lines().last().unwrap_or("it said nothing")
        )),
        None => fail(format!(
            "the test process ended (exit code {}) before the test did; something called exit()",
            finished.status.code().map_or_else(|| "unknown".into(), |code| code.to_string())
        )),
    }
}

fn out_of_memory(finished: &Finished) -> bool {
    finished.stderr.contains("memory allocation of ")
}

#[cfg(unix)]
fn signal(finished: &Finished) -> Option<i32> {
    use std::os::unix::process::ExitStatusExt;
    finished.status.signal()
}

#[cfg(not(unix))]
fn signal(_: &Finished) -> Option<i32> {
    None
}

/// The last lines of both streams: what a student printed to find out, and a panic's message.
fn last_words(stdout: &str, stderr: &str) -> String {
    const LINES: usize = 20;
    const WIDTH: usize = 160;
    let lines: Vec<&str> =
        stdout.lines().chain(stderr.lines()).filter(|line| !line.trim().is_empty()).collect();
    let last = lines[lines.len().saturating_sub(LINES)..].iter();
    let short = last.map(|line| match line.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}...", &line[..at]),
        None => (*line).to_owned(),
    });
    short.collect::<Vec<_>>().join("\n")
}
