//! The graded tests of project 3. They link no code of the student's.
//!
//! - `stage3a`: members change, leaders hand over. Speaks `raft_suite`'s vocabulary, and lives in its world.
//! - `stage3b`: a store of many regions. Speaks `sim::cluster`'s, and lives in `sim::world`.
//! - `stage3c`: the scheduler. A vocabulary of its own; the judge plays its disk, its clocks, and all stores.
//! - `stage3x`: several members change at once. `stage3a`'s world, with joint configurations.

pub mod stage3a;
pub mod stage3b;
pub mod stage3c;
pub mod stage3x;

/// Whether the stores of 3B are to be set up as the binary sets them up, with the extra credit of stage 2X: PreVote and
/// `CheckQuorum` in each test, and the tests of leases besides. Graded runs are without: `TINYKV_EXTRA=1 cargo test -p
/// multiraft`.
pub fn with_extras() -> bool {
    std::env::var_os("TINYKV_EXTRA").is_some()
}
