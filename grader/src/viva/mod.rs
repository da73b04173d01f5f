//! `cargo grade viva SUBMISSION`: three questions about somebody's own code, with answers for the examiner.
//!
//! Who wrote a function can say what it does next, and what breaks without one of its lines. Each question is made from
//! the submission itself and has been tried before it is asked, so that its answer is what happens and not what an
//! author believes:
//!
//! - [*what is sent next*](next): a test that passes is run with a trace, which is stopped where a message arrives;
//! - [*which rule breaks*](broken): a condition in a hole that they wrote is turned round, and the stage's tests run;
//! - [*what would users see*](users): a mistake of the zoo in a function that they wrote, told in words.
//!
//! Questions are drawn with a seed, so that two students get different ones and an examiner can print the same sheet
//! again. The code runs without a sandbox here, as it does under `--submission`.

mod broken;
mod next;
mod users;

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Result, bail};

use crate::course::{Course, Hole, Stage};
use crate::cut::{self, Function};
use crate::grade::Options;
use crate::holes::{Holes, State};
use crate::report::explain::wrap;
use crate::report::paint::Paint;
use crate::report::progress::Progress;
use crate::submission;
use crate::tree;
use crate::workspace::Workspace;

/// A question and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// What is asked, in a sentence or two.
    pub ask: String,
    /// What the student may look at: code, or the end of a trace.
    pub show: Vec<String>,
    /// What happens, and how that was found.
    pub answer: Vec<String>,
}

/// A function of the submission that stands where the reference has a hole.
#[derive(Debug, Clone)]
struct Own<'a> {
    stage: &'a Stage,
    hole: &'a Hole,
    file: String,
    function: Function,
}

/// Who is asked, and with what.
struct Exam<'a> {
    workspace: &'a Workspace,
    copy: &'a Workspace,
    course: &'a Course,
    own: Vec<Own<'a>>,
    options: &'a Options,
    progress: &'a Progress,
    seed: u64,
}

/// Makes the questions. Those that cannot be made (nothing passes, nothing is written) are left out, and it is said why.
///
/// # Errors
/// The folder is no submission, or nothing of it is the student's own.
pub fn viva(
    workspace: &Workspace,
    course: &Course,
    folder: &Path,
    options: &Options,
    seed: u64,
    progress: &Progress,
) -> Result<(Vec<Question>, Vec<String>)> {
    let (copy, _) = submission::prepare(workspace, course, folder, "viva")?;
    let stages = course.select(&options.stages)?;
    let own = own(workspace, &copy, course, &stages)?;
    if own.is_empty() {
        bail!(
            "no hole of these stages is written in {}: there is nothing to ask about",
            folder.display()
        );
    }
    let exam = Exam { workspace, copy: &copy, course, own, options, progress, seed };
    let (mut questions, mut left_out) = (Vec::new(), Vec::new());
    for made in [next::ask(&exam), broken::ask(&exam), users::ask(&exam)] {
        match made {
            Ok(question) => questions.push(question),
            Err(why) => left_out.push(format!("{why:#}")),
        }
    }
    Ok((questions, left_out))
}

/// The functions of a submission that are holes in the reference and are written.
fn own<'a>(
    workspace: &Workspace,
    copy: &Workspace,
    course: &'a Course,
    stages: &[&'a Stage],
) -> Result<Vec<Own<'a>>> {
    let holes = Holes::find(copy, course)?;
    let names = hole_functions(workspace, course)?;
    let mut functions: Vec<(String, Function)> = Vec::new();
    for folder in copy.student_folders(course)?.values() {
        for file in tree::rust_files(&copy.root, &format!("{folder}/src"))? {
            // What does not parse has no functions to ask about.
            let found = copy.read(&file).map(|text| cut::functions(&text).unwrap_or_default());
            functions.extend(found.unwrap_or_default().into_iter().map(|f| (file.clone(), f)));
        }
    }
    let mut own = Vec::new();
    for stage in stages {
        for hole in stage.holes.iter().filter(|h| holes.state(&h.id) != State::Unwritten) {
            let Some(path) = names.get(&hole.id) else { continue };
            let here = functions.iter().filter(|(_, f)| f.path == *path);
            // A function may have moved; its own file comes first.
            let best = here.min_by_key(|(file, _)| *file != hole.file);
            if let Some((file, function)) = best {
                own.push(Own { stage, hole, file: file.clone(), function: function.clone() });
            }
        }
    }
    Ok(own)
}

/// The path of the function that each hole is the body of, as the course names it.
fn hole_functions(workspace: &Workspace, course: &Course) -> Result<BTreeMap<String, String>> {
    let mut names = BTreeMap::new();
    let mut files: Vec<&str> = course.holes().map(|(_, h)| h.file.as_str()).collect();
    files.sort_unstable();
    files.dedup();
    for file in files {
        let Ok(text) = workspace.read(file) else { continue };
        for (block, place) in cut::places(&text).unwrap_or_default() {
            if let cut::Place::Body(function) = place {
                names.entry(block.id).or_insert(function.path);
            }
        }
    }
    if names.is_empty() {
        bail!(
            "only the reference knows where the holes were: run this in the instructor's workspace"
        );
    }
    Ok(names)
}

impl Exam<'_> {
    /// One of several, drawn: the same for the same seed, file names and question.
    fn draw(&self, question: u64, of: usize) -> usize {
        // SplitMix64, one step: neighbours get numbers that have nothing to do with each other.
        let mut z = self.seed.wrapping_add(question << 32).wrapping_add(0x9e37_79b9_7f4a_7c15);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % (of.max(1) as u64)).unwrap_or(0)
    }
}

impl Own<'_> {
    fn place(&self) -> String {
        format!("`{}` ({}:{})", self.function.path, self.file, self.function.open)
    }

    /// The lines of its body, with numbers.
    fn lines(&self, text: &str) -> Vec<String> {
        let inside = |number: &usize| (self.function.open..=self.function.close).contains(number);
        let lines = (1..).zip(text.lines()).filter(|(n, _)| inside(n));
        lines.map(|(n, line)| format!("{n:>4}  {line}")).collect()
    }
}

/// The sheet for the examiner.
pub fn render(name: &str, questions: &[Question], left_out: &[String], paint: Paint) -> String {
    let mut text = format!("{}\n", paint.strong(format!("Questions for {name}")));
    for (number, question) in (1..).zip(questions) {
        text += "\n";
        let lines = wrap(&question.ask, 96).join("\n   ");
        text += &format!("{number}. {lines}\n\n");
        for line in &question.show {
            text += &format!("   {line}\n");
        }
        text += &format!("\n   {}\n", paint.dim("For the examiner:"));
        for line in &question.answer {
            for part in wrap(line, 96) {
                text += &format!("   {part}\n");
            }
        }
    }
    for why in left_out {
        text += &format!("\n{}\n", paint.dim(format!("One question could not be made: {why}")));
    }
    text
}
