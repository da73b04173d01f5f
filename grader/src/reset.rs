//! `cargo grade reset HOLE`: puts the cut body back, for who wants to begin again.
//!
//! What was handed out stands in `grader/base.json`; the function is found by its path, wherever the student has moved
//! it. Only bodies are put back: helpers, fields and imports stay, since other code may use them by now. The old text
//! is kept in `target/grade/reset`, a file each time; `cargo clean` takes it away.

use std::fs;

use anyhow::{Context, Result, bail};

use crate::base::{Base, CutBody};
use crate::course::Course;
use crate::cut;
use crate::tree::{self, Files};
use crate::workspace::Workspace;

/// Puts the cut bodies of a hole back. Returns what to say.
///
/// # Errors
/// No such hole, a function that cannot be found, a file that cannot be written. Then nothing has changed.
pub fn reset(workspace: &Workspace, course: &Course, id: &str) -> Result<String> {
    let (_, hole) = course.hole(id)?;
    let base = Base::read(workspace)?;
    let bodies = base.bodies(&hole.id);
    if bodies.is_empty() {
        bail!("{} was handed out solved, so there is nothing to put back", hole.id);
    }
    let (mut changed, mut kept) = (Files::new(), String::new());
    for cut_body in &bodies {
        let file = place(workspace, course, cut_body)?;
        let text = match changed.get(&file) {
            Some(content) => String::from_utf8_lossy(content).into_owned(),
            None => workspace.read(&file)?,
        };
        let Some((from, to)) = range(&text, cut_body) else {
            bail!("{file} holds no function `{}` any more", cut_body.path);
        };
        if text[from..to] == cut_body.body {
            continue;
        }
        kept += &format!("// {file}: {}\n{{{}}}\n\n", cut_body.path, &text[from..to]);
        let text = format!("{}{}{}", &text[..from], cut_body.body, &text[to..]);
        changed.insert(file, text.into());
    }
    if changed.is_empty() {
        return Ok(format!("{} is as it was handed out; nothing to do.\n", hole.id));
    }
    let backup = backup(workspace, &hole.id, &kept)?;
    tree::write(&workspace.root, &changed)?;
    let files: Vec<&str> = changed.keys().map(String::as_str).collect();
    Ok(format!(
        "{} is a hole again, in {}.\nWhat you had is kept in {backup} (until cargo clean). Helpers, fields and imports that you added are still there.\n",
        hole.id,
        files.join(", ")
    ))
}

/// The file that holds the function now.
fn place(workspace: &Workspace, course: &Course, of: &CutBody) -> Result<String> {
    let holds = |file: &str| workspace.read(file).is_ok_and(|text| range(&text, of).is_some());
    if holds(&of.file) {
        return Ok(of.file.clone());
    }
    let mut found = Vec::new();
    for folder in workspace.student_folders(course)?.values() {
        let sources = format!("{folder}/src");
        if of.file.starts_with(&format!("{sources}/")) {
            found = tree::rust_files(&workspace.root, &sources)?;
            found.retain(|file| holds(file));
        }
    }
    match &found[..] {
        [only] => Ok(only.clone()),
        [] => bail!(
            "the function `{}` is nowhere in its crate any more (or its file does not parse), so its body cannot be put back\nIt stood in {}; write its head again, and try again.",
            of.path,
            of.file
        ),
        several => bail!("`{}` is in several files: {}", of.path, several.join(", ")),
    }
}

/// The bytes of the body.
fn range(text: &str, of: &CutBody) -> Option<(usize, usize)> {
    let functions = cut::functions(text).ok()?;
    let same: Vec<_> = functions.iter().filter(|f| f.path == of.path).collect();
    let found = same.get(of.nth).or_else(|| same.last().filter(|_| same.len() == 1))?;
    Some((found.body, found.end))
}

fn backup(workspace: &Workspace, id: &str, text: &str) -> Result<String> {
    let folder = workspace.scratch().join("reset");
    fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let names = (1..).map(|number| folder.join(format!("{id}-{number}.rs")));
    let file = names.take(9999).find(|file| !file.exists()).context("too many backups")?;
    fs::write(&file, text).with_context(|| format!("cannot write {}", file.display()))?;
    Ok(file.strip_prefix(&workspace.root).unwrap_or(&file).display().to_string())
}
