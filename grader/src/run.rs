//! Runs many tests at once, each in a process of its own, and asks twice before it says *undecided*.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crate::course;
use crate::limits::Limits;
use crate::process;
use crate::report::progress::Progress;
use crate::verdict::{self, Asked, Outcome, Status};

/// One test to run.
#[derive(Debug, Clone)]
pub struct Job {
    /// The program to call: the test program, or the judge.
    pub program: PathBuf,
    /// The subject, when the program is a judge.
    pub subject: Option<PathBuf>,
    /// The test.
    pub test: String,
    /// Its seeds.
    pub seeds: Vec<u64>,
    /// Leave out what only people read: the second run of a failed seed, the shortest schedule.
    pub brief: bool,
    /// Where the trace of the last seed goes.
    pub trace: Option<PathBuf>,
    /// Variables for its environment.
    pub env: Vec<(String, String)>,
    /// Tell the judge its seeds where other users of the machine cannot read them: not on its command line.
    pub secret: bool,
    /// Let the judge throw away all answers of the subject: a world in which nothing can be right.
    pub mute: bool,
}

/// How to run tests.
#[derive(Debug, Clone)]
pub struct Runner {
    /// The program that sets limits (see [`limits`](crate::limits)).
    pub helper: PathBuf,
    /// What a process may use.
    pub limits: course::Limits,
    /// How many at once.
    pub jobs: usize,
    /// Leave the rest out when several have run into the backstop: a student who waits for twenty
    /// endless loops learns nothing from the last sixteen.
    pub give_up: bool,
    /// Begin no further test when one is red: who asks whether *any* is has the answer.
    pub stop_at_red: bool,
}

/// So many tests at the backstop, and the others are left out.
pub const HANGING: usize = 4;

impl Runner {
    /// Runs all jobs; the outcomes stand in the order of the jobs.
    pub fn run(&self, jobs: &[Job], progress: &Progress) -> Vec<Outcome> {
        let next = AtomicUsize::new(0);
        let hanging = AtomicUsize::new(0);
        let red = AtomicBool::new(false);
        let outcomes: Vec<Mutex<Option<Outcome>>> = jobs.iter().map(|_| Mutex::new(None)).collect();
        let take_turns = jobs.iter().all(|job| job.subject.is_some());
        // Long tests come first, so that no core waits for another one's last; but in course order where some may be left out.
        let mut order: Vec<usize> = (0..jobs.len()).collect();
        if !self.give_up && !self.stop_at_red {
            order.sort_by_key(|&at| std::cmp::Reverse(jobs[at].seeds.len()));
        }
        thread::scope(|scope| {
            for worker in 0..self.jobs.clamp(1, jobs.len().max(1)) {
                let (next, hanging, red, outcomes, order) =
                    (&next, &hanging, &red, &outcomes, &order);
                scope.spawn(move || {
                    if take_turns {
                        process::stay_on_core(worker, self.jobs);
                    }
                    loop {
                        let Some(&at) = order.get(next.fetch_add(1, Ordering::Relaxed)) else {
                            return;
                        };
                        let job = &jobs[at];
                        if self.give_up && hanging.load(Ordering::Relaxed) >= HANGING {
                            return;
                        }
                        if self.stop_at_red && red.load(Ordering::Relaxed) {
                            return;
                        }
                        progress.begin(&job.test);
                        let outcome = self.one(job);
                        if outcome.status == Status::Undecided {
                            hanging.fetch_add(1, Ordering::Relaxed);
                        }
                        if outcome.status == Status::Fail {
                            red.store(true, Ordering::Relaxed);
                        }
                        progress.end(&job.test);
                        *lock(&outcomes[at]) = Some(outcome);
                    }
                });
            }
        });
        let mut outcomes: Vec<Outcome> = outcomes
            .iter()
            .map(|slot| lock(slot).take().unwrap_or_else(Outcome::not_run))
            .collect();
        if self.stop_at_red && red.into_inner() {
            return outcomes;
        }
        self.again_alone(jobs, &mut outcomes, progress);
        outcomes
    }

    /// A machine under load makes backstops fire. So whatever is undecided runs again, alone, and what was left out
    /// because of it runs too; if that changes nothing, the second of two such runs has answered for the others.
    fn again_alone(&self, jobs: &[Job], outcomes: &mut [Outcome], progress: &Progress) {
        let mut in_vain = 0;
        for (job, outcome) in jobs.iter().zip(outcomes) {
            let is_open = matches!(outcome.status, Status::Undecided | Status::NotRun);
            if !is_open || (self.give_up && in_vain == 2) {
                continue;
            }
            progress.begin(&job.test);
            *outcome = self.one(job);
            progress.end(&job.test);
            if outcome.status == Status::Undecided {
                in_vain += 1;
            }
        }
    }

    /// Runs one test.
    pub fn one(&self, job: &Job) -> Outcome {
        let backstop = Duration::from_secs(self.limits.backstop_seconds.max(1));
        let mut command = self.limits().command(&self.helper, &job.program);
        // A backtrace would push what matters out of the lines that are shown; replay has it.
        command
            .args(arguments(job))
            .env("RUST_BACKTRACE", "0")
            .envs(job.env.iter().map(|(k, v)| (k, v)));
        if let Some(whispered) = whispered(job) {
            command.env(WHISPERED, whispered);
        }
        let asked = Asked {
            test: &job.test,
            seeds: job.seeds.len(),
            judge: job.subject.is_some(),
            memory_mib: self.limits.memory_mib,
            backstop,
        };
        match process::run(command, backstop) {
            Ok(finished) => verdict::read(&finished, asked),
            Err(e) => Outcome::without_line(
                Status::Undecided,
                format!("the grader could not run {}: {e}", shown(&job.program)),
            ),
        }
    }

    /// The limits of each process: less time on the processor than on the wall, so that a loop is told
    /// from a wait.
    pub fn limits(&self) -> Limits {
        Limits {
            memory_mib: self.limits.memory_mib,
            cpu_seconds: (self.limits.backstop_seconds * 2 / 3).max(1),
        }
    }
}

/// The command line of the test program or the judge.
pub fn arguments(job: &Job) -> Vec<std::ffi::OsString> {
    let mut arguments: Vec<std::ffi::OsString> = vec!["grade".into(), (&job.test).into()];
    if !job.secret {
        arguments.extend(["--seeds".into(), seeds(job).into()]);
    }
    if let Some(subject) = &job.subject {
        arguments.push("--subject".into());
        arguments.push(subject.into());
    }
    if let Some(trace) = &job.trace {
        arguments.push("--trace".into());
        arguments.push(trace.into());
    }
    if job.brief {
        arguments.push("--brief".into());
    }
    arguments
}

/// The variable in which a judge finds more of its command line. The environment of a process is its user's own
/// business; its command line is everybody's.
const WHISPERED: &str = "TINYKV_JUDGE";

fn whispered(job: &Job) -> Option<String> {
    let mut words = Vec::new();
    if job.secret {
        words.push(format!("--seeds {}", seeds(job)));
    }
    if job.mute {
        words.push("--mute".to_owned());
    }
    (!words.is_empty()).then(|| words.join(" "))
}

fn seeds(job: &Job) -> String {
    job.seeds.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
}

fn shown(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
