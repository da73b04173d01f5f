//! A toy course, a class of submissions, and the program that grades them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};

use class::record::Score;
use grader::cut;
use grader::tree::{self, Files};
use grader::workspace::Workspace;
use tempfile::TempDir;

/// The file that toy students write.
pub const LIB: &str = "kv/src/lib.rs";

/// A course and a class, in a folder that goes away.
pub struct Class {
    home: TempDir,
    /// The starter's files.
    pub starter: Files,
    /// The reference's.
    pub reference: Files,
}

/// What the program did.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Class {
    /// A class without students.
    pub fn new() -> Self {
        // Not below /tmp, which every room has as a disk of its own.
        let home = TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
        let course = home.path().join("course");
        let toy = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("tests/toy");
        let reference = tree::read_course(&toy).unwrap();
        tree::sync(&course, &reference).unwrap();
        let workspace = Workspace::find(&course).unwrap();
        let starter = grader::handout::starter(
            &workspace,
            &workspace.course().unwrap(),
            &grader::handout::Scope::default(),
        )
        .unwrap();
        fs::create_dir(home.path().join("in")).unwrap();
        Class { home, starter, reference }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Hands in a folder.
    pub fn hand_in(&self, id: &str, files: &Files) {
        tree::sync(&self.path("in").join(id), files).unwrap();
    }

    /// The reference with a little code at the start of `Store::get`.
    pub fn with_get(&self, code: &str) -> Files {
        let mut files = self.reference.clone();
        let text = inject(tree::text(&files, LIB).unwrap(), "Store::get", code);
        files.insert(LIB.into(), text.into());
        files
    }

    pub fn grade(&self, more: &[&str]) -> Ran {
        let (folder, out) = (self.path("in"), self.path("out"));
        let mut arguments = vec![folder.to_str().unwrap(), "--out", out.to_str().unwrap()];
        arguments.extend(more);
        self.run(&arguments)
    }

    pub fn run(&self, arguments: &[&str]) -> Ran {
        let output = self.command(arguments).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let code = output.status.code().unwrap_or(-1);
        Ran { code, out: text(&output.stdout), err: text(&output.stderr) }
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grade-class"));
        command.args(arguments).current_dir(self.path("course")).env_remove("CARGO_TARGET_DIR");
        command.stdin(Stdio::null());
        command
    }

    /// A student's record.
    pub fn score(&self, id: &str) -> Score {
        let path = class::run::score_file(&self.path("out"), id);
        let text = fs::read(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        serde_json::from_slice(&text).unwrap()
    }
}

/// Puts code at the start of a function's body.
pub fn inject(text: &str, function: &str, code: &str) -> String {
    let functions = cut::functions(text).unwrap();
    let at = functions.iter().find(|f| f.path == function).unwrap().body;
    format!("{}\n{code}\n{}", &text[..at], &text[at..])
}

impl Ran {
    #[track_caller]
    pub fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn says(&self, part: &str) -> &Self {
        assert!(self.out.contains(part), "no {part:?} in:\n{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn complains(&self, part: &str) -> &Self {
        assert!(self.err.contains(part), "no {part:?} in:\n{}\n{}", self.err, self.out);
        self
    }
}

/// Every file below a folder but the times, with its content.
pub fn whole(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.extend(
                whole(&path).into_iter().map(|(below, text)| (format!("{name}/{below}"), text)),
            );
        } else if !name.starts_with("times.") {
            found.push((name, fs::read(&path).unwrap()));
        }
    }
    found.sort();
    found
}

/// Whether this machine can make rooms at all; a test that needs one says so and passes where it cannot. One such test runs
/// at a time: the burglar of one starts as many processes as a user may have, and in that moment the rooms of another, which
/// belong to the same user, cannot be made.
pub fn can_make_rooms() -> Option<MutexGuard<'static, ()>> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let works =
        Command::new("bwrap").args(["--ro-bind", "/", "/", "--unshare-all", "true"]).status();
    if works.is_ok_and(|status| status.success()) {
        return Some(alone);
    }
    eprintln!("skipped: bubblewrap does not work on this machine");
    None
}
