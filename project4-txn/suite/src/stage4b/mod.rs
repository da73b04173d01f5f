//! Stage 4B: reading, then the order of things round a command, then the two phases of a commit. Behind them what is
//! given and stands on them: pessimistic locks, commits whose timestamp the store chooses, garbage collection.

mod bank;
mod commit;
mod gc;
mod get;
mod order;
mod own_commit;
mod pessimistic;
mod prewrite;

use sim::harness::Test;

use crate::protocol::Txn;

/// The tests, in course order.
pub fn tests() -> Vec<Test<Txn>> {
    [
        get::tests(),
        prewrite::tests(),
        commit::tests(),
        order::tests(),
        bank::tests(),
        pessimistic::tests(),
        own_commit::tests(),
        gc::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
