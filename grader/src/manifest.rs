//! What cargo reads: the members of a workspace, and the names and versions of packages.

use anyhow::{Context, Result};
use toml_edit::{DocumentMut, Item};

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

/// What a package needs, tests and build scripts included: the names in its tables of dependencies.
pub fn needs(manifest: &str) -> Vec<String> {
    let manifest: DocumentMut = manifest.parse().unwrap_or_default();
    let tables = ["dependencies", "dev-dependencies", "build-dependencies"];
    let tables = tables.iter().filter_map(|table| manifest.get(table)?.as_table_like());
    tables.flat_map(|table| table.iter().map(|(name, _)| name.to_owned())).collect()
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

/// The manifest of the workspace without what its development profile says of these packages: cargo warns of those
/// that it does not find.
///
/// # Errors
/// It is no TOML.
pub fn without_profiles(manifest: &str, packages: &[String]) -> Result<String> {
    let mut manifest: DocumentMut = manifest.parse().context("Cargo.toml cannot be read")?;
    let profiles = manifest
        .get_mut("profile")
        .and_then(|profile| profile.get_mut("dev"))
        .and_then(|dev| dev.get_mut("package"))
        .and_then(Item::as_table_like_mut);
    if let Some(profiles) = profiles {
        for package in packages {
            profiles.remove(package);
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
