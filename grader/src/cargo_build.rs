//! Builds the programs through cargo, and keeps apart what cargo says in one stream: programs,
//! compiler errors, progress.
//!
//! Graded programs are built without default features: those are the edge (servers, gRPC, the command
//! lines), which takes longer to compile than all that is graded.
//!
//! One call builds everything that the asked stages need, so that features are unified once and cargo
//! schedules all of it. `--keep-going` makes a package that does not compile cost only the stages that
//! stand on it; those fail with the compiler's text, the first error first.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::process;
use crate::report::progress::Progress;
use crate::workspace::Workspace;

/// What to build.
#[derive(Debug, Default, Clone)]
pub struct Wanted {
    /// Packages whose test program `main` is wanted.
    pub tests: BTreeSet<String>,
    /// Judges: package and binary.
    pub judges: BTreeSet<(String, String)>,
    /// Packages to build with the names of variables, for a debugger.
    pub debug: BTreeSet<String>,
}

/// What came out.
#[derive(Debug, Default)]
pub struct Built {
    tests: BTreeMap<PathBuf, PathBuf>,
    binaries: BTreeMap<String, PathBuf>,
    /// The compiler's errors, in the order in which they came.
    pub errors: Vec<Diagnostic>,
    /// Its warnings.
    pub warnings: Vec<Diagnostic>,
    /// The build did not come to its own end: it took too long, or something killed it.
    pub cut_short: bool,
}

/// What the compiler had to say, rendered for people.
#[derive(Debug, Clone)]
pub struct Diagnostic {
    /// The manifest of the package that it is about.
    pub manifest: PathBuf,
    /// The text.
    pub text: String,
    /// The same in a line, with its place.
    pub brief: String,
}

#[derive(Deserialize)]
#[serde(tag = "reason")]
enum Message {
    #[serde(rename = "compiler-artifact")]
    Artifact { manifest_path: PathBuf, target: Target, executable: Option<PathBuf> },
    #[serde(rename = "compiler-message")]
    Diagnostic { manifest_path: PathBuf, message: Said },
    #[serde(other)]
    Other,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Deserialize)]
struct Said {
    level: String,
    rendered: Option<String>,
    spans: Vec<Span>,
    message: String,
}

#[derive(Deserialize)]
struct Span {
    file_name: String,
    line_start: usize,
    is_primary: bool,
}

impl Said {
    fn brief(&self) -> String {
        match self.spans.iter().find(|span| span.is_primary) {
            Some(span) => format!("{}:{}: {}", span.file_name, span.line_start, self.message),
            None => self.message.clone(),
        }
    }
}

impl Built {
    /// The test program of the package in this folder.
    pub fn test_program(&self, folder: &Path) -> Option<&Path> {
        self.tests.get(&folder.join("Cargo.toml")).map(PathBuf::as_path)
    }

    /// A judge's program.
    pub fn judge(&self, binary: &str) -> Option<&Path> {
        self.binaries.get(binary).map(PathBuf::as_path)
    }

    /// The compiler's text for a package that did not build: its own errors, or, if it has none,
    /// those of what it stands on.
    pub fn errors_for(&self, folder: &Path) -> String {
        let manifest = folder.join("Cargo.toml");
        let own: Vec<_> = self.errors.iter().filter(|e| e.manifest == manifest).collect();
        let errors = if own.is_empty() { self.errors.iter().collect() } else { own };
        let Some(first) = errors.first() else {
            if self.cut_short {
                return "the build took too long, and was ended\n".into();
            }
            return "cargo built everything but this, and did not say why\n".into();
        };
        let mut text = first.text.trim_end().to_owned() + "\n";
        match errors.len() - 1 {
            0 => {}
            1 => text += "\n(1 more error after this one)\n",
            more => text += &format!("\n({more} more errors after this one)\n"),
        }
        text
    }
}

/// Builds.
///
/// # Errors
/// Cargo cannot be started, or fails before any compiler was asked (a manifest, the lock file, the
/// network). What does not compile is no error here: it is missing from the result.
pub fn build(
    workspace: &Workspace,
    wanted: &Wanted,
    colours: bool,
    progress: &Progress,
) -> Result<Built> {
    let mut command = command(&workspace.root);
    if let Some(target) = &workspace.shared_target {
        command.env("CARGO_TARGET_DIR", target);
    }
    build_with(command, wanted, colours, None, progress)
}

/// Builds with a command that stands for cargo: one in a sandbox, for instance. A build that takes longer than
/// `backstop` is ended, with all its processes.
///
/// # Errors
/// As [`build`].
pub fn build_with(
    mut command: Command,
    wanted: &Wanted,
    colours: bool,
    backstop: Option<Duration>,
    progress: &Progress,
) -> Result<Built> {
    progress.phase("building", 0);
    command.args(["build", "--no-default-features", "--keep-going"]);
    command.args(["--color", "never", "--message-format"]);
    command.arg(if colours { "json-diagnostic-rendered-ansi" } else { "json" });
    for package in &wanted.debug {
        command.args(["--config", &format!("profile.dev.package.{package}.debug=true")]);
        command.args(["--config", &format!("profile.dev.package.{package}.opt-level=0")]);
    }
    for package in &wanted.tests {
        command.args(["--package", package]);
    }
    if !wanted.tests.is_empty() {
        command.args(["--test", "main"]);
    }
    for (package, binary) in &wanted.judges {
        command.args(["--package", package, "--bin", binary]);
    }
    if backstop.is_some() {
        process::own_group(&mut command);
    }
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cargo cannot be started; is it on the PATH?")?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut built, told, ended) = thread::scope(|scope| {
        let told = scope.spawn(|| stderr.map(|s| follow(s, progress)).unwrap_or_default());
        let built = scope.spawn(|| stdout.map(read_messages).unwrap_or_default());
        let ended = match backstop {
            None => child.wait().map(Some),
            Some(backstop) => {
                let ended = process::wait(&mut child, Instant::now() + backstop);
                process::kill_group(&mut child);
                ended
            }
        };
        (built.join().unwrap_or_default(), told.join().unwrap_or_default(), ended)
    });
    progress.done();
    let Some(status) = ended.context("cargo cannot be waited for")? else {
        child.wait().context("cargo cannot be waited for")?;
        built.cut_short = true;
        return Ok(built);
    };
    if !status.success() && built.errors.is_empty() && backstop.is_some() {
        // Sources can make a compiler run out of what it may use; it is not the end of the class.
        let text = format!("the build ended with {status}:\n{}", told.trim_end());
        let brief = text.lines().next().unwrap_or_default().to_owned();
        built.errors.push(Diagnostic { manifest: PathBuf::new(), text, brief });
        built.cut_short = true;
    }
    if !status.success() && built.errors.is_empty() {
        bail!("cargo could not build ({status}):\n{}", told.trim_end());
    }
    Ok(built)
}

/// A cargo that is not confused by the cargo that started us.
pub fn command(root: &Path) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let about_us =
            ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_", "CARGO_CFG_"];
        let exact = ["CARGO_PRIMARY_PACKAGE", "CARGO_TARGET_TMPDIR", "OUT_DIR", "NEXTEST"];
        if about_us.iter().any(|p| text.starts_with(p)) || exact.contains(&&*text) {
            command.env_remove(&name);
        }
    }
    command
}

/// The compiler's version, for reports.
pub fn rustc_version(root: &Path) -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("--version").current_dir(root).output();
    output.map(|o| String::from_utf8_lossy(&o.stdout).trim().to_owned()).unwrap_or_default()
}

fn read_messages(stdout: impl Read) -> Built {
    let mut built = Built::default();
    for line in BufReader::new(stdout).split(b'\n').map_while(Result::ok) {
        // What is not JSON was printed by a build script or a macro.
        let Ok(message) = serde_json::from_slice::<Message>(&line) else { continue };
        match message {
            Message::Artifact { manifest_path, target, executable: Some(program) } => {
                if target.kind.iter().any(|k| k == "test") {
                    built.tests.insert(manifest_path, program);
                } else {
                    built.binaries.insert(target.name, program);
                }
            }
            Message::Diagnostic { manifest_path, message } => {
                let brief = message.brief();
                let text = message.rendered.unwrap_or(message.message);
                let diagnostic = Diagnostic { manifest: manifest_path, text, brief };
                // Without a place it is the sum: "aborting due to 3 errors", "2 warnings emitted".
                match message.level.as_str() {
                    "error" if !message.spans.is_empty() => built.errors.push(diagnostic),
                    "error" if !diagnostic.text.contains("aborting due to") => {
                        built.errors.push(diagnostic);
                    }
                    "warning" if !message.spans.is_empty() => built.warnings.push(diagnostic),
                    _ => {}
                }
            }
            _ => {}
        }
    }
    built
}

/// Shows what cargo compiles and keeps the rest: it matters when no compiler was asked.
fn follow(stderr: impl Read, progress: &Progress) -> String {
    const KEPT: usize = 60;
    let mut told = Vec::new();
    for line in BufReader::new(stderr).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line).into_owned();
        match line.trim_start().split_once(' ') {
            Some(("Compiling" | "Checking" | "Downloaded" | "Downloading", what)) => {
                progress.step(what);
            }
            Some(("Blocking", what)) => progress.step(&format!("waiting {what}")),
            _ => {
                told.push(line);
                if told.len() > KEPT {
                    told.remove(0);
                }
            }
        }
    }
    told.join("\n")
}
