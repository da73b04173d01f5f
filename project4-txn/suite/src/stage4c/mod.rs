//! Stage 4C: scans, and what is done about transactions whose owner is gone.

mod async_commit;
mod bank;
pub(crate) mod model;
mod resolve;
mod rollback;
mod scan;
mod status;

use sim::harness::Test;

use crate::protocol::Txn;

/// The tests, in course order.
pub fn tests() -> Vec<Test<Txn>> {
    [
        scan::tests(),
        rollback::tests(),
        status::tests(),
        resolve::tests(),
        model::tests(),
        bank::tests(),
        async_commit::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
