//! The graded tests of consensus. They link no code of the student's.
//!
//! - [`protocol`]: what a suite says to one Raft node, and what the node says back. Any Raft that has the
//!   Ready interface of raft-rs can answer it: ours, the student's, raft-rs itself (in `grader/oracle`).

pub mod protocol;
