//! The graded tests of project 3. They link no code of the student's.
//!
//! - `stage3a`: members change, leaders hand over. Speaks `raft_suite`'s vocabulary, and lives in its world.
//! - `stage3b`: a store of many regions. Speaks `sim::cluster`'s, and lives in `sim::world`.
//! - `stage3c`: the scheduler. A vocabulary of its own; the judge plays its disk, its clocks, and all stores.

pub mod stage3a;
pub mod stage3b;
pub mod stage3c;
