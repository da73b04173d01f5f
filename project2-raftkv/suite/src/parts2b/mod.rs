//! Stage 2B, one part at a time: each hole has tests of its own, which turn green before a whole store runs.

mod apply;
mod check;
mod fate;
mod log;
mod persist;
mod propose;
mod read;
mod ready;
mod restart;

use sim::harness::Test;

use crate::parts::protocol::Parts;

/// The tests, in course order.
pub fn tests() -> Vec<Test<Parts>> {
    [
        log::tests(),
        restart::tests(),
        persist::tests(),
        check::tests(),
        propose::tests(),
        ready::tests(),
        apply::tests(),
        fate::tests(),
        read::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
