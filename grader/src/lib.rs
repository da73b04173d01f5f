//! `cargo grade`: builds the student's crates, runs every test in a process of its own, and explains
//! the first failure.
//!
//! A grader has three jobs, and each has a corner here:
//!
//! - **To say what the course is.** [`course`] reads `grader/course.toml`, the only source about
//!   stages, holes and tests; [`workspace`] knows where things lie; [`holes`] finds what is written
//!   and what is not; [`check`] is the author's spelling checker for all of it.
//! - **To find the truth and to say it well.** [`cargo_build`] makes programs, [`process`] runs one of
//!   them under [`limits`], [`verdict`] reads what it said or failed to say, [`run`] does that for
//!   many at once, [`grade`] puts a stage together, and [`report`] tells it: a table for the eye, an
//!   explanation for the mind, JSON for machines. [`hint`], [`replay`], [`list`], [`watch`] are the
//!   student's other four questions; [`results`] remembers what runs found, [`view`] shows
//!   one ([`viewer`]), [`debugger`] looks into it.
//! - **To help between two runs.** [`solution`], [`reset`] and [`tidy`] are about one hole or crate, [`bughunt`] turns
//!   the course round, [`upgrade`] brings a newer release; [`base`] is what they know about the hand-out.
//! - **To keep one source.** The reference is the only text; [`markers`] and [`cut`] take the
//!   solutions out of it, [`handout`] makes the starter, [`ladder`] proves that it can be climbed,
//!   [`zoo`] that the suites catch mistakes, [`sweep`] that they accept what is right,
//!   [`submission`] puts a student's files into a clean copy. [`tree`] copies, [`manifest`] edits what
//!   cargo reads, [`anchors`] knows the book's headings.
//!
//! What holds throughout:
//!
//! - No project crate is linked here: a student who breaks one can still ask why.
//! - *Undecided* is never *pass* and never silently *fail*: a wall clock decides nothing ([`verdict`]).
//! - Nothing that a submission prints is believed under `--judge`: there the judge's standard output
//!   is the only evidence, and no student code can reach it through an ordinary door.
//! - The grader leaves nothing behind outside `target/`.
//!
//! A whole class is a crate of its own, `grader/class`: [`class`] hands over to it.

#![deny(missing_docs)]

pub mod anchors;
pub mod base;
pub mod bughunt;
pub mod cargo_build;
pub mod check;
pub mod class;
pub mod cli;
pub mod course;
pub mod cut;
pub mod debugger;
pub mod demo;
pub mod grade;
pub mod handout;
pub mod hint;
pub mod holes;
pub mod ladder;
pub mod limits;
pub mod lint;
pub mod list;
pub mod manifest;
pub mod markers;
pub mod process;
pub mod replay;
pub mod report;
pub mod reset;
pub mod results;
pub mod run;
pub mod similar;
pub mod solution;
pub mod submission;
pub mod suggest;
pub mod sweep;
pub mod tidy;
pub mod tree;
pub mod upgrade;
pub mod verdict;
pub mod view;
pub mod viewer;
pub mod viva;
pub mod watch;
pub mod workspace;
pub mod zoo;
