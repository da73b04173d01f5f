//! How the world speaks to clients' and stores' code without knowing a single message type.
//!
//! `sim` links no project crate, so it cannot build a `RawPutRequest` or read a `RaftMessage`. A suite, which
//! links the messages, gives it a [`Dialect`]: encode this operation, decode that answer, describe that message.
//! The judge trusts it: it is the judge's own code.

use super::protocol::{Channel, Micros, NodeId};
use crate::history::{Op, OpResult};
use crate::trace::Event;

/// What a response means to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// The result.
    Result(OpResult),
    /// Not here, and surely not done: ask that store, or (`None`) another after a pause.
    NotLeader(Option<NodeId>),
    /// Surely not done; ask again after a pause.
    Retry(String),
    /// Surely not done, and no use asking again.
    Refused(String),
    /// Nobody knows whether it was done.
    Unknown(String),
    /// No correct store answers so. Ends the run as a violation.
    Nonsense(String),
}

/// A vote that a message grants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vote {
    /// In which term.
    pub term: u64,
    /// To which peer.
    pub candidate: u64,
}

/// What a message acknowledges as stored durably.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ack {
    /// The sender's term.
    pub term: u64,
    /// All entries up to this index match the leader's and are durable.
    pub index: u64,
}

/// What a message says, as far as traces and monitors care.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MessageInfo {
    /// Its type: `Append`, `RequestVote`, ...
    pub kind: String,
    /// The rest in the compact notation: `base=4@1 [5@3] commit=4`.
    pub text: String,
    /// The region that it is about; 0: none.
    pub region: u64,
    /// A *real* vote that it grants (not a PreVote).
    pub vote: Option<Vote>,
    /// A success answer to an append or a snapshot.
    pub ack: Option<Ack>,
}

/// A suite's tongue.
pub trait Dialect {
    /// The RPC for an operation: its name, and the encoded request, as `client` sends it to store `to`.
    fn request(&mut self, client: u64, op: &Op, to: NodeId) -> (String, Vec<u8>);

    /// What the response from `from` says.
    fn answer(&mut self, client: u64, op: &Op, from: NodeId, response: &[u8]) -> Answer;

    /// A message has come to somebody who is no store of this world, but whom the suite plays itself (a scheduler). What
    /// it answers, to whom: each answer travels like any message.
    fn hears(
        &mut self,
        now: Micros,
        from: NodeId,
        to: NodeId,
        bytes: &[u8],
    ) -> Vec<(NodeId, Vec<u8>)> {
        let _ = (now, from, to, bytes);
        Vec::new()
    }

    /// What a message between stores says. The default knows nothing: then promises in messages are not
    /// watched, and traces show only sizes.
    fn message(&mut self, from: NodeId, to: NodeId, channel: Channel, bytes: &[u8]) -> MessageInfo {
        let _ = (from, to, bytes);
        MessageInfo { kind: channel.to_string(), ..MessageInfo::default() }
    }

    /// More about a message, for a trace that is kept: better words in `info`, and what the message tells of its sender
    /// (locks, records). It is called right after [`Dialect::message`], and must not change what that says later.
    fn traced(
        &mut self,
        link: (NodeId, NodeId, Channel),
        bytes: &[u8],
        info: &mut MessageInfo,
    ) -> Vec<Event> {
        let _ = (link, bytes, info);
        Vec::new()
    }
}
