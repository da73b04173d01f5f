//! Who is compared with whom: a class, the reference, other years, the zoo.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::tokens::{Token, names, tokens};
use super::winnow::{Print, prints, runs};
use crate::course::Course;
use crate::handout::{self, Scope};
use crate::markers;
use crate::tree::{self, Files};
use crate::workspace::Workspace;
use crate::zoo;

/// No source file that a person wrote is larger.
const LARGEST: u64 = 1 << 20;

/// A file, read.
#[derive(Debug)]
pub struct Source {
    /// From the root of the workspace.
    pub path: String,
    /// As it stands there.
    pub text: String,
    /// What is compared.
    pub tokens: Vec<Token>,
    /// What is looked for in others.
    pub prints: Vec<Print>,
}

/// Whose files these are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// The published solution.
    Reference,
    /// What was given with `--against`: an older release, or somebody of another year.
    Other,
    /// One of the class.
    Submission,
}

/// All files of one author.
#[derive(Debug)]
pub struct Work {
    /// The folder's name; nothing else about a person is read or written.
    pub name: String,
    /// Whose it is.
    pub kind: Kind,
    /// The files that are the student's to write.
    pub sources: Vec<Source>,
    /// Files that could not be read, and why.
    pub unread: Vec<String>,
}

/// A mistake of the zoo: the runs of tokens that the reference does not have.
#[derive(Debug)]
pub struct Mistake {
    /// The bug.
    pub id: String,
    /// What it does wrong.
    pub what: String,
    /// Its own runs.
    pub runs: BTreeSet<u64>,
}

/// Everything that was read.
#[derive(Debug, Default)]
pub struct Corpus {
    /// The class first, in the order of names; then the others.
    pub works: Vec<Work>,
    /// The zoo.
    pub mistakes: Vec<Mistake>,
    /// What lies beside the submissions and is none: archives, most often.
    pub left_out: Vec<String>,
}

/// What the starter has, which proves nothing.
pub struct Starter {
    names: BTreeSet<String>,
    runs: BTreeSet<u64>,
}

impl Starter {
    fn of(workspace: &Workspace, course: &Course) -> Result<(Self, Files)> {
        let reference = student_files(workspace, course, &tree::read_course(&workspace.root)?)?;
        let marked = |content: &Vec<u8>| {
            String::from_utf8_lossy(content).lines().any(|line| markers::begin(line).is_some())
        };
        // A starter has no solution to cut out: it is its own.
        let cut = if reference.values().any(marked) {
            let files = handout::starter(workspace, course, &Scope::default())
                .context("what the starter has cannot be taken out, so nothing can be compared")?;
            student_files(workspace, course, &files)?
        } else {
            reference.clone()
        };
        let texts = || cut.values().filter_map(|content| std::str::from_utf8(content).ok());
        let names: BTreeSet<String> = texts().flat_map(names).collect();
        let known = |text| tokens(text, &names).unwrap_or_default();
        let runs = texts().flat_map(|text| runs(&known(text))).collect();
        Ok((Starter { names, runs }, reference))
    }

    fn source(&self, path: &str, text: &str) -> Result<Source, String> {
        let tokens = tokens(text, &self.names)?;
        let prints = prints(&tokens, &self.runs);
        Ok(Source { path: path.into(), text: text.into(), tokens, prints })
    }

    fn work(&self, name: String, kind: Kind, files: &Files) -> Work {
        let mut work = Work { name, kind, sources: Vec::new(), unread: Vec::new() };
        for (path, content) in files {
            let read = std::str::from_utf8(content)
                .map_err(|_| "it is no text".to_owned())
                .and_then(|text| self.source(path, text));
            match read {
                Ok(source) => work.sources.push(source),
                Err(why) => work.unread.push(format!("{path}: {why}")),
            }
        }
        work
    }
}

/// A name, and where the course of it lies.
type Member = (String, std::path::PathBuf);

/// Reads the class below `class`, each `others` (a workspace, or a folder of them), the reference and the zoo.
///
/// # Errors
/// A folder that cannot be read, or a class of nobody.
pub fn read(
    workspace: &Workspace,
    course: &Course,
    class: &Path,
    others: &[std::path::PathBuf],
) -> Result<Corpus> {
    let (starter, reference) = Starter::of(workspace, course)?;
    let folders: Vec<String> = workspace.student_folders(course)?.into_values().collect();
    let given: BTreeSet<&str> =
        course.stages.iter().flat_map(|s| s.given.iter().map(String::as_str)).collect();
    let mut corpus = Corpus::default();
    let (found, left_out) = members(class, &folders)?;
    corpus.left_out = left_out;
    for (name, root) in found {
        let files = theirs(&root, &folders, &given)?;
        corpus.works.push(starter.work(name, Kind::Submission, &files));
    }
    if corpus.works.is_empty() {
        bail!(
            "{} holds no submission: a submission is a folder with {} or one of its brothers{}",
            class.display(),
            folders.first().map_or("", String::as_str),
            if corpus.left_out.is_empty() { "" } else { "; archives have to be unpacked first" }
        );
    }
    for other in others {
        for (name, root) in members(other, &folders)?.0 {
            let files = theirs(&root, &folders, &given)?;
            let name = format!("{}/{name}", file_name(other));
            corpus.works.push(starter.work(name, Kind::Other, &files));
        }
    }
    let solution = starter.work("reference".into(), Kind::Reference, &reference);
    corpus.mistakes = mistakes(workspace, &reference, &starter, &solution)?;
    corpus.works.push(solution);
    Ok(corpus)
}

/// A workspace is one member; a folder of workspaces is as many. And the names of what else lies there.
fn members(folder: &Path, student: &[String]) -> Result<(Vec<Member>, Vec<String>)> {
    let is_workspace = |root: &Path| student.iter().any(|s| root.join(s).join("src").is_dir());
    if is_workspace(folder) {
        return Ok((vec![(file_name(folder), folder.to_owned())], Vec::new()));
    }
    let listed = std::fs::read_dir(folder)
        .with_context(|| format!("the folder {} cannot be read", folder.display()))?;
    let (mut found, mut left_out) = (Vec::new(), Vec::new());
    for entry in listed {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let kind = entry.file_type().context("cannot tell a folder from a file")?;
        let name = file_name(&entry.path());
        if kind.is_dir() && is_workspace(&entry.path()) {
            found.push((name, entry.path()));
        } else if !name.starts_with('.') {
            left_out.push(name);
        }
    }
    found.sort();
    left_out.sort();
    Ok((found, left_out))
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .map_or_else(|| path.display().to_string(), |n| n.to_string_lossy().into_owned())
}

fn theirs(root: &Path, folders: &[String], given: &BTreeSet<&str>) -> Result<Files> {
    let mut files = Files::new();
    for folder in folders {
        for path in tree::rust_files(root, &format!("{folder}/src"))? {
            let file = root.join(&path);
            let size = file.metadata().with_context(|| format!("cannot read {path}"))?.len();
            if size <= LARGEST && !given.contains(path.as_str()) {
                files.insert(
                    path.clone(),
                    std::fs::read(&file).with_context(|| format!("cannot read {path}"))?,
                );
            }
        }
    }
    Ok(files)
}

fn student_files(workspace: &Workspace, course: &Course, files: &Files) -> Result<Files> {
    let given: BTreeSet<&str> =
        course.stages.iter().flat_map(|s| s.given.iter().map(String::as_str)).collect();
    let sources: Vec<String> =
        workspace.student_folders(course)?.values().map(|f| format!("{f}/src/")).collect();
    let ours = |path: &str| {
        Path::new(path).extension().is_some_and(|e| e == "rs")
            && sources.iter().any(|s| path.starts_with(s.as_str()))
            && !given.contains(path)
    };
    Ok(files.iter().filter(|(p, _)| ours(p)).map(|(p, c)| (p.clone(), c.clone())).collect())
}

/// What each bug has that the reference has not. A bug that only takes something away has nothing of its own.
fn mistakes(
    workspace: &Workspace,
    reference: &Files,
    starter: &Starter,
    solution: &Work,
) -> Result<Vec<Mistake>> {
    let known: BTreeSet<u64> = solution.sources.iter().flat_map(|s| runs(&s.tokens)).collect();
    let mut found = Vec::new();
    for bug in zoo::load(workspace)?.0 {
        let Ok(changed) = bug.patch.apply(reference) else { continue };
        let mut own = BTreeSet::new();
        for content in changed.values() {
            let text = String::from_utf8_lossy(content);
            let all = runs(&tokens(&text, &starter.names).unwrap_or_default());
            own.extend(all.into_iter().filter(|r| !known.contains(r) && !starter.runs.contains(r)));
        }
        if !own.is_empty() {
            found.push(Mistake { id: bug.id, what: bug.mistake, runs: own });
        }
    }
    Ok(found)
}

/// In how many works of the class each fingerprint stands.
pub fn frequency(works: &[Work]) -> BTreeMap<u64, usize> {
    let mut count = BTreeMap::new();
    for work in works.iter().filter(|w| w.kind == Kind::Submission) {
        let own: BTreeSet<u64> =
            work.sources.iter().flat_map(|s| &s.prints).map(|p| p.hash).collect();
        for hash in own {
            *count.entry(hash).or_insert(0) += 1;
        }
    }
    count
}
