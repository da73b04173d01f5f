//! Where to look when code is not deterministic: lines of the student's sources that use what differs from run to
//! run. A guess from words, for a warning; nothing is scored by it.

use crate::course::{Course, Stage};
use crate::report::Report;
use crate::tree;
use crate::workspace::Workspace;

/// The words, and what is wrong with each.
const WORDS: &[(&str, &str)] = &[
    ("HashMap", "its order is another one in each process; BTreeMap has one order"),
    ("HashSet", "its order is another one in each process; BTreeSet has one order"),
    ("Instant::now", "a wall clock; time comes in as an argument, or as ticks"),
    ("SystemTime", "a wall clock; time comes in as an argument, or as ticks"),
    ("thread::", "threads run in an order that nobody knows"),
    ("thread_rng", "randomness without a seed; use the generator that you were given"),
    ("rand::rng", "randomness without a seed; use the generator that you were given"),
    ("rand::random", "randomness without a seed; use the generator that you were given"),
];

/// A warning is no place for a list.
const SHOWN: usize = 3;

/// The most likely places, if a second run of the failure that is explained went another way; else none.
pub fn of_report(workspace: &Workspace, course: &Course, report: &Report) -> Vec<String> {
    let open = report.first_open();
    let differs = open
        .and_then(|stage| stage.first_failure())
        .is_some_and(|test| test.outcome.world.deterministic == Some(false));
    let stage = open.and_then(|open| course.stages.iter().find(|s| s.id == open.id));
    match stage {
        Some(stage) if differs => suspects(workspace, course, stage),
        _ => Vec::new(),
    }
}

/// The most likely places in the package of this stage: `file:line: word: why`.
pub fn suspects(workspace: &Workspace, course: &Course, stage: &Stage) -> Vec<String> {
    let folders = workspace.student_folders(course).unwrap_or_default();
    let Some(folder) = folders.get(&stage.package) else { return Vec::new() };
    let mut found = Vec::new();
    for path in tree::rust_files(&workspace.root, &format!("{folder}/src")).unwrap_or_default() {
        // Servers and programs are the edge: there, clocks and threads belong.
        let edge = ["/server", "/bin/", "/main.rs"].iter().any(|part| path.contains(part));
        let given = course.stages.iter().any(|s| s.given.contains(&path));
        if edge || given {
            continue;
        }
        let text = workspace.read(&path).unwrap_or_default();
        for (number, line) in (1..).zip(text.lines()) {
            let code = line.split("//").next().unwrap_or_default();
            let import = code.trim_start().starts_with("use ");
            if let Some((word, why)) = WORDS.iter().find(|(word, _)| !import && code.contains(word))
            {
                found.push(format!("{path}:{number}: {word}: {why}"));
            }
        }
    }
    found.truncate(SHOWN);
    found
}
