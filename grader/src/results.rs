//! What the last runs found, for `grade list`: which tests were green, which crates did not compile.
//!
//! Every `cargo grade` of the workspace itself adds to `target/grade/results.json`. With each result stands a
//! checksum of the sources as they were, so that a result that is older than the code says so. Losing the file
//! costs a run.

use std::collections::BTreeMap;
use std::fs;

use anyhow::Result;
use serde::{Deserialize, Serialize};

use crate::course::{Course, Hole, Stage};
use crate::report::Report;
use crate::tree;
use crate::verdict::Status;
use crate::workspace::Workspace;

const FILE: &str = "results.json";

/// What is known from earlier runs.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Results {
    #[serde(default)]
    tests: BTreeMap<String, Found>,
    /// Packages that did not compile.
    #[serde(default)]
    broken: BTreeMap<String, u32>,
    /// Of the sources as they are now.
    #[serde(skip)]
    now: u32,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Found {
    green: bool,
    /// Of the sources at that time.
    sources: u32,
}

/// How far a hole is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// No run has reached its tests.
    Unknown,
    /// Its crate does not compile.
    Broken,
    /// So many of its rules hold.
    Rules {
        /// Green tests.
        green: usize,
        /// All its tests.
        of: usize,
        /// The sources have changed since.
        old: bool,
    },
}

impl Results {
    /// What is known about this workspace.
    ///
    /// # Errors
    /// Its sources cannot be read.
    pub fn load(workspace: &Workspace, course: &Course) -> Result<Self> {
        let text = fs::read(workspace.scratch().join(FILE)).ok();
        let known = text.and_then(|text| serde_json::from_slice::<Results>(&text).ok());
        Ok(Results { now: checksum(workspace, course)?, ..known.unwrap_or_default() })
    }

    /// Adds what a run found, and keeps it.
    ///
    /// # Errors
    /// The sources cannot be read. A file that cannot be written is no error: the next run tries again.
    pub fn add(workspace: &Workspace, course: &Course, report: &Report) -> Result<()> {
        // One seed of the student's choice is not what is graded.
        if report.seed.is_some() {
            return Ok(());
        }
        let mut results = Self::load(workspace, course)?;
        for found in &report.stages {
            let Some(stage) = course.stages.iter().find(|s| s.id == found.id) else { continue };
            if found.build_error.is_some() {
                results.broken.insert(stage.package.clone(), results.now);
                continue;
            }
            for test in found.tests.iter().filter(|t| t.outcome.status != Status::NotRun) {
                results.broken.remove(&stage.package);
                let green = test.outcome.status == Status::Pass;
                results.tests.insert(test.name.clone(), Found { green, sources: results.now });
            }
        }
        let folder = workspace.scratch();
        let text = serde_json::to_vec_pretty(&results).unwrap_or_default();
        let _ = fs::create_dir_all(&folder).and_then(|()| fs::write(folder.join(FILE), text));
        Ok(())
    }

    /// Whether a test was red when it last ran.
    pub fn is_red(&self, test: &str) -> bool {
        self.tests.get(test).is_some_and(|found| !found.green)
    }

    /// How far a hole is.
    pub fn of(&self, stage: &Stage, hole: &Hole) -> Progress {
        if self.broken.get(&stage.package) == Some(&self.now) {
            return Progress::Broken;
        }
        let tests: Vec<_> = stage.tests.iter().filter(|t| t.after == hole.id).collect();
        let known: Vec<_> = tests.iter().filter_map(|t| self.tests.get(&t.name)).collect();
        if known.is_empty() {
            return Progress::Unknown;
        }
        Progress::Rules {
            green: known.iter().filter(|result| result.green).count(),
            of: tests.len(),
            old: known.iter().any(|result| result.sources != self.now),
        }
    }
}

/// Of everything that students write.
fn checksum(workspace: &Workspace, course: &Course) -> Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    for folder in workspace.student_folders(course)?.values() {
        for file in tree::rust_files(&workspace.root, &format!("{folder}/src"))? {
            hasher.update(file.as_bytes());
            hasher.update(&fs::read(workspace.root.join(&file)).unwrap_or_default());
        }
    }
    Ok(hasher.finalize())
}
