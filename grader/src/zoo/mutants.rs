//! Mutants: changes that a tool makes without thinking, such as an operator turned round or an answer replaced by a default.
//!
//! [cargo-mutants](https://mutants.rs) lists them, with a diff each. Those that touch the body of a hole become bugs of
//! that hole's stage, and are hunted like the zoo's. The zoo holds mistakes that people make; mutants ask something else:
//! whether there is a line in what students write that no test needs.
//!
//! What nobody catches is a test that is missing, or a mutant that does what the original does. [`REASONS`] says of
//! the latter why.

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{Bug, Fate, Finding, Patch};
use crate::course::{Course, Stage};
use crate::list::count;
use crate::markers;
use crate::tree::Files;
use crate::workspace::Workspace;

/// Where the survivors' reasons are, from the root.
pub const REASONS: &str = "grader/zoo/survivors.toml";

/// A line of `cargo mutants --list --json --diff`.
#[derive(Debug, Deserialize)]
struct Listed {
    /// `src/lib.rs:7:5: replace + with - in f`.
    name: String,
    file: String,
    span: Span,
    diff: String,
}

#[derive(Debug, Deserialize)]
struct Span {
    start: Position,
}

#[derive(Debug, Deserialize)]
struct Position {
    line: usize,
}

/// Why a mutant may live.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reason {
    file: String,
    /// As the tool names it: `replace + with - in f`.
    change: String,
    /// The line that it changes, without its indent; only where the change alone names several.
    code: Option<String>,
    /// Why no test can tell, or need not.
    why: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Reasons {
    #[serde(default)]
    survivor: Vec<Reason>,
}

impl Reasons {
    fn load(workspace: &Workspace) -> Result<Self> {
        match workspace.root.join(REASONS).is_file() {
            true => toml_edit::de::from_str(&workspace.read(REASONS)?).context(REASONS),
            false => Ok(Reasons::default()),
        }
    }

    fn why(&self, bug: &Bug) -> Option<&str> {
        let fits = |r: &&Reason| {
            (&r.file, &r.change) == (&bug.file, &bug.mistake)
                && r.code.as_ref().is_none_or(|code| *code == bug.users)
        };
        self.survivor.iter().find(fits).map(|r| r.why.as_str())
    }
}

/// The mutants of holes in a list that cargo-mutants wrote, in the order of stages. How many others there were, too.
///
/// # Errors
/// It is no such list, or of other sources than these.
pub fn read(json: &str, files: &Files, course: &Course) -> Result<(Vec<Bug>, usize)> {
    let listed: Vec<Listed> = serde_json::from_str(json)
        .context("this is not what `cargo mutants --list --json --diff` prints")?;
    let total = listed.len();
    let mut found: Vec<(usize, Bug)> = Vec::new();
    let mut numbers: BTreeMap<String, usize> = BTreeMap::new();
    for mutant in listed {
        let Some(text) = files.get(&mutant.file).and_then(|c| std::str::from_utf8(c).ok()) else {
            continue;
        };
        let blocks = markers::blocks(text).unwrap_or_default();
        let line = mutant.span.start.line;
        // What replaces a whole body spans more than the hole; its first change lies in it all the same.
        let of_body = |block: &markers::Block| {
            let first = changed_line(&mutant.diff, line);
            block.begin <= first && first <= block.end
        };
        let Some(block) = blocks.iter().find(|block| of_body(block)) else { continue };
        let Ok((stage, _)) = course.hole(&block.id) else { continue };
        let at = course.stages.iter().position(|s| s.id == stage.id).unwrap_or(0);
        let number = numbers.entry(stage.id.clone()).or_default();
        *number += 1;
        let code = text.lines().nth(line.saturating_sub(1)).unwrap_or_default().trim();
        let change = mutant.name.splitn(4, ':').last().unwrap_or(&mutant.name).trim();
        // The diff's header has the change where the new file's name belongs.
        let (file, hunks) = (&mutant.file, mutant.diff.find("@@ ").unwrap_or(0));
        let diff = format!("--- a/{file}\n+++ b/{file}\n{}", &mutant.diff[hunks..]);
        let patch = Patch::parse(&diff, 1)
            .map_err(|e| anyhow::anyhow!("the diff of {}: {e}", mutant.name))?;
        found.push((
            at,
            Bug {
                id: format!("{}-m{number}", stage.id),
                stage: stage.id.clone(),
                is_mutant: true,
                mistake: change.to_owned(),
                users: code.to_owned(),
                source: block.id.clone(),
                file: mutant.file,
                patch,
            },
        ));
    }
    if found.is_empty() {
        bail!("none of {} touches the body of a hole", count(total, "mutant"));
    }
    found.sort_by_key(|(at, _)| *at);
    let rest = total - found.len();
    Ok((found.into_iter().map(|(_, bug)| bug).collect(), rest))
}

/// The first line that a diff changes; `otherwise` if it changes none.
fn changed_line(diff: &str, otherwise: usize) -> usize {
    let mut line = 0;
    for text in diff.lines() {
        if let Some(place) = text.strip_prefix("@@ -") {
            let digits: String = place.chars().take_while(char::is_ascii_digit).collect();
            line = digits.parse().unwrap_or(otherwise);
        } else if line > 0 {
            match text.as_bytes().first() {
                Some(b'-' | b'+') => return line,
                _ => line += 1,
            }
        }
    }
    otherwise
}

/// How many mutants survive without a reason.
///
/// # Errors
/// The file of reasons cannot be read.
pub fn open(workspace: &Workspace, findings: &[Finding], bugs: &[&Bug]) -> Result<usize> {
    let reasons = Reasons::load(workspace)?;
    Ok(survivors(findings, bugs).filter(|bug| reasons.why(bug).is_none()).count())
}

/// Those that no test is red with, though all came to their end.
fn survivors<'a>(findings: &'a [Finding], bugs: &'a [&'a Bug]) -> impl Iterator<Item = &'a Bug> {
    let survives = |f: &Finding| matches!(f.fate, Fate::Survived { undecided: 0, .. });
    findings.iter().zip(bugs).filter(move |(f, _)| survives(f)).map(|(_, bug)| *bug)
}

/// The page of the book: how many mutants each stage has and what became of them, and every survivor with its reason.
///
/// # Errors
/// The file of reasons cannot be read.
pub fn page(
    workspace: &Workspace,
    findings: &[Finding],
    bugs: &[&Bug],
    course: &Course,
) -> Result<String> {
    let reasons = Reasons::load(workspace)?;
    let mut table = String::new();
    let mut sum = Fates::default();
    for stage in &course.stages {
        let of_stage = findings.iter().filter(|f| f.stage == stage.id);
        let own = |test: &str| course.test(test).is_ok_and(|(by, _)| !is_later(course, by, stage));
        let fates = of_stage.fold(Fates::default(), |fates, f| fates.and(&f.fate, own));
        if fates.all() > 0 {
            table += &format!("| {} {}", stage.id, fates.row());
            sum = sum.plus(&fates);
        }
    }
    let mut list = String::new();
    for bug in survivors(findings, bugs) {
        // The line itself would give a solution away: the book is in the starter, too.
        let change = bug.mistake.replace('|', "\\|");
        let why = reasons.why(bug).unwrap_or("**no reason is known**");
        list += &format!("| {} | `{change}` | {why} |\n", bug.source);
    }
    Ok(format!(
        "# Mutants\n\nThe zoo holds mistakes that people make. This page asks something else: is there a line in what students write that no\n\
         test needs? [cargo-mutants](https://mutants.rs) changes one thing at a time in the bodies of holes, without\n\
         thinking: an operator, an arm of a `match`, a whole answer. These are all of the stages below, of course {}, and what the tests of the\n\
         hole's own stage, and earlier ones of its package, say on the public seeds; or those of a later one, where a hole has a\n\
         line that belongs there. *Hangs* means that a test never came to its end, which scores nothing, too. Made by\n\
         `cargo grade zoo --mutants`; [the bug zoo](zoo.md#mutants) says how.\n\n\
         | stage | mutants | a test is red | one of a later stage | hangs | does not compile | survives |\n|---|---|---|---|---|---|---|\n{table}| **all** {}\n\
         ## What survives, and why\n\n| hole | the change | why no test is red |\n|---|---|---|\n{list}",
        course.version,
        sum.row(),
    ))
}

/// Whether stage `a` comes behind `b`.
fn is_later(course: &Course, a: &Stage, b: &Stage) -> bool {
    let place = |of: &Stage| course.stages.iter().position(|s| s.id == of.id);
    place(a) > place(b)
}

/// How many mutants ended how.
#[derive(Debug, Default, Clone, Copy)]
struct Fates {
    caught: usize,
    later: usize,
    hang: usize,
    broken: usize,
    survive: usize,
}

impl Fates {
    fn and(mut self, fate: &Fate, own: impl Fn(&str) -> bool) -> Self {
        match fate {
            Fate::Caught { test, .. } if own(test) => self.caught += 1,
            Fate::Caught { .. } => self.later += 1,
            Fate::Survived { undecided: 0, .. } => self.survive += 1,
            Fate::Survived { .. } => self.hang += 1,
            Fate::DoesNotCompile { .. } => self.broken += 1,
            Fate::DoesNotApply { .. } | Fate::ReferenceIsRed { .. } | Fate::Waits => {}
        }
        self
    }

    fn plus(self, other: &Self) -> Self {
        Fates {
            caught: self.caught + other.caught,
            later: self.later + other.later,
            hang: self.hang + other.hang,
            broken: self.broken + other.broken,
            survive: self.survive + other.survive,
        }
    }

    fn all(&self) -> usize {
        self.caught + self.later + self.hang + self.broken + self.survive
    }

    fn row(&self) -> String {
        let Fates { caught, later, hang, broken, survive } = self;
        format!("| {} | {caught} | {later} | {hang} | {broken} | {survive} |\n", self.all())
    }
}
