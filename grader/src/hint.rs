//! `cargo grade hint HOLE`: the next hint each time, from a question to an outline.
//!
//! Who asks once gets a question, which is often enough. How many were shown is kept in
//! `target/grade/hints.json`; losing it costs nothing.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::course::Course;
use crate::holes::Holes;
use crate::report::explain::wrap;
use crate::report::paint::Paint;
use crate::workspace::Workspace;

/// The names of the tiers.
const TIERS: [&str; 3] = ["a question", "where to look", "an outline"];

/// The text of the next hint for a hole; for the next unwritten one if none is named.
///
/// # Errors
/// No such hole, or nothing left to write.
pub fn next(
    workspace: &Workspace,
    course: &Course,
    holes: &Holes,
    id: Option<&str>,
    paint: Paint,
) -> Result<String> {
    let (stage, hole) = match id {
        Some(id) => course.hole(id)?,
        None => holes
            .next(course)
            .context("every hole is written; say which one you mean: cargo grade hint HOLE")?,
    };
    if hole.hints.is_empty() {
        bail!("there is no hint for {} yet; read docs/src/{}", hole.id, stage.chapter);
    }
    let file = workspace.scratch().join("hints.json");
    let mut shown: BTreeMap<String, usize> = fs::read(&file)
        .ok()
        .and_then(|bytes| serde_json::from_slice(&bytes).ok())
        .unwrap_or_default();
    let count = shown.entry(hole.id.clone()).or_default();
    *count = (*count + 1).min(hole.hints.len());
    let now = *count;

    let mut text = paint.strong(holes.describe(hole)) + "\n";
    for (at, hint) in hole.hints.iter().take(now).enumerate() {
        let tier = TIERS.get(at).copied().unwrap_or("more");
        text += &format!("\n  hint {} of {}, {tier}:\n", at + 1, hole.hints.len());
        for line in hint.trim().lines().flat_map(|line| wrap(line, 90)) {
            text += &format!("    {line}\n");
        }
    }
    text += &if now < hole.hints.len() {
        format!("\n  One more: cargo grade hint {}\n", hole.id)
    } else {
        format!("\n  That was the last hint; the chapter is docs/src/{}\n", stage.chapter)
    };

    if let (Some(folder), Ok(json)) = (file.parent(), serde_json::to_vec(&shown)) {
        // A hint that cannot be counted is still a hint.
        let _ = fs::create_dir_all(folder).and_then(|()| fs::write(&file, json));
    }
    Ok(text)
}
