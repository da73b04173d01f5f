//! Linearizable reads that do not go through the log (thesis 6.4).
//!
//! A read must see every write that was acknowledged before the read began. A leader's state machine has them
//! all, *if it is still the leader*: a deposed one, cut off from the others, does not know that it is. So
//! before it answers, a leader makes sure:
//!
//! 1. It has committed an entry of its own term. Until then it does not know how far the log is committed
//!    (6.4, step 1): drop the read.
//! 2. It notes its commit index, and the read waits for a heartbeat round that is sent *after* the read came.
//! 3. When a quorum has answered that round, no other leader can have existed when the read came: any new one
//!    would have needed a vote of that quorum, and whoever has given it does not answer an older term.
//! 4. The read may be served once the noted index is applied. That is the caller's: a
//!    [`ReadState`] in the next Ready says which index.
//!
//! A round is a number that heartbeats carry and answers bring back ([`heartbeat`](crate::heartbeat)); "the
//! newest round that a quorum has answered" is the same question as "the largest index that a quorum has", and
//! [`Quorum::committed`](crate::Quorum::committed) answers both. Reads that come between two Readys share a round.
//!
//! With a *lease* the round is skipped: see [`lease`](crate::lease).
//!
//! # Invariants
//!
//! - A read waits for a round that left this node after the read came in.
//! - Reads that wait are dropped when the role changes: their callers ask again.
//! - At most [`MAX_WAITING`] reads wait; more are dropped.

use std::collections::VecDeque;

use bytes::Bytes;
use proto::eraftpb::{Entry, Message, MessageType};

use crate::config::Config;
use crate::error::{Error, Result};
use crate::lease::Lease;
use crate::raft::{Raft, Role};
use crate::storage::Storage;
use crate::wire::{NOBODY, message};

/// How many reads may wait for a round.
pub(crate) const MAX_WAITING: usize = 1 << 16;

/// A read that may be served once `index` is applied.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadState {
    /// What must be applied here first.
    pub index: u64,
    /// What the caller gave to `read_index`, so that it knows its read again.
    pub request_ctx: Bytes,
}

/// A read that waits for its round.
#[derive(Debug)]
struct Waiting {
    round: u64,
    index: u64,
    /// Who asked: this node, or a follower.
    from: u64,
    context: Bytes,
}

/// The reads of one leadership, and the rounds that they wait for.
#[derive(Debug, Default)]
pub(crate) struct Reads {
    /// The newest heartbeat round of this leadership.
    round: u64,
    /// Its heartbeats have not left the outbox.
    round_unsent: bool,
    /// In rising order of rounds.
    waiting: VecDeque<Waiting>,
    pub(crate) lease: Lease,
}

impl Reads {
    /// Another role, or another term: whoever waits asks again.
    pub(crate) fn reset(&mut self) {
        self.round = 0;
        self.round_unsent = false;
        self.waiting.clear();
        self.lease.reset();
    }

    pub(crate) fn tick(&mut self) {
        self.lease.tick();
    }

    pub(crate) fn round(&self) -> u64 {
        self.round
    }

    /// Begins a round; its number is the heartbeats' context.
    pub(crate) fn next_round(&mut self, with_lease: bool) -> Bytes {
        self.round += 1;
        self.round_unsent = true;
        if with_lease {
            self.lease.round_begins(self.round);
        }
        Bytes::copy_from_slice(&self.round.to_be_bytes())
    }

    /// What was in the outbox is on its way.
    pub(crate) fn outbox_taken(&mut self) {
        self.round_unsent = false;
    }

    /// Whether this node may have promised its silence in a life that it does not remember.
    pub(crate) fn may_have_promised(&self, config: &Config) -> bool {
        config.lease_read && config.age + self.lease.age() < config.election_tick
    }
}

impl<S: Storage> Raft<S> {
    /// Asks for an index that a read must wait for; the answer is a [`ReadState`] with this context in a later
    /// Ready, or there is none: ask again after a while. On a follower, the leader is asked.
    ///
    /// # Errors
    /// [`Error::NoLeader`] or [`Error::ReadDropped`]: no answer will come.
    pub fn read_index(&mut self, context: Bytes) -> Result<()> {
        if self.role == Role::Leader {
            return self.serve_read(self.id, context);
        }
        if self.leader_id == NOBODY {
            return Err(Error::NoLeader { term: self.term });
        }
        let forward = message(MessageType::MsgReadIndex, self.leader_id);
        let name = Entry { data: context, ..Default::default() };
        self.send(Message { entries: vec![name], ..forward });
        Ok(())
    }

    /// A follower asks for a client.
    pub(crate) fn handle_forwarded_read(&mut self, m: Message) -> Result<()> {
        if self.role != Role::Leader {
            return Err(Error::NoLeader { term: self.term });
        }
        let context = m.entries.into_iter().next().map(|entry| entry.data).unwrap_or_default();
        self.serve_read(m.from, context)
    }

    /// This leader is asked for a read index, by itself or by a follower.
    ///
    /// You will need `log.matches`, `lease_holds` (if `Config::lease_read` is set), `answer_read`,
    /// `bcast_heartbeat`, `reads.waiting` and `confirm_reads`. Before what is a leader's commit index worth
    /// nothing? A round whose heartbeats are still in the outbox (`reads.round_unsent`) will leave after the
    /// read came, and serves it, too.
    fn serve_read(&mut self, from: u64, context: Bytes) -> Result<()> {
        // BEGIN SOLUTION 2AB.read_index
        let index = self.log.committed;
        // Thesis 6.4, step 1. The log may be committed further than we know, until an entry of our own is.
        if !self.log.matches(index, self.term)? {
            return Err(Error::ReadDropped("the leader has not committed an entry of its term"));
        }
        if self.config.lease_read && self.lease_holds()? {
            self.answer_read(from, index, context);
            return Ok(());
        }
        if self.reads.waiting.len() >= MAX_WAITING {
            return Err(Error::ReadDropped("too many reads wait"));
        }
        if !self.reads.round_unsent {
            self.bcast_heartbeat();
        }
        let round = self.reads.round;
        self.reads.waiting.push_back(Waiting { round, index, from, context });
        // In a group of one, nobody else has to be asked.
        self.confirm_reads();
        Ok(())
        // END SOLUTION
    }

    /// Looks again at what a quorum has answered.
    pub(crate) fn confirm_reads(&mut self) {
        if self.reads.waiting.is_empty() && !self.config.lease_read {
            return;
        }
        let confirmed = self.confirmed_round();
        if self.config.lease_read {
            self.renew_lease(confirmed);
        }
        self.answer_confirmed(confirmed);
    }

    /// The newest round that a quorum has answered. This node hears itself.
    fn confirmed_round(&self) -> u64 {
        let answered = |id| match self.progress.get(&id) {
            _ if id == self.id => self.reads.round,
            Some(progress) => progress.acked_round,
            None => 0,
        };
        self.quorum.committed(&answered)
    }

    /// Answers all reads that waited for a round up to this one.
    fn answer_confirmed(&mut self, confirmed: u64) {
        while let Some(first) = self.reads.waiting.front()
            && first.round <= confirmed
            && let Some(read) = self.reads.waiting.pop_front()
        {
            self.answer_read(read.from, read.index, read.context);
        }
    }

    /// The read may be served at `index`: tells whoever asked.
    fn answer_read(&mut self, to: u64, index: u64, context: Bytes) {
        if to == self.id {
            self.read_states.push(ReadState { index, request_ctx: context });
            return;
        }
        let name = Entry { data: context, ..Default::default() };
        let answer = message(MessageType::MsgReadIndexResp, to);
        self.send(Message { index, entries: vec![name], ..answer });
    }
}
