//! What the judge says to a client, and what the client says back.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sim::seam::Protocol;

/// The vocabulary.
pub struct Coordinator;

impl Protocol for Coordinator {
    type Input = Input;
    type Effect = Effect;
}

/// A key.
pub type Key = Vec<u8>;

/// How a client behaves. Times in milliseconds.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Settings {
    /// How long a lock lives.
    pub lock_ttl: u64,
    /// Whether one phase is tried.
    pub one_pc: bool,
    /// How often a piece of work is sent.
    pub tries: u32,
    /// The first pause, and the longest.
    pub pauses: (u64, u64),
}

/// What the judge says, and when.
#[derive(Debug, Serialize, Deserialize)]
pub struct Input {
    /// The client's clock, in milliseconds.
    pub now: u64,
    /// What.
    pub what: What,
}

/// What the judge says.
#[derive(Debug, Serialize, Deserialize)]
pub enum What {
    /// A new client.
    Open(Settings),
    /// `begin`
    Begin,
    /// `get`
    Get(Vec<Key>),
    /// `put`
    Put(Key, Vec<u8>),
    /// `delete`
    Delete(Key),
    /// `commit`
    Commit,
    /// The answer to a question for a timestamp.
    Timestamp(u64, u64),
    /// The answer to a question for a region: `metapb.Region`, and its leader, `metapb.Peer`.
    Region(u64, ByteBuf, ByteBuf),
    /// A store's response to the RPC of this name.
    Response(u64, String, ByteBuf),
    /// No answer will come.
    Nothing(u64),
    /// `tick`
    Tick,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Outcome {
    /// At this timestamp.
    Began(u64),
    /// What the keys hold.
    Read(BTreeMap<Key, Option<Vec<u8>>>),
    /// At this timestamp.
    Committed(u64),
    /// Why.
    Aborted(String),
    /// Why.
    Unknown(String),
    /// Why.
    Failed(String),
}

/// What the client says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Effect {
    /// It wants a timestamp.
    AskTimestamp(u64),
    /// It wants the region that has a position.
    AskRegion(u64, Vec<u8>),
    /// It sends a request: number, store, name of the RPC, encoded request.
    Send(u64, u64, String, ByteBuf),
    /// The call is over.
    Done(Outcome),
    /// When it wants a tick. Comes last, after every input.
    WakesAt(Option<u64>),
}
