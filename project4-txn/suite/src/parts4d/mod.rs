//! Stage 4D in parts: the client's half of Percolator, with the judge in the place of all stores.
//!
//! - [`protocol`]: the vocabulary.
//! - `desk`: what a test holds in its hands: a client, the requests that it has sent, and three regions.
//! - the others: the tests, a module per hole. Each one's doc comment is the long form of its failure text.

mod commit;
pub(crate) mod desk;
mod group;
mod prewrite;
pub mod protocol;
mod read;
mod refused;
mod resolve;
mod rollback;

use sim::harness::Test;

use protocol::Coordinator;

/// The tests, in course order.
pub fn tests() -> Vec<Test<Coordinator>> {
    [
        group::tests(),
        refused::tests(),
        read::tests(),
        resolve::tests(),
        prewrite::tests(),
        commit::tests(),
        rollback::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
