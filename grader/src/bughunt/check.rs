//! Whether the bug is gone, and whether its hunter knows what it was.

use anyhow::{Result, bail};

use super::Sealed;
use crate::course::Course;
use crate::grade::{self, Options};
use crate::list::count;
use crate::report::explain::wrap;
use crate::report::progress::Progress;
use crate::verdict::Status;
use crate::workspace::Workspace;

/// How a hunt stands.
#[derive(Debug)]
pub struct Checked {
    /// What to say.
    pub text: String,
    /// Found, mended and named.
    pub done: bool,
}

/// Runs the stage of the hunt, and compares the rule that was named (by a test that checks it).
///
/// # Errors
/// This is no workspace of a hunt, the test is unknown, or cargo cannot build at all.
pub fn check(
    workspace: &Workspace,
    course: &Course,
    rule: Option<&str>,
    progress: Progress,
) -> Result<Checked> {
    let (sealed, answer) = Sealed::read(workspace)?;
    let named = rule.map(|rule| course.test(rule)).transpose()?.map(|(_, test)| test);
    let options =
        Options { stages: vec![sealed.stage.clone()], no_fail_fast: true, ..Options::default() };
    let graded = grade::grade(workspace, course, &options, &progress)?;
    drop(progress);
    let Some(stage) = graded.report.stages.first() else { bail!("stage {} is gone", sealed.stage) };
    let lower = sealed.stage.to_lowercase();
    if stage.build_error.is_some() {
        let text = format!("It does not compile right now; `cargo grade {lower}` has the error.\n");
        return Ok(Checked { text, done: false });
    }
    let green = stage.count(Status::Pass);
    if green < stage.tests.len() {
        let red = count(stage.tests.len() - green, "test");
        let text = format!(
            "The bug is still there: {red} of stage {} not green. `cargo grade {lower}` tells the first.\n",
            sealed.stage
        );
        return Ok(Checked { text, done: false });
    }
    let Some(test) = named else {
        let text = "All green: it is mended. Which rule did it break? Name a test that checks it:\n  cargo grade bughunt check --rule TEST\n".to_owned();
        return Ok(Checked { text, done: false });
    };
    if !answer.red.contains(&test.name) {
        let text = format!(
            "Mended, but that is not the rule: {} was green with the bug, too.\n  its rule: {}\n",
            test.name, test.rule
        );
        return Ok(Checked { text, done: false });
    }
    let mut text = format!("Found, mended, and named: {}\n\n", test.rule);
    for (label, what) in [("it was", &answer.mistake), ("effect", &answer.users)] {
        for (at, line) in wrap(what, 86).iter().enumerate() {
            text += &format!("  {:<6}  {line}\n", if at == 0 { label } else { "" });
        }
    }
    text += &format!("  in      {}\n", answer.files.join(", "));
    text += &format!(
        "  red     {} of stage {} with it\n",
        count(answer.red.len(), "test"),
        sealed.stage
    );
    Ok(Checked { text, done: true })
}
