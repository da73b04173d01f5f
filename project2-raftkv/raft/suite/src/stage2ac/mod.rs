//! Stage 2AC: the Ready contract, between consensus and who drives it.
//!
//! A Ready says what to write, what to send and what to apply; the driver says when it is done. What may
//! leave before the write is durable, what must wait, and what happens in between, is what the paper means
//! by "updated on stable storage before responding to RPCs".

mod compacted;
mod contract;
mod inflight;
mod start;
mod steps;
mod storm;

use sim::harness::Test;

use crate::protocol::RaftNode;

/// The tests, in course order.
pub fn tests() -> Vec<Test<RaftNode>> {
    [
        steps::tests(),
        start::tests(),
        compacted::tests(),
        contract::tests(),
        inflight::tests(),
        storm::tests(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
