//! Where things lie: the workspace's root, its packages, and the one place for scratch files.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};

use crate::course::Course;
use crate::{manifest, tree};

/// The path of the course's description, from the root.
pub const COURSE: &str = "grader/course.toml";

/// A course workspace on disk: the reference, a starter, or a scratch copy of one.
#[derive(Debug, Clone)]
pub struct Workspace {
    /// The folder with `Cargo.toml` and `grader/course.toml`.
    pub root: PathBuf,
    /// A scratch copy builds into the target folder of the workspace it was made from, so that
    /// dependencies are compiled once.
    pub shared_target: Option<PathBuf>,
    /// Held as long as a scratch copy is in use.
    _lock: Option<Arc<File>>,
}

impl Workspace {
    /// Walks up from `start` to the folder that holds `grader/course.toml`.
    ///
    /// # Errors
    /// There is none.
    pub fn find(start: &Path) -> Result<Self> {
        let start = start
            .canonicalize()
            .with_context(|| format!("the folder {} cannot be opened", start.display()))?;
        let root = start.ancestors().find(|folder| folder.join(COURSE).is_file());
        match root {
            Some(root) => Ok(Workspace { root: root.to_owned(), shared_target: None, _lock: None }),
            None => bail!(
                "no course here: neither {} nor a folder above it holds {COURSE}\nGo to the folder of the course and try again.",
                start.display()
            ),
        }
    }

    /// Reads `grader/course.toml`.
    ///
    /// # Errors
    /// It cannot be read, or says what makes no sense.
    pub fn course(&self) -> Result<Course> {
        Course::parse(&self.read(COURSE)?)
    }

    /// Reads a text file of the workspace.
    ///
    /// # Errors
    /// As for reading files, with the name.
    pub fn read(&self, path: &str) -> Result<String> {
        std::fs::read_to_string(self.root.join(path)).with_context(|| format!("cannot read {path}"))
    }

    /// Name and folder (relative, with slashes) of each package of the workspace.
    ///
    /// # Errors
    /// A manifest that cannot be read.
    pub fn packages(&self) -> Result<BTreeMap<String, String>> {
        let members = manifest::members(&self.read("Cargo.toml")?)?;
        let mut packages = BTreeMap::new();
        for folder in members {
            let name = manifest::package_name(&self.read(&format!("{folder}/Cargo.toml"))?)
                .with_context(|| format!("{folder}/Cargo.toml names no package"))?;
            packages.insert(name, folder);
        }
        Ok(packages)
    }

    /// The folders of the packages that students write in.
    ///
    /// # Errors
    /// A manifest that cannot be read, or a stage with a package that is not in the workspace.
    pub fn student_folders(&self, course: &Course) -> Result<BTreeMap<String, String>> {
        let packages = self.packages()?;
        let mut folders = BTreeMap::new();
        for package in course.packages() {
            let Some(folder) = packages.get(package) else {
                bail!("{COURSE} speaks of a package `{package}`, which is not in the workspace");
            };
            folders.insert(package.to_owned(), folder.clone());
        }
        Ok(folders)
    }

    /// What decides how the tests of a package end: sources and manifests of the package and of all packages of the
    /// workspace that it needs. Versions of what comes from outside do not count; `--fresh` is for those.
    ///
    /// # Errors
    /// A manifest or a source that cannot be read, or a package that is not in the workspace.
    pub fn sources(&self, package: &str) -> Result<tree::Files> {
        let packages = self.packages()?;
        let mut open = vec![package.to_owned()];
        let mut needed: BTreeMap<&str, &str> = BTreeMap::new();
        while let Some(name) = open.pop() {
            let Some((name, folder)) = packages.get_key_value(&name) else { continue };
            if needed.insert(folder, name).is_none() {
                open.extend(manifest::needs(&self.read(&format!("{folder}/Cargo.toml"))?));
            }
        }
        let decides = |path: &str| {
            let extension = Path::new(path).extension().and_then(|e| e.to_str());
            // Packages lie in each other's folders: a file belongs to the innermost.
            let inside = |folder: &&String| {
                path.strip_prefix(folder.as_str()).is_some_and(|p| p.starts_with('/'))
            };
            let owner = packages.values().filter(inside).max_by_key(|folder| folder.len());
            matches!(extension, Some("rs" | "toml" | "proto"))
                && owner.is_some_and(|folder| needed.contains_key(folder.as_str()))
        };
        let files = tree::read_course(&self.root)?;
        Ok(files.into_iter().filter(|(path, _)| decides(path)).collect())
    }

    /// Cargo's target folder for this workspace.
    pub fn target(&self) -> PathBuf {
        if let Some(shared) = &self.shared_target {
            return shared.clone();
        }
        match std::env::var_os("CARGO_TARGET_DIR") {
            Some(folder) => self.root.join(folder),
            None => self.root.join("target"),
        }
    }

    /// A scratch copy with these files, below the scratch folder. It is ours alone until it is dropped;
    /// another grader that wants the same copy waits.
    ///
    /// The copy builds into our target folder, so that dependencies are compiled once. Cargo names what
    /// it builds after a package's name, version and path *within its workspace*, so packages of a
    /// copy would be taken for those of the original, and one would be run in place of the other. A
    /// mark in the version of each package (`0.1.0+submission`) keeps them apart.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn copy(&self, name: &str, mut files: tree::Files) -> Result<Workspace> {
        let mut manifests = vec!["Cargo.toml".to_owned()];
        let members = manifest::members(tree::text(&files, "Cargo.toml")?)?;
        manifests.extend(members.into_iter().map(|folder| format!("{folder}/Cargo.toml")));
        for path in manifests {
            let marked = manifest::with_mark(tree::text(&files, &path)?, name)?;
            files.insert(path, marked.into());
        }
        let scratch = self.scratch();
        std::fs::create_dir_all(&scratch)
            .with_context(|| format!("cannot make {}", scratch.display()))?;
        let lock = File::create(scratch.join(format!("{name}.lock")))
            .and_then(|file| file.lock().map(|()| file))
            .with_context(|| format!("cannot lock {}", scratch.join(name).display()))?;
        let root = scratch.join(name);
        tree::sync(&root, &files)?;
        let root = root.canonicalize().with_context(|| format!("{} is gone", root.display()))?;
        Ok(Workspace { root, shared_target: Some(self.target()), _lock: Some(Arc::new(lock)) })
    }

    /// The one place for files of the grader.
    pub fn scratch(&self) -> PathBuf {
        self.target().join("grade")
    }
}
