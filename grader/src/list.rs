//! `cargo grade list`: what there is to do, and what is done. Runs nothing.

use crate::course::{Course, Stage};
use crate::holes::{Holes, State};
use crate::report::paint::Paint;

/// The stages with their holes and tests as text.
pub fn render(course: &Course, stages: &[&Stage], holes: &Holes, paint: Paint) -> String {
    let mut text = String::new();
    for stage in stages {
        let minutes: u32 = stage.holes.iter().map(|h| h.minutes).sum();
        let head = format!("stage {}  {}", stage.id, stage.title);
        text += &format!(
            "{}\n  {} points{}, {} (about {}), {}; docs/src/{}\n",
            paint.strong(head),
            stage.points,
            if stage.extra { " of extra credit" } else { "" },
            count(stage.holes.len(), "hole"),
            duration(minutes),
            count(stage.tests.len(), "test"),
            stage.chapter
        );
        for hole in &stage.holes {
            let state = match holes.state(&hole.id) {
                State::Unwritten => paint.open("not written yet"),
                State::Written => paint.good("written"),
                State::Reference => paint.dim("reference"),
            };
            let place = holes.spot(&hole.id).map_or_else(|| hole.file.clone(), ToString::to_string);
            text += &format!(
                "\n  hole {}  {state}  (about {} minutes)  {}\n",
                hole.id,
                hole.minutes,
                paint.dim(place)
            );
            for test in stage.tests.iter().filter(|t| t.after == hole.id) {
                text += &format!("    {:>2}  {}\n", test.weight, test.name);
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
        "Below each hole stand the tests that turn green with it, and their weights. Course {}.\n",
        course.version
    ));
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
