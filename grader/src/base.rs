//! `grader/base.json`: what was handed out, kept in the starter itself.
//!
//! Two commands have to know how a file looked before the student wrote in it: `grade reset` puts a cut body back,
//! and `grade upgrade` tells the student's changes from the course's. Of the files that students write in the whole
//! text is kept; of all others a checksum, which is enough to see whether somebody touched them.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::cut;
use crate::holes;
use crate::tree::{self, Files};
use crate::workspace::Workspace;

/// Where it is, from the root.
pub const BASE: &str = "grader/base.json";

/// What was handed out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Base {
    /// The version of the course.
    pub course: String,
    /// The sources of the student packages.
    pub sources: BTreeMap<String, String>,
    /// The checksums of all other files.
    pub others: BTreeMap<String, u32>,
}

/// A function whose body was cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CutBody {
    /// Its file.
    pub file: String,
    /// `Type::name` or `name`.
    pub path: String,
    /// Which one of that path in its file, from 0.
    pub nth: usize,
    /// What stands between its braces.
    pub body: String,
}

impl Base {
    /// What these files are; `folders` are those of the student packages.
    pub fn of(course: &str, files: &Files, folders: &BTreeSet<String>) -> Self {
        let mut base =
            Base { course: course.to_owned(), sources: BTreeMap::new(), others: BTreeMap::new() };
        for (path, content) in files {
            let source =
                folders.iter().any(|folder| tree::is_source(path, &format!("{folder}/src/")));
            match std::str::from_utf8(content) {
                Ok(text) if source => {
                    base.sources.insert(path.clone(), text.to_owned());
                }
                _ => {
                    base.others.insert(path.clone(), crc32fast::hash(content));
                }
            }
        }
        base
    }

    /// Reads a workspace's own.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn read(workspace: &Workspace) -> Result<Self> {
        let text = workspace.read(BASE).context(
            "this workspace does not know what was handed out: it is the reference, or older than this command",
        )?;
        serde_json::from_str(&text).with_context(|| format!("{BASE} is damaged"))
    }

    /// The text of the file.
    pub fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// The functions whose body is this hole. (Helpers, fields and imports that went with it leave no trace.)
    pub fn bodies(&self, id: &str) -> Vec<CutBody> {
        let mut bodies = Vec::new();
        for (file, text) in &self.sources {
            let lines: Vec<usize> = holes::calls(text)
                .into_iter()
                .filter(|(of, _)| of == id)
                .map(|(_, at)| at)
                .collect();
            let functions = cut::functions(text).unwrap_or_default();
            for line in lines {
                let Some(f) = functions.iter().find(|f| f.open < line && line < f.close) else {
                    continue;
                };
                let before = functions.iter().take_while(|other| other.body < f.body);
                bodies.push(CutBody {
                    file: file.clone(),
                    path: f.path.clone(),
                    nth: before.filter(|other| other.path == f.path).count(),
                    body: text[f.body..f.end].to_owned(),
                });
            }
        }
        bodies
    }
}
