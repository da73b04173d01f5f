//! Folders and files on disk: laying out sources, copying a warm target folder, cleaning up.
//!
//! Cargo decides by modification times what to build again. Here the same path holds one student's sources after
//! another's, over the same compiled dependencies, so the times are set by rule: a file that is the base's, byte for
//! byte, is old; any other is new. A folder is old if it has the base's names; build scripts that ask for one look at that.
//! What was compiled from the base is then used again exactly where it is right to.

use std::collections::BTreeSet;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::chown;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use grader::tree::{self, Files};

/// Older than anything that was compiled.
const OLD: Duration = Duration::from_secs(1_000_000_000);

/// Makes `folder` hold exactly these files; what `base` has too, byte for byte, gets an old time.
///
/// # Errors
/// A file that cannot be written.
pub fn lay(folder: &Path, files: &Files, base: &Files) -> Result<()> {
    tree::sync(folder, files)?;
    let (old, new) = (SystemTime::UNIX_EPOCH + OLD, SystemTime::now());
    let set = |path: &str, is_old: bool| {
        let (at, time) = (folder.join(path), if is_old { old } else { new });
        File::open(&at)
            .and_then(|file| file.set_times(FileTimes::new().set_modified(time)))
            .with_context(|| format!("the time of {} cannot be set", at.display()))
    };
    for (path, content) in files {
        set(path, base.get(path) == Some(content))?;
    }
    let came = files.keys().filter(|path| !base.contains_key(*path));
    let went = base.keys().filter(|path| !files.contains_key(*path));
    let changed: BTreeSet<&str> = came.chain(went).flat_map(|path| folders_of(path)).collect();
    let all: BTreeSet<&str> = files.keys().flat_map(|path| folders_of(path)).collect();
    all.into_iter().try_for_each(|path| set(path, !changed.contains(path)))
}

/// The folders that a file lies in, all the way up.
fn folders_of(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}

/// Copies a folder with its times, without what `skip` names (by the path within), and gives it to `owner`.
///
/// # Errors
/// A file that cannot be read or written.
pub fn copy(from: &Path, to: &Path, owner: Option<u32>, skip: &dyn Fn(&str) -> bool) -> Result<()> {
    copy_below(from, to, "", owner, skip)
        .with_context(|| format!("{} cannot be copied to {}", from.display(), to.display()))
}

fn copy_below(
    from: &Path,
    to: &Path,
    at: &str,
    owner: Option<u32>,
    skip: &dyn Fn(&str) -> bool,
) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    chown(to, owner, owner)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let path = format!("{at}{}", name.to_string_lossy());
        let kind = entry.file_type()?;
        if skip(&path) || !(kind.is_dir() || kind.is_file()) {
            continue;
        }
        let target = to.join(&name);
        if kind.is_dir() {
            copy_below(&entry.path(), &target, &format!("{path}/"), owner, skip)?;
            continue;
        }
        fs::copy(entry.path(), &target)?;
        let time = entry.metadata()?.modified()?;
        // Last, since a file that is ours no more could not be changed by everybody.
        File::open(&target)?.set_times(FileTimes::new().set_modified(time))?;
        chown(&target, owner, owner)?;
    }
    Ok(())
}

/// Removes a folder and all that is in it; it may be gone already.
///
/// # Errors
/// It cannot be removed.
pub fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
            Err(e).with_context(|| format!("{} cannot be removed", folder.display()))
        }
        _ => Ok(()),
    }
}

/// Ends every process of a user who exists for submissions alone, until none is left, and removes what the user left in
/// folders that everybody may write. For rooms without process numbers and disks of their own.
pub fn sweep_user(uid: u32) {
    use rustix::process::{Pid, Signal, kill_process};
    use std::os::unix::fs::MetadataExt;
    let is_theirs = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.uid() == uid);
    let listed = |folder: &str| {
        fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path())
    };
    // A process may start another while it is being ended; each round leaves fewer.
    for _ in 0..100 {
        let mut found = false;
        for process in listed("/proc").filter(|path| is_theirs(path)) {
            let number = process.file_name().and_then(|name| name.to_str()?.parse().ok());
            if let Some(pid) = number.and_then(Pid::from_raw) {
                found |= kill_process(pid, Signal::KILL).is_ok();
            }
        }
        if !found {
            break;
        }
    }
    for path in ["/tmp", "/var/tmp", "/dev/shm"].iter().flat_map(|folder| listed(folder)) {
        if is_theirs(&path) {
            let _ = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        }
    }
}
