//! What peers want done: a round of the store's loop collects it, and the store does it.

use proto::eraftpb;
use proto::metapb::Region;
use proto::raft_serverpb::RaftMessage;

use super::{ReadCallback, WriteCallback};
use crate::apply::{Applied, ApplyTask};
use crate::error::Refusal;
use crate::log_store::LogBatch;
use crate::snapshot::Install;

/// An answer to a client, to be given in its place in the round. What it rests on is done already: a writer's entry is in the logs
/// of a majority, a reader's data is committed.
#[derive(Debug)]
pub enum Answer {
    /// A write's.
    Write(WriteCallback, Applied),
    /// Reads that may look at the data as it is then.
    Grant(Vec<ReadCallback>, ReadGrant),
    /// A read's refusal.
    NoRead(ReadCallback, Refusal),
}

/// Leave to read.
#[derive(Debug, Clone, PartialEq)]
pub struct ReadGrant {
    /// The region that may be read.
    pub region: Region,
    /// The term in which the peer was sure to lead.
    pub term: u64,
}

/// A request that was not taken, and comes back to be held or refused.
#[derive(Debug)]
pub struct Turned<R> {
    /// Why.
    pub why: Refusal,
    /// The request, unharmed.
    pub request: R,
}

impl<R> Turned<R> {
    /// Gives `request` back. In a box, since a request is large, and this is rare.
    pub(super) fn back(why: Refusal, request: R) -> Result<(), Box<Self>> {
        Err(Box::new(Turned { why, request }))
    }
}

/// A snapshot that consensus has accepted.
#[derive(Debug)]
pub struct Restore {
    /// The label; its parts are staged.
    pub snapshot: eraftpb::Snapshot,
    /// The installation, but for how much is staged.
    pub install: Install,
    /// What goes into the log when the data is durable, and not before.
    pub then: LogBatch,
}

/// What one round wants done. The store does it in this order: `messages`, `log`, `apply`, `answers`.
#[derive(Debug, Default)]
pub struct Round {
    /// To be sent, whatever the disk does.
    pub messages: Vec<RaftMessage>,
    /// To be written; one commit for all.
    pub log: LogBatch,
    /// The last Ready that the write of `log` makes durable.
    pub ready: Option<u64>,
    /// To be applied.
    pub apply: Vec<ApplyTask>,
    /// To be answered.
    pub answers: Vec<Answer>,
    /// To be installed.
    pub restore: Option<Restore>,
    /// Somebody needs a snapshot that must be built first.
    pub build: bool,
}
