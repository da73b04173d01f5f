//! What cargo reads: members of a workspace, and a lock file that fits fewer of them.
//!
//! A starter leaves some packages out. Cargo refuses a locked build when the lock file lists
//! packages that nobody needs, or names a dependency in a longer form than it has to (`syn 2.0.1`
//! where only one `syn` is left). So pruning is a walk from the members that stay, and a second pass
//! that gives every dependency the form cargo would give it.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result, bail};
use toml_edit::{Array, DocumentMut, Item};

/// The members of a workspace's manifest. Globs are not used here.
///
/// # Errors
/// The manifest is no TOML, or has no list of members.
pub fn members(manifest: &str) -> Result<Vec<String>> {
    let manifest: DocumentMut = manifest.parse().context("Cargo.toml cannot be read")?;
    let members = manifest.get("workspace").and_then(|w| w.get("members")).and_then(Item::as_array);
    let members = members.context("Cargo.toml has no list of workspace members")?;
    Ok(members.iter().filter_map(|m| m.as_str()).map(str::to_owned).collect())
}

/// The name of the package that a manifest describes.
pub fn package_name(manifest: &str) -> Option<String> {
    let manifest: DocumentMut = manifest.parse().ok()?;
    Some(manifest.get("package")?.get("name")?.as_str()?.to_owned())
}

/// The manifest of the workspace without the members that `leave_out` names.
///
/// # Errors
/// As [`members`].
pub fn without_members(manifest: &str, leave_out: impl Fn(&str) -> bool) -> Result<String> {
    let mut manifest: DocumentMut = manifest.parse().context("Cargo.toml cannot be read")?;
    let workspace = manifest.get_mut("workspace").context("Cargo.toml has no workspace")?;
    for list in ["members", "default-members"] {
        if let Some(list) = workspace.get_mut(list).and_then(Item::as_array_mut) {
            list.retain(|m| !m.as_str().is_some_and(&leave_out));
        }
    }
    Ok(manifest.to_string())
}

/// A manifest whose version carries a mark; unchanged if it has no version of its own.
///
/// # Errors
/// It is no TOML.
pub fn with_mark(manifest: &str, mark: &str) -> Result<String> {
    let mut manifest: DocumentMut = manifest.parse().context("Cargo.toml cannot be read")?;
    let workspace = |m: &mut DocumentMut| -> Option<String> {
        let version = m.get_mut("workspace")?.get_mut("package")?.get_mut("version")?;
        mark_version(version, mark)
    };
    let package = |m: &mut DocumentMut| -> Option<String> {
        mark_version(m.get_mut("package")?.get_mut("version")?, mark)
    };
    let _ = workspace(&mut manifest).or_else(|| package(&mut manifest));
    Ok(manifest.to_string())
}

fn mark_version(version: &mut Item, mark: &str) -> Option<String> {
    let marked = format!("{}+{mark}", version.as_str()?.split('+').next()?);
    *version = toml_edit::value(&marked);
    Some(marked)
}

/// A lock file without what only the dropped packages of the workspace needed.
///
/// # Errors
/// The lock file is no TOML, or names a dependency that it does not list.
pub fn prune_lock(lock: &str, dropped: &BTreeSet<String>) -> Result<String> {
    let mut lock: DocumentMut = lock.parse().context("Cargo.lock cannot be read")?;
    let packages = lock
        .get_mut("package")
        .and_then(Item::as_array_of_tables_mut)
        .context("Cargo.lock lists no packages")?;
    let ids: Vec<Id> = packages.iter().map(Id::of).collect();

    let mut queue: Vec<usize> = (0..ids.len())
        .filter(|&at| ids[at].source.is_none() && !dropped.contains(&ids[at].name))
        .collect();
    let mut kept: BTreeSet<usize> = queue.iter().copied().collect();
    while let Some(at) = queue.pop() {
        for dependency in packages.get(at).and_then(dependencies).into_iter().flatten() {
            let Some(next) = dependency.as_str().and_then(|text| resolve(&ids, text)) else {
                bail!("Cargo.lock does not list {dependency}");
            };
            if kept.insert(next) {
                queue.push(next);
            }
        }
    }

    for (at, package) in packages.iter_mut().enumerate() {
        let Some(list) = package.get_mut("dependencies").and_then(Item::as_array_mut) else {
            continue;
        };
        for dependency in list.iter_mut() {
            let Some(to) = dependency.as_str().and_then(|text| resolve(&ids, text)) else {
                continue;
            };
            if kept.contains(&at) {
                let decor = dependency.decor().clone();
                *dependency = shortest(&ids, &kept, to).into();
                *dependency.decor_mut() = decor;
            }
        }
    }
    let mut at = 0;
    packages.retain(|_| {
        at += 1;
        kept.contains(&(at - 1))
    });
    Ok(lock.to_string())
}

struct Id {
    name: String,
    version: String,
    source: Option<String>,
}

impl Id {
    fn of(package: &toml_edit::Table) -> Self {
        let field = |name| package.get(name).and_then(Item::as_str).map(str::to_owned);
        Id {
            name: field("name").unwrap_or_default(),
            version: field("version").unwrap_or_default(),
            source: field("source"),
        }
    }
}

fn dependencies(package: &toml_edit::Table) -> Option<&Array> {
    package.get("dependencies").and_then(Item::as_array)
}

/// `name`, `name version` or `name version (source)`.
fn resolve(ids: &[Id], text: &str) -> Option<usize> {
    let mut parts = text.split(' ');
    let name = parts.next()?;
    let (version, source) = (parts.next(), parts.next());
    ids.iter().position(|id| {
        id.name == name
            && version.is_none_or(|v| v == id.version)
            && source.is_none_or(|s| id.source.as_ref().is_some_and(|of| s == format!("({of})")))
    })
}

fn shortest(ids: &[Id], kept: &BTreeSet<usize>, at: usize) -> String {
    let mut versions: BTreeMap<&str, usize> = BTreeMap::new();
    for &other in kept {
        if ids[other].name == ids[at].name {
            *versions.entry(&ids[other].version).or_default() += 1;
        }
    }
    let Id { name, version, source } = &ids[at];
    match (versions.len(), versions.get(version.as_str()), source) {
        (0 | 1, Some(0 | 1) | None, _) => name.clone(),
        (_, Some(2..), Some(source)) => format!("{name} {version} ({source})"),
        _ => format!("{name} {version}"),
    }
}
