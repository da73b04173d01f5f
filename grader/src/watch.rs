//! `cargo grade --watch`: grades again whenever a source file changes.
//!
//! Three things can happen (a file changes, the student presses a key, the input ends) and they all
//! arrive in one channel, so the loop has one place to wait. Saving a file makes several events, and an
//! editor may write a temporary file first; so the loop waits until it has been quiet for a moment.
//! Only the stages that stand on what changed run again.
//!
//! Keys are lines: `h`, `n` or `q`, then Enter. That works in every terminal and in a pipe, and no
//! terminal is left in raw mode when the grader is interrupted.

use std::io::{BufRead, Write, stdin};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use notify::{RecursiveMode, Watcher};

use crate::course::Course;
use crate::grade::{self, Graded, Options};
use crate::hint;
use crate::holes::{Holes, State};
use crate::lint;
use crate::report::explain;
use crate::report::paint::Paint;
use crate::report::progress::Progress;
use crate::report::table;
use crate::verdict::Status;
use crate::workspace::Workspace;

/// How long it has to be quiet before a change counts as finished.
const QUIET: Duration = Duration::from_millis(300);

enum Event {
    Changed(Vec<PathBuf>),
    Key(String),
}

/// Watches until the student quits.
///
/// # Errors
/// The course cannot be read at the start, or the system offers no way to watch files.
pub fn watch(workspace: &Workspace, options: &Options, plain: bool) -> Result<()> {
    let (sender, events) = channel();
    let _watcher = watcher(workspace, sender.clone())?;
    keys(sender);
    let paint = Paint::detect(plain);
    let mut asked = options.stages.clone();
    let mut shown = 0;
    let mut course = workspace.course()?;
    let mut graded = round(workspace, &course, options, &asked, plain);
    loop {
        match next(&events) {
            Event::Changed(paths) => {
                // A course or a tree that cannot be read right now is being edited.
                if let Ok(fresh) = workspace.course() {
                    course = fresh;
                }
                asked = affected(workspace, &course, options, &paths);
                shown = 0;
                if !asked.is_empty() {
                    graded = round(workspace, &course, options, &asked, plain);
                }
            }
            Event::Key(key) => match key.trim() {
                "q" | "quit" => return Ok(()),
                "h" | "hint" => say(&hint_for(workspace, &course, graded.as_ref(), paint)),
                "n" | "next" => {
                    shown += 1;
                    say(&failure(workspace, &course, graded.as_ref(), shown, paint));
                }
                "" => graded = round(workspace, &course, options, &asked, plain),
                other => say(&format!(
                    "`{other}` is no key here: h hint, n next failure, Enter again, q quit\n"
                )),
            },
        }
    }
}

fn watcher(workspace: &Workspace, sender: Sender<Event>) -> Result<impl Watcher> {
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        if let Ok(event) = event
            && (event.kind.is_modify() || event.kind.is_create() || event.kind.is_remove())
        {
            let _ = sender.send(Event::Changed(event.paths));
        }
    })
    .context("this system offers no way to watch files; run `cargo grade` by hand")?;
    // Not the root: `target` changes all the time.
    for folder in workspace.packages()?.values() {
        for part in ["src", "tests"] {
            let folder = workspace.root.join(folder).join(part);
            if folder.is_dir() {
                watcher
                    .watch(&folder, RecursiveMode::Recursive)
                    .with_context(|| format!("cannot watch {}", folder.display()))?;
            }
        }
    }
    watcher
        .watch(&workspace.root.join("grader"), RecursiveMode::NonRecursive)
        .context("cannot watch the grader's folder")?;
    Ok(watcher)
}

/// At the end of the input no more keys come, and watching goes on.
fn keys(sender: Sender<Event>) {
    thread::spawn(move || {
        for line in stdin().lock().lines().map_while(Result::ok) {
            if sender.send(Event::Key(line)).is_err() {
                return;
            }
        }
    });
}

/// The next event; changes that follow each other closely are one.
fn next(events: &Receiver<Event>) -> Event {
    let mut changed = match events.recv() {
        Ok(Event::Changed(paths)) => paths,
        Ok(key) => return key,
        Err(_) => return Event::Key("q".into()),
    };
    loop {
        match events.recv_timeout(QUIET) {
            Ok(Event::Changed(paths)) => changed.extend(paths),
            Ok(key) => return key,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                return Event::Changed(changed);
            }
        }
    }
}

/// The asked stages from the first that stands on a changed package; none if nothing of the course
/// changed. What is no student's source (a suite, the course itself) concerns all.
fn affected(
    workspace: &Workspace,
    course: &Course,
    options: &Options,
    paths: &[PathBuf],
) -> Vec<String> {
    let (Ok(stages), Ok(folders)) =
        (course.select(&options.stages), workspace.student_folders(course))
    else {
        return options.stages.clone();
    };
    let relevant = |path: &&PathBuf| {
        path.extension().is_some_and(|e| e == "rs" || e == "toml") && !path.ends_with("Cargo.lock")
    };
    let first = paths.iter().filter(relevant).map(|path| {
        let of = |package: &str| {
            path.starts_with(workspace.root.join(Path::new(&folders[package])).join("src"))
        };
        stages.iter().position(|s| of(&s.package)).unwrap_or(0)
    });
    match first.min() {
        Some(first) => stages[first..].iter().map(|s| s.id.clone()).collect(),
        None => Vec::new(),
    }
}

fn round(
    workspace: &Workspace,
    course: &Course,
    options: &Options,
    asked: &[String],
    plain: bool,
) -> Option<Graded> {
    let paint = Paint::detect(plain);
    let options = Options { stages: asked.to_vec(), ..options.clone() };
    let progress = Progress::detect(plain);
    let graded = grade::grade(workspace, course, &options, &progress);
    drop(progress);
    let clear = if paint.colours() { "\x1b[2J\x1b[3J\x1b[H" } else { "\n" };
    let graded = match graded {
        Ok(graded) => graded,
        Err(e) => {
            say(&format!("{clear}{e:#}\n\nWaiting for a change. q quit\n"));
            return None;
        }
    };
    say(&format!("{clear}{}\n", table::render(&graded.report, paint)));
    say(&failure(workspace, course, Some(&graded), 0, paint));
    say(&paint.dim("\nWaiting for a change. Keys, then Enter: h hint, n next failure, q quit\n"));
    Some(graded)
}

/// The explanation of the failure with this number (it starts again at the end).
fn failure(
    workspace: &Workspace,
    course: &Course,
    graded: Option<&Graded>,
    number: usize,
    paint: Paint,
) -> String {
    let (Some(graded), Ok(holes)) = (graded, Holes::find(workspace, course)) else {
        return String::new();
    };
    let suspects = lint::of_report(workspace, course, &graded.report);
    let context = explain::Context {
        course,
        holes: &holes,
        docs: &graded.docs,
        paint,
        suspects: &suspects,
        in_full: false,
    };
    let Some(stage) = graded.report.first_open() else {
        return paint.good("All of it passes.\n");
    };
    let open: Vec<_> = stage
        .tests
        .iter()
        .filter(|t| matches!(t.outcome.status, Status::Fail | Status::Undecided))
        .collect();
    if number == 0 || open.is_empty() {
        return context.first(&graded.report);
    }
    context.test(&graded.report, stage, open[number % open.len()])
}

/// A hint for the hole that the first open test is about.
fn hint_for(
    workspace: &Workspace,
    course: &Course,
    graded: Option<&Graded>,
    paint: Paint,
) -> String {
    let holes = Holes::find(workspace, course).unwrap_or_default();
    let about = graded.and_then(|g| g.report.first_open()).and_then(|open| {
        let test = open.first_failure()?;
        if test.outcome.status != Status::NotWritten {
            return Some(course.test(&test.name).ok()?.1.after.clone());
        }
        let stage = course.stages.iter().find(|s| s.id == open.id)?;
        let next = stage.holes.iter().find(|h| holes.state(&h.id) == State::Unwritten);
        next.map(|hole| hole.id.clone())
    });
    let text = hint::next(workspace, course, &holes, about.as_deref(), paint);
    text.unwrap_or_else(|e| format!("{e:#}\n"))
}

fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
