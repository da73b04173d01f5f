//! What is no submission: each refused in a sentence, and none unpacked.

use std::fs;
use std::io::{Cursor, Write};
use std::path::PathBuf;

use class::{inbox, unpack};
use flate2::write::GzEncoder;
use flate2::{Compression, FlushCompress};
use tempfile::TempDir;
use zip::ZipWriter;
use zip::write::SimpleFileOptions;

const SOURCE: &str = "kv/src/lib.rs";

fn folders() -> Vec<String> {
    vec!["kv/src".into(), "kv/more/src".into()]
}

fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    for (name, content) in entries {
        zip.start_file(*name, SimpleFileOptions::default()).unwrap();
        zip.write_all(content).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// Ten gigabytes of nothing, as a stream of ten megabytes: one compressed block, ten thousand times.
fn nothing() -> Vec<u8> {
    let mut block = Vec::with_capacity(1 << 16);
    let mut deflate = flate2::Compress::new(Compression::best(), false);
    deflate.compress_vec(&vec![0; 1 << 20], &mut block, FlushCompress::Full).unwrap();
    // After a full flush a block stands for itself. The last one says that it is the last.
    let mut stream = block.repeat(10 << 10);
    stream.extend([0x03, 0x00]);
    stream
}

/// A zip file with one entry of ten gigabytes, which claims to have `claimed` bytes.
pub fn bomb(name: &str, claimed: u32) -> Vec<u8> {
    let stream = nothing();
    let packed = u32::try_from(stream.len()).unwrap();
    let named = u16::try_from(name.len()).unwrap();
    // Version, flags, deflate, time, date, checksum, both sizes, length of the name, no extra field.
    let mut about = Vec::new();
    for half in [20_u16, 0, 8, 0, 0] {
        about.extend(half.to_le_bytes());
    }
    for word in [0, packed, claimed] {
        about.extend(word.to_le_bytes());
    }
    about.extend(named.to_le_bytes());
    about.extend([0, 0]);
    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend(&about);
    zip.extend(name.as_bytes());
    zip.extend(&stream);
    let directory = u32::try_from(zip.len()).unwrap();
    zip.extend(b"PK\x01\x02\x14\x00");
    zip.extend(&about);
    // No comment, first disk, no attributes, at the beginning of the file.
    zip.extend([0; 14]);
    zip.extend(name.as_bytes());
    let length = u32::try_from(zip.len()).unwrap() - directory;
    zip.extend(b"PK\x05\x06\0\0\0\0\x01\0\x01\0");
    zip.extend(length.to_le_bytes());
    zip.extend(directory.to_le_bytes());
    zip.extend([0, 0]);
    zip
}

fn tar(build: impl FnOnce(&mut tar::Builder<Vec<u8>>)) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    build(&mut tar);
    tar.into_inner().unwrap()
}

fn put(tar: &mut tar::Builder<Vec<u8>>, name: &str, content: &[u8]) {
    let mut header = tar::Header::new_gnu();
    // The library refuses names that lead out; an attacker's does not.
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_size(content.len() as u64);
    header.set_mode(0o644);
    header.set_cksum();
    tar.append(&header, content).unwrap();
}

fn gz(bytes: &[u8]) -> Vec<u8> {
    let mut gz = GzEncoder::new(Vec::new(), Compression::fast());
    gz.write_all(bytes).unwrap();
    gz.finish().unwrap()
}

struct Inbox(TempDir);

impl Inbox {
    fn new() -> Self {
        Inbox(TempDir::new().unwrap())
    }

    fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }
}

#[track_caller]
fn refused(path: &std::path::Path, why: &str) {
    let error = unpack::read(path, &folders()).unwrap_err();
    assert!(error.contains(why), "{error}");
}

#[test]
fn a_submission_is_found_wherever_it_lies_in_its_archive() {
    let inbox = Inbox::new();
    let entries: &[(&str, &[u8])] = &[
        ("starter/kv/src/lib.rs", b"a"),
        ("starter/kv/src/deep/er.rs", b"b"),
        ("starter/kv/more/src/x.rs", b"c"),
        ("starter/kv/src/notes.txt", b"no"),
        ("starter/kv/tests/main.rs", b"no"),
        ("starter/README.md", b"no"),
        ("__MACOSX/starter/kv/src/._lib.rs", b"no"),
    ];
    let taken =
        |path: PathBuf| unpack::read(&path, &folders()).unwrap().into_keys().collect::<Vec<_>>();
    let expected = ["kv/more/src/x.rs", "kv/src/deep/er.rs", "kv/src/lib.rs"];
    assert_eq!(taken(inbox.file("a.zip", &zip(entries))), expected);
    let archive = tar(|tar| entries.iter().for_each(|(name, content)| put(tar, name, content)));
    assert_eq!(taken(inbox.file("a.tar", &archive)), expected);
    assert_eq!(taken(inbox.file("a.tar.gz", &gz(&archive))), expected);
    assert_eq!(taken(inbox.file("a.tgz", &gz(&archive))), expected);
    for (name, content) in entries {
        inbox.file(&format!("a/{name}"), content);
    }
    assert_eq!(taken(inbox.0.path().join("a")), expected);
}

#[test]
fn what_leads_out_is_refused() {
    let inbox = Inbox::new();
    for name in ["../kv/src/lib.rs", "a/../../kv/src/lib.rs", "/kv/src/lib.rs"] {
        refused(
            &inbox.file("a.tar", &tar(|tar| put(tar, name, b""))),
            "leads out of the submission",
        );
    }
    refused(
        &inbox.file("a.zip", &zip(&[("..\\kv\\src\\lib.rs", b"")])),
        "leads out of the submission",
    );
}

#[test]
fn links_and_pipes_are_refused_and_not_opened() {
    let inbox = Inbox::new();
    let link = tar(|tar| {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Symlink);
        header.set_size(0);
        tar.append_link(&mut header, SOURCE, "/etc/passwd").unwrap();
    });
    refused(&inbox.file("a.tar", &link), "is a link or no plain file");
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    writer.add_symlink(SOURCE, "/etc/passwd", SimpleFileOptions::default()).unwrap();
    refused(
        &inbox.file("a.zip", &writer.finish().unwrap().into_inner()),
        "is a link or no plain file",
    );

    let folder = inbox.0.path().join("f");
    fs::create_dir_all(folder.join("kv/src")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", folder.join(SOURCE)).unwrap();
    refused(&folder, "is a link or no plain file");
    fs::remove_file(folder.join(SOURCE)).unwrap();
    // Whoever opened this would wait for ever.
    let made = std::process::Command::new("mkfifo").arg(folder.join(SOURCE)).status().unwrap();
    assert!(made.success());
    refused(&folder, "is a link or no plain file");
    fs::remove_dir_all(folder.join("kv/src")).unwrap();
    std::os::unix::fs::symlink("/etc", folder.join("kv/src")).unwrap();
    refused(&folder, "is a link or no plain file");
}

#[test]
fn what_is_too_large_is_dropped_before_it_is_unpacked() {
    let inbox = Inbox::new();
    // An entry that says how large it is, one where nobody would look for a source, and one that lies.
    refused(&inbox.file("a.zip", &bomb(SOURCE, u32::MAX - 1)), "unpacks to more than 256 MiB");
    refused(
        &inbox.file("b.zip", &bomb("target/debug/huge", u32::MAX - 1)),
        "unpacks to more than 256 MiB",
    );
    refused(&inbox.file("c.zip", &bomb(SOURCE, 100)), "larger than its declared uncompressed size");
    // A tar file that is nothing but a stream; it is dropped after a fortieth.
    let mut header = tar::Header::new_gnu();
    header.set_path("target/huge").unwrap();
    header.set_size(9 << 30);
    header.set_cksum();
    let mut packed = Vec::with_capacity(1 << 16);
    let mut deflate = flate2::Compress::new(Compression::best(), false);
    deflate.compress_vec(header.as_bytes(), &mut packed, FlushCompress::Full).unwrap();
    let mut gz = vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255];
    gz.extend(packed);
    gz.extend(nothing());
    refused(&inbox.file("d.tar.gz", &gz), "unpacks to more than 256 MiB");

    let one = vec![b' '; (1 << 20) + 1];
    refused(&inbox.file("e.zip", &zip(&[(SOURCE, &one)])), "nobody writes such a source file");
    let names: Vec<String> = (0..17).map(|n| format!("kv/src/{n}.rs")).collect();
    let many: Vec<(&str, &[u8])> =
        names.iter().map(|name| (name.as_str(), &one[..1 << 20])).collect();
    refused(&inbox.file("f.zip", &zip(&many)), "its sources have more than");
}

#[test]
fn what_is_none_is_said_to_be_none() {
    let inbox = Inbox::new();
    refused(&inbox.file("a.zip", b"not a zip"), "it is no zip file that can be read");
    refused(&inbox.file("a.tar.gz", b"not a tar"), "it is no tar file that can be read");
    refused(
        &inbox.file("b.zip", &zip(&[("README.md", b"hello")])),
        "it has no source of any project crate",
    );
    refused(
        &inbox.file("c.zip", &zip(&[("a/kv/src/lib.rs", b""), ("b/kv/src/lib.rs", b"")])),
        "more than one copy of the course",
    );
}

#[test]
fn a_name_belongs_to_one_student() {
    let inbox = Inbox::new();
    inbox.file("alice.zip", b"");
    inbox.file("bob.tar.gz", b"");
    inbox.file("carol/kv/src/lib.rs", b"");
    inbox.file("notes.txt", b"");
    inbox.file(".DS_Store", b"");
    let (found, ignored) = inbox::list(inbox.0.path()).unwrap();
    let ids: Vec<&str> = found.iter().map(|s| s.id.as_str()).collect();
    assert_eq!(ids, ["alice", "bob", "carol"]);
    assert_eq!(ignored, ["notes.txt: neither a folder nor a zip or tar file"]);
    inbox.file("alice.tar", b"");
    let error = inbox::list(inbox.0.path()).unwrap_err().to_string();
    assert!(error.contains("two submissions are called alice"), "{error}");
    assert!(
        inbox::list(&inbox.0.path().join("carol/kv/src"))
            .unwrap_err()
            .to_string()
            .contains("there is no submission")
    );
}
