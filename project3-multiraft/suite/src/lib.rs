//! The graded tests of project 3. They link no code of the student's.
//!
//! - `stage3a`: members change, leaders hand over. Speaks `raft_suite`'s vocabulary, and lives in its world.

pub mod stage3a;
