//! *What would users see?* A mistake of the zoo, in words, where the student wrote the function that it is in.

use anyhow::{Context, Result};

use super::{Exam, Question};
use crate::cut;
use crate::zoo;

pub(super) fn ask(exam: &Exam<'_>) -> Result<Question> {
    let mut fitting = Vec::new();
    for bug in zoo::load(exam.workspace)?.0 {
        for own in exam.own.iter().filter(|own| own.stage.id == bug.stage) {
            let Ok(text) = exam.workspace.read(&own.hole.file) else { continue };
            let there = bug.patch.lines_in(&own.hole.file, &text);
            let functions = cut::functions(&text).unwrap_or_default();
            let of = functions.iter().find(|f| f.path == own.function.path);
            if of.is_some_and(|f| there.iter().any(|line| (f.open..=f.close).contains(line))) {
                fitting.push((bug.clone(), own));
            }
        }
    }
    let at = exam.draw(3, fitting.len());
    let (bug, own) =
        fitting.get(at).context("no mistake of the zoo is in a function that is written here")?;
    let text = exam.copy.read(&own.file)?;
    let tests = own.stage.tests.iter().filter(|t| t.after == own.hole.id);
    let mut answer = vec![
        bug.users.clone(),
        format!("(Bug {} of the zoo.) The rules that stand behind this function:", bug.id),
    ];
    answer.extend(tests.take(4).map(|t| format!("- {}", t.rule)));
    Ok(Question {
        ask: format!(
            "Look at your {}. Suppose it were written so: \"{}\" Which line of yours prevents that today? Tell a story with three machines in which somebody would notice.",
            own.place(),
            bug.mistake
        ),
        show: own.lines(&text),
        answer,
    })
}
