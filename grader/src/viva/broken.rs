//! *Which rule breaks?* A condition in a hole that the student wrote is turned round, and the tests of its stage say what
//! comes of it.

use anyhow::{Result, bail};
use syn::spanned::Spanned;
use syn::visit::Visit;

use super::{Exam, Own, Question};
use crate::cargo_build;
use crate::grade::{Programs, runner, seeds, wanted};
use crate::run::{Job, Runner};
use crate::tree::{self, Files};
use crate::verdict::{Outcome, Status};

/// So many conditions are tried before the question is given up: some change nothing that a test can see.
const TRIES: usize = 6;

pub(super) fn ask(exam: &Exam<'_>) -> Result<Question> {
    let mut places: Vec<(&Own<'_>, Condition)> = Vec::new();
    for own in &exam.own {
        let text = exam.copy.read(&own.file)?;
        places.extend(conditions(&text, own).into_iter().map(|c| (own, c)));
    }
    if places.is_empty() {
        bail!("no hole that is written here has a condition");
    }
    for attempt in 0..TRIES.min(places.len()) as u64 {
        let (own, condition) = places.swap_remove(exam.draw(2 + (attempt << 8), places.len()));
        if let Some(outcome) = try_out(exam, own, &condition)? {
            return Ok(question(exam, own, &condition, &outcome));
        }
    }
    bail!(
        "{TRIES} conditions were turned round, and no test of their stages was red without hanging"
    );
}

/// A test that is red with a condition turned round.
struct Red {
    test: String,
    rule: String,
    outcome: Outcome,
}

/// An `if` whose condition is an expression (not a pattern).
#[derive(Debug, Clone)]
struct Condition {
    line: usize,
    text: String,
    bytes: std::ops::Range<usize>,
}

fn conditions(text: &str, own: &Own<'_>) -> Vec<Condition> {
    struct Finder<'a> {
        own: &'a Own<'a>,
        text: &'a str,
        found: Vec<Condition>,
    }
    impl<'ast> Visit<'ast> for Finder<'_> {
        fn visit_expr_if(&mut self, node: &'ast syn::ExprIf) {
            let span = node.cond.span();
            let line = span.start().line;
            let inside = self.own.function.open <= line && line <= self.own.function.close;
            let bytes = span.byte_range();
            let source = self.text.get(bytes.clone()).unwrap_or_default();
            let has_pattern = source.split_whitespace().any(|word| word == "let");
            if inside && !has_pattern && !source.is_empty() {
                self.found.push(Condition { line, text: source.to_owned(), bytes });
            }
            syn::visit::visit_expr_if(self, node);
        }
    }
    let Ok(file) = syn::parse_file(text) else { return Vec::new() };
    let mut finder = Finder { own, text, found: Vec::new() };
    finder.visit_file(&file);
    finder.found
}

/// The first red test of the stage with the condition turned round. None: nothing was red, or it does not build.
fn try_out(exam: &Exam<'_>, own: &Own<'_>, condition: &Condition) -> Result<Option<Red>> {
    let text = exam.copy.read(&own.file)?;
    let turned = format!(
        "{}!({}){}",
        &text[..condition.bytes.start],
        condition.text,
        &text[condition.bytes.end..]
    );
    let write = |text: &str| {
        tree::write(&exam.copy.root, &Files::from([(own.file.clone(), text.as_bytes().to_vec())]))
    };
    write(&turned)?;
    let red = first_red(exam, own);
    write(&text)?;
    red
}

fn first_red(exam: &Exam<'_>, own: &Own<'_>) -> Result<Option<Red>> {
    let stage = own.stage;
    let built = cargo_build::build(exam.copy, &wanted(&[stage], false), false, exam.progress)?;
    let folder = exam.copy.root.join(&exam.copy.student_folders(exam.course)?[&stage.package]);
    let Ok(programs) = Programs::of(stage, &folder, &built, false) else { return Ok(None) };
    exam.progress.phase("a condition turned round", stage.tests.len());
    let runner = Runner { stop_at_red: true, ..runner(exam.course, exam.options)? };
    let job = |test: &crate::course::Test| Job {
        brief: true,
        ..programs.job(&test.name, seeds(test, None))
    };
    let jobs: Vec<Job> = stage.tests.iter().map(job).collect();
    let outcomes = runner.run(&jobs, exam.progress);
    let red = stage.tests.iter().zip(outcomes).find(|(_, o)| o.status == Status::Fail);
    Ok(red.map(|(test, outcome)| Red { test: test.name.clone(), rule: test.rule.clone(), outcome }))
}

fn question(exam: &Exam<'_>, own: &Own<'_>, condition: &Condition, red: &Red) -> Question {
    let text = exam.copy.read(&own.file).unwrap_or_default();
    let Red { test, rule, outcome } = red;
    let mut answer = vec![
        format!("Rule: {rule}"),
        format!(
            "It was tried: {test} (seed {}) then says: {}",
            outcome.seed.unwrap_or(1),
            outcome.broke
        ),
    ];
    answer.extend(outcome.facts.iter().map(|fact| format!("- {fact}")));
    Question {
        ask: format!(
            "Line {} of your {} asks `{}`. What would go wrong, and who would notice first, if it asked the opposite?",
            condition.line,
            own.place(),
            condition.text.split_whitespace().collect::<Vec<_>>().join(" ")
        ),
        show: own.lines(&text),
        answer,
    }
}
