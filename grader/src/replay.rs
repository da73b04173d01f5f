//! `cargo grade replay TEST --seed N`: one test in the foreground, its output as it comes; and
//! `cargo grade explain TEST`, which runs nothing.
//!
//! The memory limit holds here too; the backstop does not, since a person is watching, perhaps with
//! a debugger. Only the verdict line is held back, and told as an explanation at the end.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cargo_build;
use crate::course::{Course, Stage, Test};
use crate::grade::{Options, Programs, long_forms, runner, wanted};
use crate::limits::Limits;
use crate::process::Finished;
use crate::report::progress::Progress;
use crate::report::{Report, StageReport};
use crate::run::arguments;
use crate::verdict::{self, Asked, LINE, Status};
use crate::workspace::Workspace;

/// Runs one test in the foreground.
///
/// # Errors
/// It does not build, or cannot be run.
pub fn replay(
    workspace: &Workspace,
    course: &Course,
    name: &str,
    options: &Options,
    progress: Progress,
) -> Result<(Report, BTreeMap<String, String>)> {
    let (stage, test) = course.test(name)?;
    let programs = programs(workspace, course, stage, options, &progress)?;
    drop(progress);
    let mut job = programs.job(&test.name, vec![options.seed.unwrap_or(1)]);
    job.trace.clone_from(&options.trace);
    let runner = runner(course, options)?;
    let memory_mib = runner.limits.memory_mib;
    // A day: the debugger decides.
    let limits = Limits { memory_mib, cpu_seconds: 24 * 60 * 60 };
    let mut command = limits.command(&runner.helper, &job.program);
    let started = Instant::now();
    let mut child = command
        .args(arguments(&job))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("{} cannot be run", job.program.display()))?;
    let mut last = String::new();
    if let Some(stdout) = child.stdout.take() {
        for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
            if line.starts_with(LINE.as_bytes()) {
                last = String::from_utf8_lossy(&line).into_owned();
            } else {
                let mut out = std::io::stdout().lock();
                let _ = out.write_all(&line).and_then(|()| out.write_all(b"\n"));
            }
        }
    }
    let status = child.wait().context("the test cannot be waited for")?;
    let finished = Finished {
        status,
        timed_out: false,
        stdout: last,
        stderr: String::new(),
        took: started.elapsed(),
    };
    let asked = Asked {
        test: &test.name,
        seeds: 1,
        judge: options.judge,
        memory_mib,
        backstop: Duration::ZERO,
    };
    let mut found = StageReport::new(stage, &[test]);
    found.tests[0].outcome = verdict::read(&finished, asked);
    let report = Report {
        course: course.version.clone(),
        rustc: String::new(),
        judge: options.judge,
        seed: options.seed,
        partial: true,
        warnings: 0,
        stages: vec![found],
    };
    Ok((report, long_forms(programs.speaker()).unwrap_or_default()))
}

/// How a replay ended, in a sentence.
pub fn sentence(report: &Report) -> String {
    let Some(test) = report.stages.first().and_then(|s| s.tests.first()) else {
        return String::new();
    };
    match test.outcome.status {
        Status::Pass => format!(
            "passed: {} (seed {}, {} inputs)\n",
            test.name,
            test.outcome.seed.unwrap_or(1),
            test.outcome.inputs
        ),
        _ => String::new(),
    }
}

/// The programs of a stage, built.
///
/// # Errors
/// They do not build.
pub fn programs(
    workspace: &Workspace,
    course: &Course,
    stage: &Stage,
    options: &Options,
    progress: &Progress,
) -> Result<Programs> {
    let wanted = wanted(&[stage], options.judge);
    let built = cargo_build::build(workspace, &wanted, options.colours, progress)?;
    let folder: PathBuf = workspace.root.join(&workspace.student_folders(course)?[&stage.package]);
    Programs::of(stage, &folder, &built, options.judge).map_err(anyhow::Error::msg)
}

/// The long form of a test's text. It is compiled into the suite; the student's own program has it, and
/// where that does not compile the judge does, which links no student code.
pub fn long_form(
    workspace: &Workspace,
    course: &Course,
    (stage, test): (&Stage, &Test),
    progress: &Progress,
) -> Option<String> {
    let options = Options::default();
    let by_student = programs(workspace, course, stage, &options, progress);
    let docs = match by_student {
        Ok(programs) => long_forms(programs.speaker()),
        Err(_) => {
            let mut wanted = wanted(&[stage], true);
            wanted.tests.clear();
            cargo_build::build(workspace, &wanted, false, progress)
                .and_then(|built| long_forms(built.judge(&stage.judge).context("no judge")?))
        }
    };
    docs.ok()?.remove(&test.name)
}
