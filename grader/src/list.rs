//! `cargo grade list`: what there is to do, and what is done. Runs nothing.

use std::collections::BTreeSet;

use crate::course::{Course, Hole, Stage};
use crate::holes::{Holes, State};
use crate::report::paint::Paint;
use crate::results::{Progress, Results};

/// What is known of the holes.
#[derive(Debug)]
pub struct Known<'a> {
    /// The source tree.
    pub holes: &'a Holes,
    /// What the last runs found.
    pub results: &'a Results,
    /// Holes whose solution was looked up before its time.
    pub given_up: &'a BTreeSet<String>,
}

/// The stages with their holes and tests as text.
pub fn render(course: &Course, stages: &[&Stage], known: &Known<'_>, paint: Paint) -> String {
    let holes = known.holes;
    let mut text = String::new();
    for stage in stages {
        let minutes: u32 = stage.holes.iter().map(|h| h.minutes).sum();
        let head = format!("stage {}  {}", stage.id, stage.title);
        text += &format!(
            "{}\n  {}, {} (about {}), {}; docs/src/{}\n",
            paint.strong(head),
            stage.worth(),
            count(stage.holes.len(), "hole"),
            duration(minutes),
            count(stage.tests.len(), "test"),
            stage.chapter
        );
        for hole in &stage.holes {
            let state = state(stage, hole, known, paint);
            let place = holes.spot(&hole.id).map_or_else(|| hole.file.clone(), ToString::to_string);
            text += &format!(
                "\n  hole {}  {state}  (about {} minutes)  {}\n",
                hole.id,
                hole.minutes,
                paint.dim(place)
            );
            let written = known.holes.state(&hole.id) == State::Written;
            for test in stage.tests.iter().filter(|t| t.after == hole.id) {
                let red = written && known.results.is_red(&test.name);
                let mark = if red { format!("  {}", paint.bad("red")) } else { String::new() };
                text += &format!("    {:>2}  {}{mark}\n", test.weight, test.name);
            }
        }
        let loose = stage.tests.iter().filter(|t| !stage.holes.iter().any(|h| h.id == t.after));
        for (at, test) in loose.enumerate() {
            text += if at == 0 { "\n  tests of no hole here\n" } else { "" };
            text += &format!("    {:>2}  {}\n", test.weight, test.name);
        }
        text.push('\n');
    }
    text += &paint.dim(format!(
        "Below each hole stand the tests that turn green with it, and their weights; `red` are those that the last run left so. Course {}.\n",
        course.version
    ));
    text
}

/// How far a hole is: written, compiles, rules green.
fn state(stage: &Stage, hole: &Hole, known: &Known<'_>, paint: Paint) -> String {
    let mut text = match (known.holes.state(&hole.id), known.results.of(stage, hole)) {
        (State::Unwritten, _) => paint.open("not written yet"),
        (State::Reference, _) => paint.dim("reference"),
        (State::Written, Progress::Unknown) => paint.good("written"),
        (State::Written, Progress::Broken) => paint.bad("written, does not compile"),
        (State::Written, Progress::Rules { green, of, old }) => {
            let text = format!("written, {green} of {} green", count(of, "rule"));
            let text = if green == of { paint.good(text) } else { paint.open(text) };
            if old { text + &paint.dim(" before your last change") } else { text }
        }
    };
    if known.given_up.contains(&hole.id) {
        text += &paint.dim(", looked up");
    }
    text
}

/// `1 hole`, `2 holes`.
pub fn count(number: usize, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

fn duration(minutes: u32) -> String {
    match (minutes / 60, minutes % 60) {
        (0, m) => format!("{m} min"),
        (h, 0) => format!("{h} h"),
        (h, m) => format!("{h} h {m} min"),
    }
}
