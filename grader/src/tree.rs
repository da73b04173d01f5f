//! Lists and copies files: always in the same order, only what belongs to the course.
//!
//! Paths are relative to the root and use slashes on every system, since they stand in
//! `course.toml`, in messages and in golden files.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::manifest;

/// What a workspace of this course has at its top, beside its packages and its licences. Anything else
/// there belongs to somebody's editor.
const TOP: &[&str] = &[
    ".cargo",
    ".editorconfig",
    ".gitattributes",
    ".gitignore",
    "AGENTS.md",
    "CHANGELOG.md",
    "Cargo.lock",
    "Cargo.toml",
    "README.md",
    "clippy.toml",
    "docs",
    "grader",
    "rust-toolchain.toml",
    "rustfmt.toml",
];

/// What an author has and a student does not need, or must not have.
const AUTHORS_ONLY: &[&str] =
    &["docs/book", "grader/class", "grader/interop", "grader/oracle", "grader/tests", "grader/zoo"];

/// A tree of files in memory: path to content.
pub type Files = BTreeMap<String, Vec<u8>>;

/// Whether a path (or what lies below it) is left out of starters and scratch copies.
pub fn authors_only(path: &str) -> bool {
    AUTHORS_ONLY.iter().any(|out| path == *out || path.starts_with(&format!("{out}/")))
}

/// Reads the files of a workspace that a student gets.
///
/// # Errors
/// A file that cannot be read.
pub fn read_course(root: &Path) -> Result<Files> {
    let manifest = fs::read_to_string(root.join("Cargo.toml")).context("cannot read Cargo.toml")?;
    let members = manifest::members(&manifest)?;
    let mut files = Files::new();
    walk(root, "", &mut |path| {
        let top = top_of(path);
        let ours = TOP.contains(&top)
            || top.starts_with("LICENSE")
            || members.iter().any(|member| top_of(member) == top);
        let hidden = path.rsplit('/').next().is_some_and(|name| name.starts_with('.'));
        let wanted = ours
            && !authors_only(path)
            && (!hidden || TOP.contains(&path))
            && path.rsplit('/').next() != Some("target");
        if wanted && root.join(path).is_file() {
            files.insert(path.to_owned(), Vec::new());
        }
        wanted
    })?;
    for (path, content) in &mut files {
        *content = fs::read(root.join(path)).with_context(|| format!("cannot read {path}"))?;
    }
    Ok(files)
}

/// Whether a path is a Rust source below `folder` (which ends with a slash).
pub fn is_source(path: &str, folder: &str) -> bool {
    path.starts_with(folder) && Path::new(path).extension().is_some_and(|e| e == "rs")
}

/// The first part of a path.
pub fn top_of(path: &str) -> &str {
    path.split('/').next().unwrap_or(path)
}

/// The Rust files below a folder, sorted; none if the folder does not exist.
///
/// # Errors
/// A folder that cannot be listed.
pub fn rust_files(root: &Path, folder: &str) -> Result<Vec<String>> {
    let mut files = Vec::new();
    if root.join(folder).is_dir() {
        walk(root, folder, &mut |path| {
            if Path::new(path).extension().is_some_and(|e| e == "rs") && root.join(path).is_file() {
                files.push(path.to_owned());
            }
            true
        })?;
    }
    Ok(files)
}

/// Calls `visit` for everything below `folder`, sorted; goes down where it says true. Links are not
/// followed: they are no part of the course, and may lead anywhere.
fn walk(root: &Path, folder: &str, visit: &mut dyn FnMut(&str) -> bool) -> Result<()> {
    let here = root.join(folder);
    let listed = fs::read_dir(&here).with_context(|| format!("cannot list {}", here.display()))?;
    let mut entries = Vec::new();
    for entry in listed {
        let entry = entry.with_context(|| format!("cannot list {}", here.display()))?;
        let kind = entry.file_type().with_context(|| format!("cannot list {}", here.display()))?;
        // A name that is no text cannot stand in a manifest either.
        if let (Ok(name), false) = (entry.file_name().into_string(), kind.is_symlink()) {
            entries.push((name, kind.is_dir()));
        }
    }
    entries.sort();
    for (name, is_folder) in entries {
        let path = if folder.is_empty() { name } else { format!("{folder}/{name}") };
        if visit(&path) && is_folder {
            walk(root, &path, visit)?;
        }
    }
    Ok(())
}

/// Makes a folder hold exactly these files. A file that has the right content already is not touched,
/// so that cargo rebuilds only what changed; files that do not belong are removed, but for `target`. A link that stands in the
/// way is replaced: what it leads to may be anybody's.
///
/// # Errors
/// A file that cannot be written or removed.
pub fn sync(folder: &Path, files: &Files) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    let mut surplus = Vec::new();
    walk(folder, "", &mut |path| {
        let is_folder = folder.join(path).is_dir();
        if !is_folder && !files.contains_key(path) {
            surplus.push(path.to_owned());
        }
        path != "target"
    })?;
    for path in surplus {
        fs::remove_file(folder.join(&path)).with_context(|| format!("cannot remove {path}"))?;
    }
    for path in files.keys() {
        remove_links(folder, path)?;
    }
    write(folder, files)
}

/// Writes files below a folder; those with the right content are left alone.
///
/// # Errors
/// A file that cannot be written.
pub fn write(folder: &Path, files: &Files) -> Result<()> {
    for (path, content) in files {
        let to = folder.join(path);
        if fs::read(&to).is_ok_and(|old| old == *content) {
            continue;
        }
        let parent = to.parent().unwrap_or(folder);
        fs::create_dir_all(parent).with_context(|| format!("cannot make {}", parent.display()))?;
        fs::write(&to, content).with_context(|| format!("cannot write {}", to.display()))?;
    }
    Ok(())
}

fn remove_links(folder: &Path, path: &str) -> Result<()> {
    let mut here = folder.to_owned();
    for name in path.split('/') {
        here.push(name);
        if here.is_symlink() {
            return fs::remove_file(&here)
                .with_context(|| format!("cannot remove {}", here.display()));
        }
    }
    Ok(())
}

/// The text of a file in a tree.
///
/// # Errors
/// It is not there, or no text.
pub fn text<'a>(files: &'a Files, path: &str) -> Result<&'a str> {
    let Some(content) = files.get(path) else { bail!("there is no {path}") };
    std::str::from_utf8(content).with_context(|| format!("{path} is no text"))
}

/// A number that is another one for other files, in all likelihood.
pub fn fingerprint(files: &Files) -> u64 {
    let mut hasher = DefaultHasher::new();
    files.hash(&mut hasher);
    hasher.finish()
}
