//! Stage 1: the storage first, then what must survive a crash, then the handlers.

mod contract;
mod crash;
mod cursor;
mod model;
mod raw_batch;
mod raw_cas;
mod raw_delete;
mod raw_get;
mod raw_put;
mod raw_scan;
mod raw_ttl;
mod storage;

use sim::harness::Test;

use crate::protocol::Standalone;

/// The tests, in course order.
pub fn tests() -> Vec<Test<Standalone>> {
    [
        storage::tests(),
        cursor::tests(),
        crash::tests(),
        raw_get::tests(),
        raw_put::tests(),
        raw_delete::tests(),
        raw_scan::tests(),
        raw_batch::tests(),
        raw_cas::tests(),
        raw_ttl::tests(),
        contract::tests(),
        model::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
