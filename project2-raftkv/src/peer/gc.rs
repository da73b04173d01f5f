//! The log has grown: where to cut it.
//!
//! The leader decides, and proposes a command, so that all replicas cut at the same place and agree on where their logs
//! start. A follower that then lacks entries gets a snapshot instead, which is dear; so the leader spares those that are
//! a little behind, and gives up on those that are behind by twice the limit (or else a dead follower would fill
//! everybody's disks).

use proto::raft_cmdpb::{AdminRequest, RaftRequestHeader};

use super::Peer;
use crate::apply::CompactLog;
use crate::node::RaftNode;

/// When a log is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GcLimits {
    /// At so many applied entries.
    pub entries: u64,
    /// Or at so many bytes of them.
    pub bytes: u64,
}

impl<N: RaftNode> Peer<N> {
    /// Whether so much is applied, durably, and still in the log, that this leader should cut it.
    pub fn log_is_long(&self, limits: GcLimits, durable: u64) -> bool {
        let kept = durable.saturating_sub(self.node.storage().truncated().index);
        let long = kept >= limits.entries || self.log_bytes >= limits.bytes;
        long && self.node.status().is_leader()
    }

    /// The command that cuts a long log, if there is a place to cut.
    ///
    /// You will need `status().slowest_match`, `storage().truncated()`, `self.log_bytes` and `storage().term_of`. Nothing
    /// behind `durable`, the last index whose effect is durable in the data engine, may ever be cut.
    pub fn log_gc(
        &self,
        limits: GcLimits,
        durable: u64,
    ) -> Option<(RaftRequestHeader, AdminRequest)> {
        // BEGIN SOLUTION 2CB.log_gc
        let status = self.node.status();
        let truncated = self.node.storage().truncated().index;
        let kept = durable.saturating_sub(truncated);
        let too_much = kept >= 2 * limits.entries || self.log_bytes >= 2 * limits.bytes;
        let index = if too_much { durable } else { durable.min(status.slowest_match) };
        if index <= truncated {
            return None;
        }
        let term = self.node.storage().term_of(index).ok()?;
        let header = RaftRequestHeader {
            region_id: self.region_id,
            peer: Some(self.me),
            region_epoch: self.region().region_epoch,
            term: status.term,
            ..Default::default()
        };
        Some((header, CompactLog::request(index, term)))
        // END SOLUTION
    }
}
