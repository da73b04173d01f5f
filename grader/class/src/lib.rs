//! `cargo grade class`: grades many submissions, in a sandbox, and tells everybody.
//!
//! The grader answers one student who wants to know. This crate answers an instructor who has two hundred of them, some
//! careless and one hostile, and a night:
//!
//! - [`inbox`] finds the submissions, [`unpack`] takes the sources out of them without trusting a byte;
//! - [`sandbox`] makes rooms with walls and tries to break out of them first;
//! - [`workshop`] makes programs there, [`place`] keeps the disk in order;
//! - [`submission`] puts one student's programs before the judge, [`sum`] adds up, [`record`] is what is written down;
//! - [`run`] does that for a class: it can be killed, resumed, divided and merged, and the result is the same;
//! - [`seeds`] are hidden until the results are published; [`report`] writes for people and for other programs.
//!
//! Invariants:
//!
//! - Code of a submission is compiled and run only inside of a room; the verdict is given outside, by a judge that links
//!   none of it.
//! - Nothing that a submission brings is fatal to the class: a bad archive, a crate that does not compile, a process that
//!   will not end are results, and the next one is graded.
//! - A record depends on the submission and the conditions in it, not on the machine's mood: no time, no path.
//! - What a clock decided is flagged for a person.

#![cfg(unix)]
#![deny(missing_docs)]

pub mod cli;
pub mod inbox;
pub mod place;
pub mod record;
pub mod report;
pub mod run;
pub mod sandbox;
pub mod seeds;
pub mod submission;
pub mod sum;
pub mod unpack;
pub mod workshop;
