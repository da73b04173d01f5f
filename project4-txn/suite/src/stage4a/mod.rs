//! Stage 4A: keys first, then what a transaction writes, then what a reader finds.

mod key;
mod model;
mod read;
mod record;
mod txn;

use sim::harness::Test;

use crate::protocol::Txn;

/// The tests, in course order.
pub fn tests() -> Vec<Test<Txn>> {
    [key::tests(), txn::tests(), read::tests(), record::tests(), model::tests()]
        .into_iter()
        .flatten()
        .collect()
}
