//! The same seed twice gives the same run, byte for byte; else a replay shows another story.

use sim::failure::Outcome;
use sim::harness::Test;

use crate::protocol::RaftNode;
use crate::world::World;
use crate::world::chaos::{self, Plan};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("determinism.rs": the_same_seed_gives_the_same_run)
}

/// A storm is played twice with one seed; everything that was said and answered is mixed into one number.
/// The numbers must be equal.
///
/// Hint: no `HashMap` whose order matters, no clock, no thread, and randomness from the seed that came with
/// the configuration.
fn the_same_seed_gives_the_same_run(run: &mut World) -> Outcome {
    chaos::run_twice(run, Plan { reads: 5, compact: true, ..Plan::stormy(3, 300) })
}
