//! A peer: one replica of a region, between its clients, its consensus node, its log and its data.
//!
//! A [`Peer`] decides and never waits. Things happen to it (a tick, a message, a proposal, "that is durable now",
//! "those are applied now"); what it wants done it adds to a [`Round`], which its store owns and turns into *one* commit
//! of the log, one of the data, and messages. So it never opens a transaction, and a hundred peers cost no more fsyncs
//! than one.
//!
//! | file | what happens to a peer | and what comes of it |
//! |---|---|---|
//! | `propose` | a client writes | an entry in the leader's log, and a callback that waits for its fate |
//! | `read` | a client reads | an index, and when it is applied, leave to look at the data |
//! | `ready` | consensus wants something | entries to persist, messages, entries to apply, a snapshot to install |
//! | `done` | it is durable, applied, installed | promises are sent, callbacks completed |
//! | `gc` | the log has grown | a command to cut it |
//!
//! # One entry's fate
//!
//! A callback waits under the index *and term* of its entry. When an entry is applied at that index, the fate of all
//! proposals for it is decided: of the same term, it is ours, and happened; of another, ours has lost its place for
//! good, and the answer is `StaleCommand`, which a client may safely retry. A leader that is deposed knows neither; it
//! keeps waiting, and at the deadline says so ([`Refusal::Unknown`]). One that still leads waits on: the entry can be
//! applied any moment.
//!
//! # Invariants
//!
//! - `applied <= persisted` (R1): consensus hands out only what is durable here.
//! - Persisted messages of a Ready leave after all Readys up to it are durable, in order.
//! - Every callback is completed once; it is consumed by that.
//! - While a snapshot is being installed no Ready is taken.

mod done;
mod gc;
mod propose;
mod read;
mod ready;
mod round;

use std::collections::{BTreeMap, VecDeque};

use proto::eraftpb::MessageType;
use proto::metapb::{self, Region};
use proto::raft_cmdpb::{RaftCmdRequest, RaftRequestHeader};
use proto::raft_serverpb::RaftMessage;

pub use gc::GcLimits;
pub use round::{Answer, ReadGrant, Restore, Round, Turned};

use crate::Result;
use crate::apply::Applied;
use crate::callback::Callback;
use crate::error::Refusal;
use crate::node::{NodeStatus, RaftNode};
use crate::storage::RegionReader;

/// How many addresses of strangers are kept. They are hints: all are forgotten when there are too many.
const MAX_STRANGERS: usize = 32;

/// A time in microseconds, from whatever the driver counts from. It never falls.
pub type Micros = u64;

/// Who waits for a write.
pub type WriteCallback = Callback<Applied>;

/// Who waits for a read.
pub type ReadCallback = Callback<Result<RegionReader, Refusal>>;

/// A write on its way to the log.
#[derive(Debug)]
pub struct Write {
    /// What to write.
    pub request: Box<RaftCmdRequest>,
    /// Who waits.
    pub callback: WriteCallback,
    /// When an answer is of no use any more.
    pub deadline: Micros,
}

/// A read.
#[derive(Debug)]
pub struct Read {
    /// Of which region, in which epoch.
    pub header: RaftRequestHeader,
    /// Who waits.
    pub callback: ReadCallback,
    /// When an answer is of no use any more.
    pub deadline: Micros,
}

struct Proposal {
    callback: WriteCallback,
    deadline: Micros,
}

/// A Ready that was handed out, and is not known to be durable.
struct Unpersisted {
    number: u64,
    /// Whether something was written for it that must be synced.
    sync: bool,
    /// What may be sent when it is durable.
    messages: Vec<RaftMessage>,
    /// First and last of its entries.
    entries: Option<(u64, u64)>,
}

/// One replica of a region. See the module.
pub struct Peer<N: RaftNode> {
    node: N,
    me: metapb::Peer,
    region_id: u64,
    /// Everything up to here is applied: readers of the data engine see it.
    applied: u64,
    /// Proposals that wait, by index and term of their entry.
    proposals: BTreeMap<(u64, u64), Proposal>,
    reads: read::Reads,
    /// In the order of their numbers.
    unpersisted: VecDeque<Unpersisted>,
    /// The log is durable up to here, as far as this life knows.
    persisted: u64,
    /// The Ready whose snapshot is being installed.
    installing: Option<u64>,
    /// Ticks since this life began, and when a leader was last heard.
    ticks: u64,
    leader_heard: u64,
    /// Where messages came from that are of no member as far as this peer knows: who has nothing yet knows no member.
    strangers: BTreeMap<u64, metapb::Peer>,
    /// How long a leader's word is good for a hint, in ticks.
    hint_ticks: u64,
    log_bytes: u64,
}

impl<N: RaftNode> Peer<N> {
    /// The peer `me` of a region, over a node that was just started, with everything up to `applied` in the data
    /// engine. `hint_ticks` is how long after a leader's last word it is still named to clients.
    pub fn new(node: N, me: metapb::Peer, applied: u64, hint_ticks: u64) -> Self {
        let region_id = node.storage().region().id;
        let persisted = node.storage().raft_state().last_index;
        Peer {
            node,
            me,
            region_id,
            applied,
            proposals: BTreeMap::new(),
            reads: read::Reads::default(),
            unpersisted: VecDeque::new(),
            persisted,
            installing: None,
            ticks: 0,
            leader_heard: 0,
            strangers: BTreeMap::new(),
            hint_ticks,
            log_bytes: 0,
        }
    }

    /// The region that this is a replica of.
    pub fn region(&self) -> &Region {
        self.node.storage().region()
    }

    /// This peer's id and store.
    pub fn me(&self) -> metapb::Peer {
        self.me
    }

    /// What the node says of itself.
    pub fn status(&self) -> NodeStatus {
        self.node.status()
    }

    /// The node.
    pub fn node(&self) -> &N {
        &self.node
    }

    /// The node, for what only its maker knows about it.
    pub fn node_mut(&mut self) -> &mut N {
        &mut self.node
    }

    /// Everything up to here is in the data engine.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// The log is durable up to here.
    pub fn persisted(&self) -> u64 {
        self.persisted
    }

    /// Whether a snapshot is being installed.
    pub fn is_installing(&self) -> bool {
        self.installing.is_some()
    }

    /// How many writes and reads wait.
    pub fn waiting(&self) -> usize {
        self.proposals.len() + self.reads.len()
    }

    /// The leader, if this peer is sure of it: itself, or one that it has heard a moment ago. Clients follow a hint
    /// without a pause, so that a guess is worse than nothing.
    pub fn certain_leader(&self) -> Option<metapb::Peer> {
        let status = self.node.status();
        let fresh = status.is_leader() || self.ticks - self.leader_heard <= self.hint_ticks;
        let known = self.region().peers.iter().find(|peer| peer.id == status.leader_id);
        known.filter(|_| fresh).copied()
    }

    /// Time has passed: one tick for consensus, and an end for what has waited for too long.
    ///
    /// # Errors
    /// The storage failed.
    pub fn tick(&mut self, now: Micros, round: &mut Round) -> Result<()> {
        self.ticks += 1;
        self.node.tick()?;
        // While this leadership lasts, a proposal of its own can still be applied, and whoever waits for it may hold
        // latches that must not be free before. Its client is not kept: the edge tells it in time.
        let status = self.node.status();
        let mine = |term: u64| status.is_leader() && status.term == term;
        let late: Vec<(u64, u64)> = self
            .proposals
            .iter()
            .filter(|((_, term), proposal)| proposal.deadline <= now && !mine(*term))
            .map(|(&place, _)| place)
            .collect();
        for place in late {
            if let Some(proposal) = self.proposals.remove(&place) {
                let unknown = Refusal::Unknown("it was not applied in time".into());
                round.answers.push(Answer::Write(proposal.callback, Err(unknown)));
            }
        }
        let expired = self.reads.expire(now);
        self.refuse_reads(expired, round);
        Ok(())
    }

    /// A message has come from another peer of the region. What is not for us, or not from a member's mouth, is
    /// dropped; so is a snapshot, which has a door of its own ([`Peer::step_snapshot`]).
    ///
    /// # Errors
    /// The storage failed.
    pub fn step(&mut self, envelope: RaftMessage) -> Result<()> {
        let is_snapshot = envelope
            .message
            .as_ref()
            .is_some_and(|message| message.msg_type() == MessageType::MsgSnapshot);
        if is_snapshot { Ok(()) } else { self.step_any(envelope) }
    }

    /// The snapshot that this message announces is staged, or is of no use and only wants an answer.
    ///
    /// # Errors
    /// The storage failed.
    pub fn step_snapshot(&mut self, envelope: RaftMessage) -> Result<()> {
        self.step_any(envelope)
    }

    fn step_any(&mut self, envelope: RaftMessage) -> Result<()> {
        let (from, to) = (envelope.from_peer, envelope.to_peer);
        let Some(message) = envelope.message else { return Ok(()) };
        let ours = envelope.region_id == self.region_id && to.is_some_and(|to| to.id == self.me.id);
        // The envelope was checked against the connection by whoever received it; the letter must agree with it.
        let honest = from.is_some_and(|from| from.id == message.from && from.id != self.me.id);
        if !ours || !honest || message.to != self.me.id {
            tracing::trace!(region = self.region_id, ?from, ?to, "dropped a stray message");
            return Ok(());
        }
        self.remember(from);
        let word_of_leader = matches!(
            message.msg_type(),
            MessageType::MsgAppend | MessageType::MsgHeartbeat | MessageType::MsgSnapshot
        ) && message.term >= self.node.status().term;
        match self.node.step(message) {
            Ok(()) if word_of_leader => self.leader_heard = self.ticks,
            Ok(()) => {}
            Err(error @ raftcore::Error::Storage(_)) => return Err(error.into()),
            Err(error) => {
                tracing::trace!(region = self.region_id, %error, "refused a message");
            }
        }
        Ok(())
    }

    /// Notes where an answer to somebody must go who is no member here.
    fn remember(&mut self, from: Option<metapb::Peer>) {
        let Some(from) = from else { return };
        if self.region().peers.iter().any(|peer| peer.id == from.id) {
            self.strangers.remove(&from.id);
            return;
        }
        if self.strangers.len() >= MAX_STRANGERS {
            self.strangers.clear();
        }
        self.strangers.insert(from.id, from);
    }

    /// Where the peer with this id is, if anybody has said so.
    pub fn address_of(&self, id: u64) -> Option<metapb::Peer> {
        let member = self.region().peers.iter().find(|peer| peer.id == id);
        member.or_else(|| self.strangers.get(&id)).copied()
    }

    /// Those that have sent something and are no members, as far as this peer knows.
    pub fn strangers(&self) -> impl Iterator<Item = &metapb::Peer> {
        self.strangers.values()
    }

    /// For how many ticks no leader was heard; 0 on a leader.
    pub fn leaderless(&self) -> u64 {
        if self.node.status().is_leader() { 0 } else { self.ticks - self.leader_heard }
    }

    /// An entry that was just applied has changed the region. Reads that still wait were asked of the range as it was: if
    /// it is another one now, they are refused, or a scan would come back short and look whole.
    pub fn set_region(&mut self, region: Region, round: &mut Round) {
        let before = self.region().region_epoch;
        self.node.storage_mut().set_region(region);
        let refusal = crate::region::check_epoch(self.region(), before.as_ref());
        let Err(why) = refusal else { return };
        for read in self.reads.take_all() {
            round.answers.push(Answer::NoRead(read.callback, why.clone()));
        }
    }

    /// The transport could not reach the peer on this store.
    pub fn unreachable(&mut self, store: u64) {
        if let Some(id) = self.peer_on(store) {
            self.node.report_unreachable(id);
        }
    }

    /// The snapshot to the peer on this store has arrived there, or was lost.
    pub fn snapshot_sent(&mut self, store: u64, arrived: bool) {
        if let Some(id) = self.peer_on(store) {
            self.node.report_snapshot(id, arrived);
        }
    }

    fn peer_on(&self, store: u64) -> Option<u64> {
        self.region().peers.iter().find(|peer| peer.store_id == store).map(|peer| peer.id)
    }

    /// This peer is over: everybody who still waits learns that nobody knows.
    pub fn close(&mut self, round: &mut Round) {
        for (_, proposal) in std::mem::take(&mut self.proposals) {
            let unknown = Refusal::Unknown("the peer was closed".into());
            round.answers.push(Answer::Write(proposal.callback, Err(unknown)));
        }
        let reads = self.reads.take_all();
        self.refuse_reads(reads, round);
    }
}
