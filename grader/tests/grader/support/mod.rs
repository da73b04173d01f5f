//! A scratch copy of a course, a way to damage it, and the program `grade` in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use grader::cut;
use grader::handout::{Scope, starter};
use grader::tree::{self, Files};

/// A scratch copy of a course.
pub struct Course {
    /// Its root.
    pub root: PathBuf,
}

/// What the program did.
pub struct Ran {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Course {
    /// The toy course, for one test alone.
    pub fn toy(name: &str) -> Self {
        let root = scratch().join(name);
        let files = tree::read_course(&manifest_dir().join("tests/toy")).expect("the toy is there");
        tree::sync(&root, &files).expect("scratch can be written");
        forget(&root);
        Course { root }
    }

    /// The starter of the toy course.
    pub fn toy_starter(name: &str) -> Self {
        let reference = Self::toy(&format!("{name}-reference"));
        let root = scratch().join(name);
        let workspace = grader::workspace::Workspace::find(&reference.root).unwrap();
        let course = workspace.course().unwrap();
        let files: Files = starter(&workspace, &course, &Scope::default()).unwrap();
        tree::sync(&root, &files).unwrap();
        forget(&root);
        Course { root }
    }

    pub fn read(&self, file: &str) -> String {
        fs::read_to_string(self.root.join(file)).unwrap()
    }

    pub fn write(&self, file: &str, text: &str) {
        fs::create_dir_all(self.root.join(file).parent().unwrap()).unwrap();
        fs::write(self.root.join(file), text).unwrap();
    }

    pub fn replace(&self, file: &str, from: &str, to: &str) {
        let text = self.read(file);
        assert!(text.contains(from), "{file} does not contain {from:?}");
        self.write(file, &text.replace(from, to));
    }

    pub fn append(&self, file: &str, more: &str) {
        self.write(file, &(self.read(file) + more));
    }

    /// Puts code at the start of a function's body.
    pub fn inject(&self, file: &str, function: &str, code: &str) {
        let text = inject(&self.read(file), function, code);
        self.write(file, &text);
    }

    /// Runs `grade`.
    pub fn grade(&self, arguments: &[&str]) -> Ran {
        ran(&self.command(arguments).output().expect("the program starts"))
    }

    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_grade"));
        command
            .args(arguments)
            .current_dir(&self.root)
            .env_remove("CARGO_TARGET_DIR")
            .stdin(Stdio::null());
        command
    }
}

/// What the grader remembers from the last time a test used this folder.
fn forget(root: &Path) {
    for state in ["results.json", "given-up.json", "hints.json", "zoo.json", "sweep.json"] {
        let _ = fs::remove_file(root.join("target/grade").join(state));
    }
    for folder in ["reset", "upgrade"] {
        let _ = fs::remove_dir_all(root.join("target/grade").join(folder));
    }
}

/// Puts a bug into the zoo: one line of `kv/src/lib.rs` in place of another.
pub fn patch(course: &Course, id: &str, stage: &str, from: &str, to: &str) {
    const LIB: &str = "kv/src/lib.rs";
    let text = format!(
        "id: {id}\nstage: {stage}\nmistake: It does\n  something else.\nusers: They lose.\nsource: own\n\n--- a/{LIB}\n+++ b/{LIB}\n@@ -1 +1 @@\n-{from}\n+{to}\n"
    );
    course.write(&format!("grader/zoo/{id}-x.patch"), &text);
}

/// Puts code at the start of a function's body.
pub fn inject(text: &str, function: &str, code: &str) -> String {
    let functions = cut::functions(text).expect("it is Rust");
    let found = functions.iter().find(|f| f.path == function);
    let at = found.unwrap_or_else(|| panic!("no function {function}")).body;
    format!("{}\n{code}\n{}", &text[..at], &text[at..])
}

pub fn ran(output: &Output) -> Ran {
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: timeless(&String::from_utf8_lossy(&output.stdout)),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Replaces what differs from run to run: `0.3 s` becomes `_._ s`.
fn timeless(text: &str) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for at in 0..chars.len().saturating_sub(4) {
        if let [a, '.', b, ' ', 's'] = chars[at..at + 5]
            && a.is_ascii_digit()
            && b.is_ascii_digit()
        {
            (chars[at], chars[at + 2]) = ('_', '_');
        }
    }
    chars.into_iter().collect()
}

pub fn manifest_dir() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Below `target`: cargo's folder for scratch files of integration tests.
pub fn scratch() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("grader")
}

impl Ran {
    #[track_caller]
    pub fn says(&self, part: &str) -> &Self {
        // Where a line breaks is the golden tests' business.
        let flat = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        let found = flat(&self.out).contains(&flat(part));
        assert!(found, "no {part:?} in:\n{}\n{}", self.out, self.err);
        self
    }

    #[track_caller]
    pub fn complains(&self, part: &str) -> &Self {
        assert!(self.err.contains(part), "no {part:?} in:\n{}\n{}", self.err, self.out);
        self
    }

    #[track_caller]
    pub fn ends(&self, code: i32) -> &Self {
        assert_eq!(self.code, code, "{}\n{}", self.out, self.err);
        self
    }
}
