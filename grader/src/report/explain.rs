//! The first thing that stands in the way, told in full and in an order that helps: the rule, what
//! broke, the two facts, the seed, the command that runs just that again, where to read.
//!
//! There is one explanation in a report, not one for each failure. Who repairs the first often repairs
//! the others, and a page of red teaches nothing. A hole that is not written yet is no failure: its
//! explanation is the next task.

use std::collections::BTreeMap;

use super::paint::Paint;
use super::{Report, StageReport, Standing, TestReport};
use crate::course::Course;
use crate::holes::{Holes, State};
use crate::list::count;
use crate::verdict::{Status, World};

/// What explaining needs beside the report.
#[derive(Debug)]
pub struct Context<'a> {
    /// The course.
    pub course: &'a Course,
    /// The holes of the source tree.
    pub holes: &'a Holes,
    /// The long form of each test's failure text.
    pub docs: &'a BTreeMap<String, String>,
    /// How to paint.
    pub paint: Paint,
    /// Places that may be the reason if the code is not deterministic.
    pub suspects: &'a [String],
    /// Show the last lines of the trace, too.
    pub in_full: bool,
}

/// The width of explanations: a paragraph wider than this is hard to read, whatever the terminal.
const WIDTH: usize = 96;

/// So many other failures are named.
const NAMED: usize = 5;

impl Context<'_> {
    /// The explanation of the first stage that did not pass; empty if all passed.
    pub fn first(&self, report: &Report) -> String {
        let Some(stage) = report.first_open() else { return String::new() };
        if let Some(error) = &stage.build_error {
            return self.build_error(stage, error);
        }
        match stage.first_failure() {
            Some(test) => self.test(report, stage, test),
            None => String::new(),
        }
    }

    /// The explanation of one test that did not pass.
    pub fn test(&self, report: &Report, stage: &StageReport, test: &TestReport) -> String {
        if test.outcome.status == Status::NotWritten {
            self.next_task(report, stage, test)
        } else {
            self.failure(report, stage, test)
        }
    }

    fn build_error(&self, stage: &StageReport, error: &str) -> String {
        let mut text = self.paint.bad(format!("stage {} does not compile", stage.id));
        text += ", so none of its tests could run. The first error:\n\n";
        text += error;
        text.push('\n');
        text += &self.command("again", &format!("cargo grade {}", stage.id.to_lowercase()));
        text
    }

    fn failure(&self, report: &Report, stage: &StageReport, test: &TestReport) -> String {
        let outcome = &test.outcome;
        let undecided = outcome.status == Status::Undecided;
        let title = if undecided {
            self.paint.open(format!("undecided: {}", test.name))
        } else {
            self.paint.bad(format!("failed: {}", test.name))
        };
        let mut text = format!("{title}\n\n");
        text += &self.row("rule", &test.rule);
        text += &self.row(if undecided { "why" } else { "broke" }, &outcome.broke);
        for fact in &outcome.facts {
            text += &self.row("fact", fact);
        }
        if undecided {
            text += &self.row(
                "means",
                "a person should look: it ran again alone and was undecided again. It is not counted as wrong, and not as right",
            );
        }
        let seed = outcome.seed.or(report.seed).unwrap_or(1);
        if outcome.seed.is_some() {
            text += &self.row("seed", &when(test));
        }
        let judge = if report.judge { " --judge" } else { "" };
        text += &self
            .command("again", &format!("cargo grade replay {} --seed {seed}{judge}", test.name));
        if outcome.seed.is_some() {
            text += &self
                .command("see", &format!("cargo grade view {} --seed {seed}{judge}", test.name));
        }
        text += &self.row("read", &test.reading);
        // Where the code itself says what is wrong, the hint is about another mistake.
        text += &match outcome.broke.starts_with("your code panicked") {
            true => self.task(&test.name),
            false => self.long_form(&test.name),
        };
        text += &self.world(&outcome.world);
        if !outcome.said.is_empty() {
            text += &self.paint.dim("\n  The last lines it printed:\n");
            for line in outcome.said.lines() {
                text += &self.paint.dim(format!("    {line}\n"));
            }
        }
        text += &self.others(stage, test);
        text
    }

    /// The other failures of the stage, by name: one of them may say it better.
    fn others(&self, stage: &StageReport, told: &TestReport) -> String {
        let failed = |t: &&TestReport| {
            matches!(t.outcome.status, Status::Fail | Status::Undecided) && t.name != told.name
        };
        let others: Vec<&TestReport> = stage.tests.iter().filter(failed).collect();
        if others.is_empty() {
            return String::new();
        }
        let mut text =
            format!("\n  {} more in stage {}; this one comes first.\n", others.len(), stage.id);
        for test in others.iter().take(NAMED) {
            text += &self.paint.dim(format!("    {}\n", test.name));
        }
        if others.len() > NAMED {
            let all = format!("cargo grade {} --json FILE", stage.id.to_lowercase());
            text += &self.paint.dim(format!("    and {} (all: {all})\n", others.len() - NAMED));
        }
        text
    }

    /// What the simulated world has to say besides.
    fn world(&self, world: &World) -> String {
        let mut text = String::new();
        let mut block = |title: &str, lines: &[&str]| {
            if !lines.is_empty() {
                text += &format!("\n  {title}\n");
                lines.iter().for_each(|line| text += &format!("    {line}\n"));
            }
        };
        let schedule: Vec<&str> = world.schedule.iter().flat_map(|text| text.lines()).collect();
        block("The shortest plan that still fails:", &schedule);
        if world.deterministic == Some(false) {
            let mut told: Vec<&str> = world.differs.iter().flat_map(|text| text.lines()).collect();
            told.extend(self.suspects.iter().map(String::as_str));
            block(
                "WARNING: your code is not deterministic: a second run of this seed went another way.",
                &told,
            );
        }
        if self.in_full {
            let last: Vec<&str> = world.last.iter().map(String::as_str).collect();
            block("The last lines of the trace that matter:", &last);
        }
        if let Some(file) = &world.trace {
            text += &format!("\n  The whole trace: {}\n", file.display());
        }
        text
    }

    fn next_task(&self, report: &Report, stage: &StageReport, test: &TestReport) -> String {
        let (green, all) = (stage.count(Status::Pass), stage.tests.len());
        let head = if report.partial {
            format!("not written yet: {}", test.name)
        } else if stage.standing() == Standing::NotStarted {
            format!("stage {}: {green} of {all} tests pass: this is where you start.", stage.id)
        } else {
            format!("stage {}: {green} of {all} tests pass, and nothing is broken.", stage.id)
        };
        let mut text = self.paint.open(head) + "\n\n";
        let of_stage = self.course.stages.iter().find(|s| s.id == stage.id);
        let holes = of_stage.map(|s| s.holes.as_slice()).unwrap_or_default();
        let next = holes.iter().find(|h| self.holes.state(&h.id) == State::Unwritten);
        let tripped = || {
            let id = test.outcome.hole.as_deref()?;
            self.course.hole(id).ok().map(|(_, hole)| hole)
        };
        // The next task is the first unwritten hole in course order, whichever a test tripped over; but who
        // asked for one test wants to know what that one needs.
        let task = if report.partial { tripped().or(next) } else { next.or_else(tripped) };
        if let Some(hole) = task {
            let label = match (report.partial, green) {
                (true, _) => "needs",
                (false, 0) => "first",
                (false, _) => "next",
            };
            text += &self.row(label, &self.holes.describe(hole));
            let turns =
                of_stage.map_or(0, |s| s.tests.iter().filter(|t| t.after == hole.id).count());
            if turns > 0 {
                let turn = if turns == 1 { "turns" } else { "turn" };
                text += &self.row("then", &format!("{} {turn} green", count(turns, "test")));
            }
            text += &self.command("hint", &format!("cargo grade hint {}", hole.id));
        } else {
            text += &self.row("hole", test.outcome.hole.as_deref().unwrap_or("unknown"));
        }
        if !report.partial {
            text += &self.row("test", &test.name);
        }
        text += &self.row("rule", &test.rule);
        text += &self.row("read", &test.reading);
        text += &self.command("again", &format!("cargo grade {}", stage.id.to_lowercase()));
        // Nothing is wrong yet, so nobody asked for a hint: `cargo grade hint` begins with a question.
        text += &self.task(&test.name);
        text
    }

    /// The long form without its hint.
    fn task(&self, test: &str) -> String {
        let long = self.long_form(test);
        match long.split_once("\n  Hint:") {
            Some((task, _)) => format!("{}\n", task.trim_end()),
            None => long,
        }
    }

    /// The doc comment of a test, as it stands in the suite.
    pub fn long_form(&self, test: &str) -> String {
        let doc = self.docs.get(test).map(|d| d.trim()).unwrap_or_default();
        if doc.is_empty() {
            return String::new();
        }
        let mut text = String::from("\n");
        for line in doc.lines() {
            text += &if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
        }
        text
    }

    /// A row that is to be copied: never wrapped.
    pub fn command(&self, label: &str, command: &str) -> String {
        format!("  {}  {command}\n", self.paint.dim(format!("{label:<6}")))
    }

    /// `  label  text`, wrapped; nothing if there is no text.
    pub fn row(&self, label: &str, text: &str) -> String {
        if text.is_empty() {
            return String::new();
        }
        let mut out = String::new();
        for (at, line) in text.lines().flat_map(|line| wrap(line, WIDTH - 10)).enumerate() {
            let label = if at == 0 { label } else { "" };
            out += &format!("  {}  {line}\n", self.paint.dim(format!("{label:<6}")));
        }
        out
    }
}

fn when(test: &TestReport) -> String {
    let outcome = &test.outcome;
    let mut parts = vec![outcome.seed.unwrap_or(1).to_string()];
    if outcome.virtual_ms > 0 {
        parts.push(format!("virtual time {} ms", outcome.virtual_ms));
    }
    if outcome.inputs > 0 {
        let inputs = usize::try_from(outcome.inputs).unwrap_or(usize::MAX);
        parts.push(format!("after {}", count(inputs, "input")));
    }
    parts.join(", ")
}

/// Breaks a line at spaces. Words that are longer than the width stay whole: commands are copied.
pub fn wrap(line: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut used = 0;
    // Leading spaces belong to the text (aligned facts), so words are cut behind each space.
    for word in line.split_inclusive(' ') {
        let length = word.trim_end().chars().count();
        if used > 0 && used + length > width {
            lines.push(String::new());
            used = 0;
        }
        if let Some(last) = lines.last_mut() {
            last.push_str(word);
        }
        used += word.chars().count();
    }
    lines.iter().map(|l| l.trim_end().to_owned()).collect()
}
