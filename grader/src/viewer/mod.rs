//! The trace viewer: a trace becomes one page that needs no network, no server and no program but a browser; or text.
//!
//! What happened is a list of [`Line`]s, one an event (`sim::trace` has the schema). Three things are made of them here,
//! and all drawing is the page's own affair (`grader/viewer/`: plain modules, CSS, a canvas):
//!
//! - each event in the compact notation, by the simulator's one formatter, so that page, terminal and failure texts
//!   speak alike;
//! - where the two facts of a failure are, and the last event on which both depend ([`cause`]);
//! - the page itself: modules and styles put into one file, with the trace as data. The modules are ES modules
//!   (a dashboard may serve them as they are); in the page they are one script, so `import` lines and the word `export`
//!   are taken out. A name may therefore stand in one of them only.
//!
//! [`text`] says the same without a browser.

pub mod cause;
pub mod gallery;
pub mod text;

use serde::Serialize;
use sim::trace::{Event, Line, parse, render};

pub use cause::Points;

const PAGE: &str = include_str!("../../viewer/index.html");
const PALETTE: &str = include_str!("../../viewer/palette.css");
const STYLE: &str = include_str!("../../viewer/style.css");
/// The modules of the page, in the order in which they need each other.
pub const MODULES: [&str; 11] = [
    include_str!("../../viewer/model.js"),
    include_str!("../../viewer/pen.js"),
    include_str!("../../viewer/peers.js"),
    include_str!("../../viewer/arrows.js"),
    include_str!("../../viewer/clients.js"),
    include_str!("../../viewer/marks.js"),
    include_str!("../../viewer/lanes.js"),
    include_str!("../../viewer/grid.js"),
    include_str!("../../viewer/list.js"),
    include_str!("../../viewer/overview.js"),
    include_str!("../../viewer/main.js"),
];
const START: &str =
    "window.page = openPage(JSON.parse(document.getElementById(\"data\").textContent));\n";

/// A trace, with what is known about it besides.
#[derive(Debug, Clone, Default)]
pub struct Shown {
    /// The test, or the file.
    pub title: String,
    /// The command that shows it again; empty: none.
    pub command: String,
    /// A sentence or two for a reader who knows nothing of it: a test's rule.
    pub about: String,
    /// What happened.
    pub lines: Vec<Line>,
}

impl Shown {
    /// Reads a trace as `grade replay --trace` wrote it.
    ///
    /// # Errors
    /// There is not one event in it that this version knows.
    pub fn read(title: &str, json: &str) -> Result<Self, String> {
        let lines = parse(json);
        if lines.is_empty() {
            return Err(format!(
                "{title} holds no event that this version knows: a trace is a line of JSON an event, as `cargo grade replay TEST --trace FILE` writes it"
            ));
        }
        Ok(Shown { title: title.to_owned(), lines, ..Shown::default() })
    }

    /// The event that broke a rule.
    pub fn violation(&self) -> Option<usize> {
        self.lines.iter().rposition(|line| matches!(line.event, Event::Violation { .. }))
    }
}

/// What the page reads. The lines go as they are, each with its text.
#[derive(Serialize)]
struct Data<'a> {
    title: &'a str,
    command: &'a str,
    about: &'a str,
    /// The last event on which both facts depend; -1: not known.
    cause: i64,
    /// Where the facts are; -1: not known.
    facts: Vec<i64>,
    text: Vec<String>,
    lines: &'a [Line],
}

/// The page of a trace: one file.
pub fn page(shown: &Shown) -> String {
    let points = cause::find(&shown.lines);
    let number = |place: Option<usize>| place.and_then(|i| i64::try_from(i).ok()).unwrap_or(-1);
    let data = Data {
        title: &shown.title,
        command: &shown.command,
        about: &shown.about,
        cause: number(points.cause),
        facts: points.facts.into_iter().map(number).collect(),
        // The time stands beside the text.
        text: render(&shown.lines),
        lines: &shown.lines,
    };
    let data = serde_json::to_string(&data).unwrap_or_default();
    let script: String =
        MODULES.iter().map(|module| inline(module)).chain([START.into()]).collect();
    PAGE.replacen("/* palette.css style.css */", &format!("{PALETTE}{STYLE}"), 1)
        .replacen("<title>trace</title>", &format!("<title>{}</title>", escaped(&shown.title)), 1)
        // No text inside can end the element: `<` is written as JSON's escape.
        .replacen("/* trace */", &data.replace('<', "\\u003c"), 1)
        .replacen("/* modules */", &script, 1)
}

/// A module as a part of the page's one script.
fn inline(module: &str) -> String {
    let lines = module.lines().filter(|line| !line.starts_with("import "));
    lines.map(|line| format!("{}\n", line.strip_prefix("export ").unwrap_or(line))).collect()
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
