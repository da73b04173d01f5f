//! Takes the sources out of a submission, into memory and no further.
//!
//! What a submission is allowed to bring is little: Rust files below the `src` folders of the student crates. So an
//! archive is never unpacked to disk; it is read entry by entry, and only entries that count are kept. Nothing here
//! trusts a size, a name or a kind that an archive claims:
//!
//! - an absolute name, or one with `..` in it, is an attempt to get out: the whole submission is refused;
//! - a link, a pipe or a device where a source file should be is refused, and never opened;
//! - bytes are counted as they come out, so that a small file that unpacks to ten gigabytes is dropped after 256 MiB;
//! - the number of entries, the size of one file and the sum of all files have limits of their own.
//!
//! A refusal is one sentence for the student, and the class goes on.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use flate2::read::GzDecoder;
use grader::submission::LARGEST;
use grader::tree::Files;

/// Entries of an archive, or files of a folder.
const ENTRIES: usize = 50_000;
/// Bytes that an archive may unpack to, whatever they are.
const UNPACKED: u64 = 256 << 20;
/// Bytes of all sources together.
const SOURCES: usize = 16 << 20;

/// The sources of a submission, by their paths in the course; `folders` are the source folders of the student crates.
///
/// # Errors
/// Why it is refused, in a sentence.
pub fn read(path: &Path, folders: &[String]) -> Result<Files, String> {
    let mut taken =
        Taken { folders, files: Files::new(), tops: BTreeSet::new(), bytes: 0, entries: 0 };
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let open = || File::open(path).map_err(|e| format!("it cannot be opened: {e}"));
    if path.is_dir() {
        walk(path, "", 0, &mut taken)?;
    } else if name.ends_with(".zip") {
        from_zip(open()?, &mut taken)?;
    } else if name.ends_with(".tar") {
        from_tar(open()?, &mut taken)?;
    } else {
        from_tar(GzDecoder::new(open()?), &mut taken)?;
    }
    taken.finish()
}

struct Taken<'a> {
    folders: &'a [String],
    files: Files,
    /// What stands before the course's own paths, such as `starter/`.
    tops: BTreeSet<String>,
    bytes: usize,
    entries: usize,
}

impl Taken<'_> {
    fn count(&mut self) -> Result<(), String> {
        self.entries += 1;
        if self.entries > ENTRIES {
            return Err(format!(
                "it has more than {ENTRIES} files; hand in the sources, without `target`"
            ));
        }
        Ok(())
    }

    /// Where an entry belongs in the course, and what stands before; `None` if it is of no interest.
    fn place(&self, name: &str) -> Result<Option<(String, String)>, String> {
        let name = name.replace('\\', "/");
        let leaves = name.starts_with('/') || name.split('/').any(|part| part == "..");
        if leaves || name.as_bytes().get(1) == Some(&b':') {
            return Err(format!("the name {name:?} leads out of the submission"));
        }
        let name = name.trim_start_matches("./");
        let noise = name.starts_with("__MACOSX/")
            || name.rsplit('/').next().is_some_and(|n| n.starts_with("._"));
        if noise {
            return Ok(None);
        }
        let found = self.folders.iter().find_map(|folder| {
            let at = name.find(&format!("{folder}/"))?;
            (at == 0 || name.as_bytes()[at - 1] == b'/').then(|| name.split_at(at))
        });
        let source =
            found.filter(|(_, path)| Path::new(path).extension().is_some_and(|e| e == "rs"));
        Ok(source.map(|(top, path)| (top.to_owned(), path.to_owned())))
    }

    fn take(&mut self, (top, path): (String, String), content: impl Read) -> Result<(), String> {
        let mut bytes = Vec::new();
        let read = content.take(LARGEST + 1).read_to_end(&mut bytes);
        read.map_err(|e| format!("{path} cannot be read: {e}"))?;
        if bytes.len() as u64 > LARGEST {
            return Err(format!(
                "{path} has more than {LARGEST} bytes; nobody writes such a source file"
            ));
        }
        self.bytes += bytes.len();
        if self.bytes > SOURCES {
            return Err(format!("its sources have more than {SOURCES} bytes together"));
        }
        self.tops.insert(top);
        self.files.insert(path, bytes);
        Ok(())
    }

    fn finish(self) -> Result<Files, String> {
        match self.tops.len() {
            0 => Err(format!(
                "it has no source of any project crate; it should hold {} and its brothers",
                self.folders.first().map_or("src", String::as_str)
            )),
            1 => Ok(self.files),
            _ => {
                let tops: Vec<String> = self.tops.iter().map(|top| format!("{top:?}")).collect();
                Err(format!("it holds more than one copy of the course: below {}", tops.join(", ")))
            }
        }
    }
}

fn link(name: &str) -> String {
    format!("{name} is a link or no plain file; a submission consists of files")
}

/// Looks three folders deep for the course: `alice/starter/project1-...`.
const DEPTH: usize = 3;

fn walk(folder: &Path, at: &str, depth: usize, taken: &mut Taken<'_>) -> Result<(), String> {
    let unreadable = |e: io::Error| format!("{at:?} cannot be listed: {e}");
    let mut entries: Vec<_> =
        fs::read_dir(folder).map_err(unreadable)?.collect::<Result<_, _>>().map_err(unreadable)?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let Ok(name) = entry.file_name().into_string() else { continue };
        let kind = entry.file_type().map_err(unreadable)?;
        let path = format!("{at}{name}");
        taken.count()?;
        let within = taken.folders.iter().any(|folder| {
            let path = format!("/{path}/");
            // On the way to a source folder, or inside of one.
            path.contains(&format!("/{folder}/"))
                || folder
                    .match_indices('/')
                    .any(|(end, _)| path.ends_with(&format!("/{}/", &folder[..end])))
        });
        if kind.is_dir() {
            if within || depth < DEPTH && name != "target" && !name.starts_with('.') {
                walk(&entry.path(), &format!("{path}/"), depth + 1, taken)?;
            }
        } else if let Some(place) = taken.place(&path)? {
            // A pipe would never end, a link could lead anywhere.
            if !kind.is_file() {
                return Err(link(&place.1));
            }
            taken.take(
                place,
                File::open(entry.path()).map_err(|e| format!("{path} cannot be opened: {e}"))?,
            )?;
        } else if kind.is_symlink() && within {
            return Err(link(&path));
        }
    }
    Ok(())
}

fn from_zip(file: File, taken: &mut Taken<'_>) -> Result<(), String> {
    let bad = |e: zip::result::ZipError| format!("it is no zip file that can be read: {e}");
    let mut archive = zip::ZipArchive::new(file).map_err(bad)?;
    let mut declared = 0_u64;
    for at in 0..archive.len() {
        taken.count()?;
        let entry = archive.by_index(at).map_err(bad)?;
        declared = declared.saturating_add(entry.size());
        if declared > UNPACKED {
            return Err(too_large());
        }
        if entry.is_dir() {
            continue;
        }
        let name = entry.name().map_err(bad)?.into_owned();
        let Some(place) = taken.place(&name)? else { continue };
        if entry
            .unix_mode()
            .is_some_and(|mode| mode & 0o170_000 != 0o100_000 && mode & 0o170_000 != 0)
        {
            return Err(link(&place.1));
        }
        taken.take(place, entry)?;
    }
    Ok(())
}

fn too_large() -> String {
    format!("it unpacks to more than {} MiB; hand in the sources, without `target`", UNPACKED >> 20)
}

fn from_tar(stream: impl Read, taken: &mut Taken<'_>) -> Result<(), String> {
    let mut archive = tar::Archive::new(Counted { stream, left: UNPACKED });
    let bad = |e: io::Error| match e.kind() {
        io::ErrorKind::FileTooLarge => too_large(),
        _ => format!("it is no tar file that can be read: {e}"),
    };
    for entry in archive.entries().map_err(bad)? {
        let entry = entry.map_err(bad)?;
        taken.count()?;
        let kind = entry.header().entry_type();
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if kind.is_dir() || kind.is_pax_global_extensions() {
            continue;
        }
        let Some(place) = taken.place(&name)? else { continue };
        if !kind.is_file() {
            return Err(link(&place.1));
        }
        taken.take(place, entry)?;
    }
    Ok(())
}

/// A stream that fails when too much comes out of it.
struct Counted<R> {
    stream: R,
    left: u64,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.stream.read(buffer)?;
        self.left = self
            .left
            .checked_sub(n as u64)
            .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(n)
    }
}
