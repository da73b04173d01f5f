//! The grader's own tests: what it must never say, and what it must.
//!
//! Most of them drive the program `grade` on a toy course (`tests/toy`) that builds in a second. The
//! fixtures at the end put wrong and hostile submissions of the real stage 1 before the judge.

#[path = "../../interop/src/browser.rs"]
mod browser;
mod support;

mod anchors;
mod author;
mod book;
mod bughunt;
mod commands;
mod course;
mod cutting;
mod fixtures;
mod handouts;
mod manifests;
mod paper;
mod plans;
mod running;
mod similar;
mod student;
mod toy;
mod upgrading;
mod view;
mod viewer_page;
mod watching;
mod zoo;
