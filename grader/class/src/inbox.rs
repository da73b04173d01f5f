//! What stands in the folder of submissions: one folder or archive a student, known by its name and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// One student's work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// The name of the folder, or of the archive without its ending. Reports know a student by this alone.
    pub id: String,
    /// Where it is.
    pub path: PathBuf,
}

/// Endings that make a file an archive.
const ARCHIVES: &[&str] = &[".zip", ".tar.gz", ".tgz", ".tar"];

/// The submissions, by their names, and what was left alone.
///
/// # Errors
/// The folder cannot be listed, holds none, or holds two of one name.
pub fn list(folder: &Path) -> Result<(Vec<Submission>, Vec<String>)> {
    let (mut found, mut ignored) = (BTreeMap::<String, PathBuf>::new(), Vec::new());
    let entries = fs::read_dir(folder).with_context(|| {
        format!("the folder of submissions {} cannot be listed", folder.display())
    })?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot list {}", folder.display()))?.path();
        let Some(name) = path.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
            ignored.push(format!("{}: its name is no text", path.display()));
            continue;
        };
        if name.starts_with('.') {
            continue;
        }
        let Some(id) = id_of(&name, &path) else {
            ignored.push(format!("{name}: neither a folder nor a zip or tar file"));
            continue;
        };
        if id.is_empty() || id.chars().any(char::is_control) {
            ignored.push(format!("{name:?}: no name for a student"));
            continue;
        }
        if let Some(other) = found.insert(id.clone(), path.clone()) {
            bail!("two submissions are called {id}: {} and {}", other.display(), path.display());
        }
    }
    if found.is_empty() {
        bail!(
            "there is no submission in {}: each is a folder, or a zip or tar file, named after its student",
            folder.display()
        );
    }
    ignored.sort();
    Ok((found.into_iter().map(|(id, path)| Submission { id, path }).collect(), ignored))
}

/// The one submission at this path.
///
/// # Errors
/// It is neither a folder nor an archive.
pub fn single(path: &Path) -> Result<Submission> {
    let named =
        path.canonicalize().with_context(|| format!("{} cannot be opened", path.display()))?;
    let name = named.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let id = id_of(&name, &named).filter(|id| !id.is_empty());
    let id = id
        .with_context(|| format!("{} is neither a folder nor a zip or tar file", path.display()))?;
    Ok(Submission { id, path: named })
}

fn id_of(name: &str, path: &Path) -> Option<String> {
    // A link could lead anywhere, so it is looked at and not followed.
    let kind = fs::symlink_metadata(path).ok()?.file_type();
    if kind.is_dir() {
        return Some(name.to_owned());
    }
    let lower = name.to_lowercase();
    let ending = ARCHIVES.iter().find(|ending| lower.ends_with(*ending))?;
    kind.is_file().then(|| name[..name.len() - ending.len()].to_owned())
}
