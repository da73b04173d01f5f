//! What doors, stores and the oracle say to each other: `kvrpcpb`'s messages, and around them what gRPC would know (which
//! method, which question an answer belongs to).

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sim::history::Bytes;

/// The oracle's place in a world. Beside it stands project 3's scheduler, to whom stores speak as they always did.
pub const ORACLE: u64 = 1_001;

/// A door asks a store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ToStore {
    /// The question's number.
    pub id: u64,
    /// The RPC.
    pub method: String,
    /// The encoded request.
    pub bytes: ByteBuf,
}

/// A store answers a door.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct FromStore {
    /// The question's number.
    pub id: u64,
    /// The RPC.
    pub method: String,
    /// The encoded response; none: a gRPC status, which says nothing about what was done.
    pub response: Option<ByteBuf>,
}

/// A door or a store asks the oracle.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum ToOracle {
    /// For a timestamp.
    Timestamp(u64),
    /// Which region has this position, and who leads it?
    Region(u64, Vec<u8>),
    /// Up to when may garbage be collected?
    SafePoint,
}

/// The oracle answers.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum FromOracle {
    /// To a question for a timestamp.
    Timestamp(u64, u64),
    /// `metapb.Region` and its leader, `metapb.Peer`, if they are known.
    Region(u64, Option<(ByteBuf, ByteBuf)>),
    /// All that nobody can see at or after this timestamp.
    SafePoint(u64),
}

/// What a door tells of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Told {
    /// It has committed; what each of its steps left.
    Committed(Vec<Option<Bytes>>),
    /// It has not, and never will.
    Aborted(String),
    /// Nobody knows.
    Unknown(String),
}

/// As bytes.
pub fn encode(message: &impl Serialize) -> ByteBuf {
    postcard::to_stdvec(message).unwrap_or_default().into()
}

/// From bytes.
pub fn decode<T: DeserializeOwned>(bytes: &[u8]) -> Option<T> {
    postcard::from_bytes(bytes).ok()
}
