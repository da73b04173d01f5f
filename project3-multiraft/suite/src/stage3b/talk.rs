//! What stores and the scheduler say to each other in a world: the messages are `pdpb`'s, encoded; around them stands what
//! gRPC would know (which method, which question an answer belongs to).

use serde::{Deserialize, Serialize};

/// The scheduler's place in a world: no store has this id.
pub const SCHEDULER: u64 = 1_000;

/// A store speaks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ToScheduler {
    /// `RegionHeartbeatRequest`.
    Region(Vec<u8>),
    /// `AskBatchSplitRequest`.
    AskSplit(Vec<u8>),
    /// `ReportBatchSplitRequest`.
    ReportSplit(Vec<u8>),
}

/// The scheduler speaks.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum FromScheduler {
    /// `RegionHeartbeatResponse`, with something to do.
    Operator(Vec<u8>),
    /// The answer to a split.
    SplitIds {
        /// The region of the question, `metapb.Region`.
        asked: Vec<u8>,
        /// `AskBatchSplitResponse`.
        ids: Vec<u8>,
    },
}

impl ToScheduler {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}

impl FromScheduler {
    /// As bytes.
    pub fn encode(&self) -> Vec<u8> {
        postcard::to_stdvec(self).unwrap_or_default()
    }

    /// From bytes.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        postcard::from_bytes(bytes).ok()
    }
}
