//! Stage 4D in a world: clients that are nodes, stores of many regions, a scheduler; and all of them can die at any moment.
//!
//! A client of the world (one that the judge plays) asks a *door*, a node that runs the coordinator of stage 4D, for a whole
//! transaction: steps that read and write. The door finds regions, sends its messages to stores over the same bad network
//! as theirs, and tells what the transaction came to. What it told is checked: no snapshot that is torn, no update that is lost
//! (`sim::isolation`), no money made.
//!
//! - [`config`], [`talk`]: how nodes are set up, and what doors, stores and the oracle say to each other.
//! - `oracle`: the scheduler that the world plays, of project 3, and the timestamps.
//! - `spans`: what of all this a trace can tell.
//! - the others: the tests.

mod bank;
mod chaos;
pub mod config;
pub mod oracle;
mod scenes;
mod spans;
pub mod talk;

use sim::cluster::protocol::Cluster;
use sim::harness::Test;

/// The tests, in course order.
pub fn tests() -> Vec<Test<Cluster>> {
    [scenes::tests(), bank::tests(), chaos::tests()].into_iter().flatten().collect()
}
