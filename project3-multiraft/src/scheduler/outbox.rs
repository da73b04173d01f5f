//! What a [`Cluster`](super::Cluster) wants done: writes to be saved, orders to be sent.

use bytes::Bytes;
use proto::pdpb::RegionHeartbeatResponse;

/// One change of what is on disk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Where; see [`saved`](super::saved).
    pub key: Vec<u8>,
    /// What; none deletes.
    pub value: Option<Bytes>,
}

/// The effects of the calls since it was taken last.
///
/// The rule of the outbox: if `must_sync`, the writes are durable *before* any answer or order of the same calls
/// leaves. A cluster whose writes cannot be saved is ahead of its disk and must not be used again.
#[derive(Debug, Default)]
pub struct Outbox {
    /// To be saved as one batch, in this order.
    pub writes: Vec<Write>,
    /// Whether the answers wait for them. What regions look like is only a memory aid (their leaders will tell it
    /// again), so those writes may be lost.
    pub must_sync: bool,
    /// To be sent to the store of each one's `target_peer`. An order that is lost is given again.
    pub orders: Vec<RegionHeartbeatResponse>,
}

impl Outbox {
    /// Saves before the answer leaves.
    pub(super) fn save(&mut self, key: Vec<u8>, value: impl Into<Bytes>) {
        self.must_sync = true;
        self.remember(key, value);
    }

    /// Saves at leisure.
    pub(super) fn remember(&mut self, key: Vec<u8>, value: impl Into<Bytes>) {
        self.writes.push(Write { key, value: Some(value.into()) });
    }

    /// Deletes at leisure.
    pub(super) fn forget(&mut self, key: Vec<u8>) {
        self.writes.push(Write { key, value: None });
    }
}
