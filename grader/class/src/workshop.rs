//! Where programs are made: the judges, outside; the submissions', in a room.
//!
//! - The *judges* hold our tests and no student code. They are built in the course itself, once.
//! - The *frame* is the starter: manifests, lock file, suites, given files. Student crates are put into it, at one path
//!   that is the same for every submission.
//! - Two *warm* target folders are built from our own sources, in the same kind of room: one with the starter's crates
//!   (for whole stacks), one with the reference's (for a crate that stands on the reference's earlier ones). A build
//!   begins with a copy of one of them, so it compiles what the student wrote, and nothing else.
//! - A room never holds the reference's version of what is being graded: not its source, since only *earlier* crates
//!   are the reference's; and not its compiled form, which is left out of the copy.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use grader::cargo_build::{self, Built, Wanted};
use grader::course::{Course, Stage};
use grader::handout;
use grader::manifest;
use grader::report::progress::Progress;
use grader::tree::{self, Files};
use grader::workspace::Workspace;

use crate::place;
use crate::sandbox::{Room, Sandbox, Use};
use crate::seeds;

/// A build may take this long before a person has to look. A submission's crates take seconds.
const BUILD: Duration = Duration::from_secs(600);

/// What a build may use.
const BUILDING: Use =
    Use { processes: 512, file_mib: 2048, disk_mib: 512, memory_mib: 16 << 10, cpu_seconds: 600 };

/// The sources of each student package, whole.
pub type Sources = BTreeMap<String, Files>;

/// On what a package is built.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Base {
    /// The reference's earlier packages.
    Ours,
    /// The student's.
    Own,
}

/// A workshop, set up for a course.
#[derive(Debug)]
pub struct Workshop {
    /// The course's workspace: the reference.
    pub workspace: Workspace,
    /// The course.
    pub course: Course,
    /// The walls.
    pub sandbox: Sandbox,
    /// The compiler.
    pub rustc: String,
    place: PathBuf,
    folders: BTreeMap<String, String>,
    /// For each student package, the student packages below it.
    below: BTreeMap<String, Vec<String>>,
    frame: Files,
    starter: Sources,
    reference: Sources,
    sysroot: PathBuf,
    cargo_home: PathBuf,
    shown: Vec<PathBuf>,
    judges: BTreeMap<String, PathBuf>,
}

impl Workshop {
    /// Reads the course. `place` is a folder of the workshop's own; `shown` are further folders that builds may read
    /// (a vendored registry).
    ///
    /// # Errors
    /// The workspace is no reference, or cargo's folders cannot be found.
    pub fn new(
        workspace: Workspace,
        sandbox: Sandbox,
        place: PathBuf,
        shown: Vec<PathBuf>,
    ) -> Result<Self> {
        let course = workspace.course()?;
        let folders = workspace.student_folders(&course)?;
        let whole = tree::read_course(&workspace.root)?;
        let mut frame = handout::starter(&workspace, &course, &handout::Scope::default())?;
        let sources = |files: &mut Files, keep: bool| -> Sources {
            let mut sources = Sources::new();
            for (package, folder) in &folders {
                let source = format!("{folder}/src/");
                let own = files.iter().filter(|(path, _)| path.starts_with(&source));
                sources.insert(package.clone(), own.map(|(p, c)| (p.clone(), c.clone())).collect());
                if !keep {
                    files.retain(|path, _| !path.starts_with(&source));
                }
            }
            sources
        };
        let reference = sources(&mut whole.clone(), true);
        let starter = sources(&mut frame, false);
        let below = below(&course, &folders, &whole)?;
        let sysroot = output(Command::new("rustc").args(["--print", "sysroot"]), &workspace.root)?;
        let rustc = cargo_build::rustc_version(&workspace.root);
        let cargo_home = match (std::env::var_os("CARGO_HOME"), std::env::var_os("HOME")) {
            (Some(home), _) => PathBuf::from(home),
            (None, Some(home)) => Path::new(&home).join(".cargo"),
            (None, None) => {
                bail!("neither CARGO_HOME nor HOME says where cargo keeps what it fetched")
            }
        };
        Ok(Workshop {
            workspace,
            course,
            sandbox,
            rustc,
            place,
            folders,
            below,
            frame,
            starter,
            reference,
            sysroot: sysroot.into(),
            cargo_home,
            shown,
            judges: BTreeMap::new(),
        })
    }

    /// The reference's sources.
    pub fn reference(&self) -> &Sources {
        &self.reference
    }

    /// The starter's sources of a package.
    pub fn starter(&self, package: &str) -> &Files {
        &self.starter[package]
    }

    /// The student packages below a package, the lowest first.
    pub fn below(&self, package: &str) -> &[String] {
        &self.below[package]
    }

    /// The source folders of the student packages (`project1-standalone/src`).
    pub fn source_folders(&self) -> Vec<String> {
        self.course
            .packages()
            .iter()
            .map(|package| format!("{}/src", self.folders[*package]))
            .collect()
    }

    /// Sorts a submission's files by package. Files that are ours stay ours; a package without any source is the
    /// starter's, and that is noted.
    pub fn sort(&self, files: &Files) -> (Sources, Vec<String>) {
        let given: Vec<&str> =
            self.course.stages.iter().flat_map(|s| s.given.iter().map(String::as_str)).collect();
        let (mut sources, mut notes) = (Sources::new(), Vec::new());
        for (package, folder) in &self.folders {
            let source = format!("{folder}/src/");
            let ours = &self.starter[package];
            let mut own: Files = files
                .iter()
                .filter(|(path, _)| path.starts_with(&source) && !given.contains(&path.as_str()))
                .map(|(path, content)| (path.clone(), content.clone()))
                .collect();
            if own.is_empty() {
                notes.push(format!(
                    "nothing was handed in below {source}; {package} is the starter's"
                ));
                own.clone_from(ours);
            }
            let kept = ours.iter().filter(|(path, _)| given.contains(&path.as_str()));
            own.extend(kept.map(|(path, content)| (path.clone(), content.clone())));
            // What a file of the starter calls, should one have to come back.
            let hole = format!("{source}hole.rs");
            if let Some(content) = ours.get(&hole) {
                own.entry(hole).or_insert_with(|| content.clone());
            }
            sources.insert(package.clone(), own);
        }
        (sources, notes)
    }

    /// A hash over all that decides about scores.
    pub fn rules(&self) -> String {
        let parts = self.frame.iter().chain(self.reference.values().flatten());
        let decides = parts.filter(|(path, _)| {
            Path::new(path)
                .extension()
                .and_then(|e| e.to_str())
                .is_some_and(|e| matches!(e, "rs" | "toml" | "lock" | "proto"))
        });
        seeds::hash(decides.flat_map(|(path, content)| [path.as_bytes(), content.as_slice()]))
    }

    /// Builds the judges of these stages, outside.
    ///
    /// # Errors
    /// They do not build.
    pub fn make_judges(&mut self, stages: &[&Stage], progress: &Progress) -> Result<()> {
        let wanted = Wanted {
            judges: stages.iter().map(|s| (s.suite.clone(), s.judge.clone())).collect(),
            ..Wanted::default()
        };
        let built = cargo_build::build(&self.workspace, &wanted, false, progress)?;
        for (_, judge) in &wanted.judges {
            let Some(program) = built.judge(judge) else {
                bail!("the judge {judge} does not build:\n{}", built.errors_for(Path::new("")));
            };
            // A copy, so that nobody's next build changes it in the middle of a class.
            let copy = self.place.join("judges").join(judge);
            fs::create_dir_all(self.place.join("judges"))
                .context("the judges' folder cannot be made")?;
            fs::copy(program, &copy)
                .with_context(|| format!("{} cannot be copied", program.display()))?;
            self.judges.insert(judge.clone(), copy);
        }
        Ok(())
    }

    /// A stage's judge.
    pub fn judge(&self, stage: &Stage) -> PathBuf {
        self.judges[&stage.judge].clone()
    }

    /// Builds both warm target folders, unless they are there.
    ///
    /// # Errors
    /// Our own sources do not build in the room.
    pub fn warm(&self, packages: &[&str], progress: &Progress) -> Result<()> {
        let stamp =
            format!("{} {} {:?} {packages:?}", self.rules(), self.rustc, self.sandbox.owner());
        let kept = self.place.join("warm.stamp");
        if fs::read_to_string(&kept).is_ok_and(|old| old == stamp) {
            return Ok(());
        }
        let _ = fs::remove_file(&kept);
        for base in [Base::Own, Base::Ours] {
            place::remove(&self.target())?;
            place::remove(&self.warm_folder(base))?;
            if base == Base::Own {
                fs::create_dir_all(self.target()).context("the target folder cannot be made")?;
                self.give(&self.target())?;
            } else {
                // What both stand on is compiled once.
                let all = self.course.packages();
                let from = self.warm_folder(Base::Own);
                let skip = |path: &str| left_out(path, &all);
                place::copy(&from, &self.target(), self.sandbox.owner(), &skip)?;
            }
            let files = self.whole(self.base(base));
            place::lay(&self.course_folder(), &files, &files)?;
            self.fetch()?;
            // In the same portions as later, since cargo chooses features by what it is asked for together.
            let portions: Vec<Vec<&str>> = match base {
                Base::Own => vec![packages.to_vec()],
                Base::Ours => packages.iter().map(|package| vec![*package]).collect(),
            };
            for portion in portions {
                let built = self.cargo(&portion, progress)?;
                for package in portion {
                    if built.test_program(&self.folder(package)).is_none() {
                        bail!(
                            "our own {package} does not build in the sandbox:\n{}",
                            built.errors_for(&self.folder(package))
                        );
                    }
                }
            }
            fs::rename(self.target(), self.warm_folder(base))
                .context("the warm target folder cannot be kept")?;
        }
        fs::write(&kept, stamp).context("the workshop's stamp cannot be written")
    }

    /// Builds packages from these sources: one on our base, or all that are named on the student's own.
    ///
    /// # Errors
    /// The folders cannot be made, or cargo cannot be started. What does not compile is missing from the result.
    pub fn build(
        &self,
        base: Base,
        sources: &Sources,
        packages: &[&str],
        progress: &Progress,
    ) -> Result<Built> {
        let mut mixed = sources.clone();
        if base == Base::Ours {
            for (package, ours) in &mut mixed {
                let earlier = packages.iter().any(|p| self.below[*p].contains(package));
                let from = if earlier { &self.reference } else { &self.starter };
                if !packages.contains(&package.as_str()) {
                    ours.clone_from(&from[package]);
                }
            }
        }
        place::lay(&self.course_folder(), &self.whole(&mixed), &self.whole(self.base(base)))?;
        place::remove(&self.target())?;
        let secret: &[&str] = if base == Base::Ours { packages } else { &[] };
        let skip = |path: &str| left_out(path, secret);
        place::copy(&self.warm_folder(base), &self.target(), self.sandbox.owner(), &skip)?;
        self.cargo(packages, progress)
    }

    /// Copies a package's test program out of the target folder, and writes the script that starts it in its room.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn subject(&self, base: Base, package: &str, program: &Path) -> Result<PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        let folder = self.place.join("run").join(format!("{base:?}-{package}").to_lowercase());
        fs::create_dir_all(&folder).context("the folder of programs cannot be made")?;
        let copy = folder.join("subject");
        // A new file each time: the old one may still be in use by a process that is about to end.
        let _ = fs::remove_file(&copy);
        fs::copy(program, &copy)
            .with_context(|| format!("{} cannot be copied", program.display()))?;
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755))
            .context("the program cannot be opened to all")?;
        let script = folder.join("enter");
        let room = self.room(&copy);
        fs::write(&script, self.sandbox.script(&room, &copy))
            .context("the script cannot be written")?;
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755))
            .context("the script cannot be opened")?;
        Ok(script)
    }

    /// The room of a subject.
    pub fn room(&self, program: &Path) -> Room {
        Room {
            readable: vec![self.sandbox.helper.clone(), program.to_owned()],
            folder: "/tmp".into(),
            env: vec![("RUST_BACKTRACE".into(), "0".into()), ("LC_ALL".into(), "C.UTF-8".into())],
            ..Room::default()
        }
    }

    /// Leaves nothing of a submission behind but what is warm.
    ///
    /// # Errors
    /// A folder cannot be removed.
    pub fn clean(&self) -> Result<()> {
        if self.sandbox.kind == crate::sandbox::Kind::Uid {
            place::sweep_user(self.sandbox.uid);
        }
        for folder in [self.target(), self.place.join("run"), self.course_folder()] {
            place::remove(&folder)?;
        }
        Ok(())
    }

    /// The folder of a package in the room.
    pub fn folder(&self, package: &str) -> PathBuf {
        self.course_folder().join(&self.folders[package])
    }

    fn base(&self, base: Base) -> &Sources {
        match base {
            Base::Ours => &self.reference,
            Base::Own => &self.starter,
        }
    }

    fn whole(&self, sources: &Sources) -> Files {
        let mut files = self.frame.clone();
        files.extend(
            sources.values().flatten().map(|(path, content)| (path.clone(), content.clone())),
        );
        files
    }

    fn course_folder(&self) -> PathBuf {
        self.place.join("course")
    }

    fn target(&self) -> PathBuf {
        self.place.join("target")
    }

    fn warm_folder(&self, base: Base) -> PathBuf {
        self.place.join(format!("warm-{base:?}").to_lowercase())
    }

    fn give(&self, folder: &Path) -> Result<()> {
        let owner = self.sandbox.owner();
        std::os::unix::fs::chown(folder, owner, owner)
            .with_context(|| format!("{} cannot be given away", folder.display()))
    }

    fn fetch(&self) -> Result<()> {
        let about = output(Command::new("rustc").arg("-vV"), &self.workspace.root)?;
        let host = about.lines().find_map(|line| line.strip_prefix("host: ")).unwrap_or_default();
        let mut command = cargo_build::command(&self.course_folder());
        // Outside, and before: what is not there cannot be fetched inside. The build says so if it is missed.
        let _ = command.args(["fetch", "--locked", "--quiet", "--target", host]).output();
        if self.sandbox.owner().is_some() {
            open_to_all(&self.cargo_home.join("registry/src"))?;
        }
        Ok(())
    }

    fn cargo(&self, packages: &[&str], progress: &Progress) -> Result<Built> {
        let mut path = self.sysroot.join("bin").into_os_string();
        path.push(":/usr/local/bin:/usr/bin:/bin");
        let mut readable = vec![self.course_folder(), self.sandbox.helper.clone()];
        if !self.sysroot.starts_with("/usr") {
            readable.push(self.sysroot.clone());
        }
        for file in ["registry", "config.toml"] {
            let path = self.cargo_home.join(file);
            if path.exists() {
                readable.push(path);
            }
        }
        readable.extend(self.shown.iter().cloned());
        let room = Room {
            readable,
            writable: vec![self.target()],
            folder: self.course_folder(),
            env: vec![
                ("PATH".into(), path),
                ("HOME".into(), "/tmp".into()),
                ("CARGO_HOME".into(), self.cargo_home.clone().into()),
                ("CARGO_TARGET_DIR".into(), self.target().into()),
                ("CARGO_NET_OFFLINE".into(), "true".into()),
                // Everything is compiled once.
                ("CARGO_INCREMENTAL".into(), "0".into()),
                ("LC_ALL".into(), "C.UTF-8".into()),
            ],
            limits: BUILDING,
        };
        let mut command = self.sandbox.command(&room, &self.sysroot.join("bin/cargo"));
        command.args(["--locked", "--offline"]);
        let wanted = Wanted {
            tests: packages.iter().map(|package| (*package).to_owned()).collect(),
            ..Wanted::default()
        };
        cargo_build::build_with(command, &wanted, false, Some(BUILD), progress)
    }
}

/// What does not come along when a target folder is copied: whole programs, which are made anew in any case and hold
/// the code of everybody in them, and what was compiled of `packages`.
fn left_out(path: &str, packages: &[&str]) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    // `libraft_core-0123456789abcdef.rlib`, `raft-core-0123456789abcdef`.
    let is_of = |package: &str| {
        let rest = name.strip_prefix("lib").unwrap_or(name).strip_prefix(package);
        let hash = rest.and_then(|rest| rest.strip_prefix('-')?.split('.').next());
        hash.is_some_and(|hash| hash.len() == 16)
    };
    let compiled = path.contains("/deps/") || path.contains("/.fingerprint/");
    let program = path.contains("/deps/main-") || path.matches('/').count() == 1;
    let theirs = |package: &&str| is_of(package) || is_of(&package.replace('-', "_"));
    (compiled && packages.iter().any(theirs))
        || (program && !path.ends_with(".cargo-lock") && !is_folder(path))
}

/// The folders of a profile that hold what is compiled; anything else directly below the profile is a product.
fn is_folder(path: &str) -> bool {
    matches!(
        path.rsplit('/').next(),
        Some("deps" | ".fingerprint" | "build" | "incremental" | "examples")
    )
}

/// For each student package, the student packages that it stands on, the lowest first.
fn below(
    course: &Course,
    folders: &BTreeMap<String, String>,
    files: &Files,
) -> Result<BTreeMap<String, Vec<String>>> {
    let packages = course.packages();
    let mut below = BTreeMap::<String, Vec<String>>::new();
    // Dependencies run one way, in course order.
    for package in &packages {
        let named =
            manifest::needs(tree::text(files, &format!("{}/Cargo.toml", folders[*package]))?);
        let mut all: Vec<String> = Vec::new();
        for earlier in packages.iter().filter(|p| named.iter().any(|name| name == *p)) {
            all.extend(below.get(*earlier).into_iter().flatten().cloned());
            all.push((*earlier).to_owned());
        }
        let order = |name: &String| packages.iter().position(|p| p == name);
        all.sort_by_key(order);
        all.dedup();
        below.insert((*package).to_owned(), all);
    }
    Ok(below)
}

fn output(command: &mut Command, folder: &Path) -> Result<String> {
    let output = command
        .current_dir(folder)
        .output()
        .context("rustc cannot be started; is it on the PATH?")?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Lets everybody read what stands below a folder of fetched sources. A few packages were published with files that only their
/// owner reads, and inside the sandbox builds are another user's.
fn open_to_all(folder: &Path) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let Ok(listed) = fs::read_dir(folder) else { return Ok(()) };
    for entry in listed {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let path = entry.path();
        // Not what a link leads to.
        let about = fs::symlink_metadata(&path)
            .with_context(|| format!("cannot look at {}", path.display()))?;
        if about.is_dir() {
            open_to_all(&path)?;
        }
        let mode = about.permissions().mode();
        let open = mode | if about.is_dir() { 0o055 } else { 0o044 };
        if !about.is_symlink() && mode != open {
            fs::set_permissions(&path, fs::Permissions::from_mode(open))
                .with_context(|| format!("{} cannot be opened to all", path.display()))?;
        }
    }
    Ok(())
}
