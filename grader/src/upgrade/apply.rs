//! Carries a plan out: prepared beside the tree, with a journal, all or nothing.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::Plan;
use crate::tree;
use crate::workspace::Workspace;

/// What has to be done; there as long as it is not done.
const JOURNAL: &str = "journal.json";

#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    to: String,
    write: BTreeSet<String>,
    remove: BTreeSet<String>,
}

fn folder(workspace: &Workspace) -> PathBuf {
    workspace.scratch().join("upgrade")
}

/// Carries it out. Returns the folder that holds what was there before.
///
/// # Errors
/// A file that cannot be read or written. Then the workspace is as it was.
pub fn apply(workspace: &Workspace, plan: &Plan) -> Result<PathBuf> {
    prepare(workspace, plan)?;
    finish(workspace)?;
    Ok(folder(workspace).join("old"))
}

/// Writes the new files and copies of the old ones beside the tree, and the journal. Nothing in the tree changes.
///
/// # Errors
/// A file that cannot be read or written.
pub fn prepare(workspace: &Workspace, plan: &Plan) -> Result<()> {
    let folder = folder(workspace);
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot clear {}", folder.display()))?;
    }
    tree::write(&folder.join("new"), &plan.write)?;
    let touched = plan.write.keys().chain(&plan.remove);
    let mut old = tree::Files::new();
    for path in touched {
        if let Ok(content) = fs::read(workspace.root.join(path)) {
            old.insert(path.clone(), content);
        }
    }
    fs::create_dir_all(folder.join("old")).context("cannot keep the old files")?;
    tree::write(&folder.join("old"), &old)?;
    let journal = Journal {
        to: plan.to.clone(),
        write: plan.write.keys().cloned().collect(),
        remove: plan.remove.clone(),
    };
    let text = serde_json::to_vec_pretty(&journal)?;
    replace(&folder.join(JOURNAL), &text).context("cannot write the journal of the upgrade")
}

/// Goes on with an upgrade that was prepared. Returns the version that the workspace has now; `None` if there was
/// nothing to do.
///
/// # Errors
/// A file that cannot be written. Then all of it is taken back.
pub fn finish(workspace: &Workspace) -> Result<Option<String>> {
    let folder = folder(workspace);
    let Ok(text) = fs::read(folder.join(JOURNAL)) else { return Ok(None) };
    let journal: Journal =
        serde_json::from_slice(&text).context("the journal of an upgrade is damaged")?;
    let done = forward(workspace, &folder, &journal);
    if let Err(e) = done {
        back(workspace, &folder, &journal)
            .context("an upgrade failed, and taking it back failed too; the old files are in target/grade/upgrade/old")?;
        fs::remove_file(folder.join(JOURNAL)).context("cannot remove the journal")?;
        return Err(e.context("the upgrade failed, and the workspace is as it was"));
    }
    fs::remove_file(folder.join(JOURNAL)).context("cannot remove the journal")?;
    Ok(Some(journal.to))
}

fn forward(workspace: &Workspace, folder: &Path, journal: &Journal) -> Result<()> {
    // The grader last: as long as it is the old one, it compiles, and goes on with what was begun.
    let (graders, others): (Vec<_>, Vec<_>) =
        journal.write.iter().partition(|path| path.starts_with("grader/src/"));
    for path in others.into_iter().chain(graders) {
        let content = fs::read(folder.join("new").join(path))
            .with_context(|| format!("cannot read the new {path}"))?;
        replace(&workspace.root.join(path), &content)?;
    }
    for path in &journal.remove {
        let path = workspace.root.join(path);
        if path.exists() {
            fs::remove_file(&path).with_context(|| format!("cannot remove {}", path.display()))?;
        }
    }
    Ok(())
}

fn back(workspace: &Workspace, folder: &Path, journal: &Journal) -> Result<()> {
    for path in journal.write.iter().chain(&journal.remove) {
        let (now, before) = (workspace.root.join(path), folder.join("old").join(path));
        match fs::read(&before) {
            Ok(content) if fs::read(&now).ok().as_ref() != Some(&content) => {
                replace(&now, &content)?
            }
            Ok(_) => {}
            Err(_) if now.exists() => {
                fs::remove_file(&now).with_context(|| format!("cannot remove {}", now.display()))?
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// A file's new content, by one rename.
fn replace(path: &Path, content: &[u8]) -> Result<()> {
    let parent = path.parent().context("a file has a folder")?;
    fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".upgrade~");
    let beside = path.with_file_name(name);
    fs::write(&beside, content).with_context(|| format!("cannot write {}", path.display()))?;
    fs::rename(&beside, path).with_context(|| format!("cannot write {}", path.display()))
}
