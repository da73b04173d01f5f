//! Consensus wants something: one Ready, taken apart.
//!
//! ```text
//!                    at once          this round's write            when that is durable
//!   messages  ------> sent
//!   entries, hard state ------------> raft.redb
//!   persisted messages ------------------------------------------> sent
//!   committed entries  (durable already) ---------> applied
//!   read states ------------------------> wait for their index to be applied
//!   snapshot ------> installed, then raft.redb, then durable
//! ```
//!
//! A Ready of which nothing must be synced costs no fsync: it is durable when those before it are, which may be now.

use proto::eraftpb::{HardState, Message, MessageType, Snapshot};
use proto::raft_serverpb::{RaftLocalState, RaftMessage};
use raftcore::Ready;

use super::{Peer, Restore, Round, Unpersisted};
use crate::apply::ApplyTask;
use crate::error::Error;
use crate::log_store::{LogBatch, LogOp};
use crate::node::RaftNode;
use crate::snapshot::{Install, label};
use crate::{Result, region};

impl<N: RaftNode> Peer<N> {
    /// Takes one Ready, if there is one, and adds what it wants to the round. Returns whether there was one: there may
    /// be another then.
    ///
    /// # Errors
    /// The storage failed.
    pub fn handle_ready(&mut self, round: &mut Round) -> Result<bool> {
        self.drop_reads_of_the_deposed(round);
        self.advance_reads();
        round.build |= self.node.storage_mut().begin_build();
        if self.installing.is_some() || !self.node.has_ready() {
            return Ok(false);
        }
        let ready = self.node.ready()?;
        self.take_apart(ready, round)?;
        Ok(true)
    }

    /// Puts each part of a Ready where it belongs, and advances it.
    ///
    /// You will need, for the parts of a [`Ready`]: `envelopes` for messages of both kinds, `storage_mut().append` for
    /// entries and hard state, [`ApplyTask`], `reads_answered`, and `self.unpersisted`. The order within the round is
    /// the store's; yours is to put each part where it belongs: what may be sent at once, and what must wait for the
    /// disk? And when is a Ready durable that wrote nothing?
    ///
    /// # Errors
    /// The storage failed.
    fn take_apart(&mut self, ready: Ready, round: &mut Round) -> Result<()> {
        // BEGIN SOLUTION 2B.ready
        let mut ready = ready;
        round.messages.extend(self.envelopes(std::mem::take(&mut ready.messages)));
        let messages = self.envelopes(std::mem::take(&mut ready.persisted_messages));
        let entries = ready.entries.first().zip(ready.entries.last());
        self.unpersisted.push_back(Unpersisted {
            number: ready.number,
            sync: ready.must_sync,
            messages,
            entries: entries.map(|(first, last)| (first.index, last.index)),
        });
        if let Some(first) = ready.entries.first() {
            // What these replace is gone, durable or not.
            self.persisted = self.persisted.min(first.index - 1);
        }
        self.log_bytes += ready.entries.iter().map(|entry| entry.data.len() as u64).sum::<u64>();
        if let Some(snapshot) = ready.snapshot.take() {
            self.restore(snapshot, &ready, round)?;
        } else {
            let storage = self.node.storage_mut();
            storage.append(&mut round.log, &ready.entries, ready.hard_state.as_ref());
            round.log.sync |= ready.must_sync;
            if ready.must_sync {
                round.ready = Some(ready.number);
            }
        }
        for state in std::mem::take(&mut ready.read_states) {
            self.reads_answered(&state);
        }
        let committed = std::mem::take(&mut ready.committed_entries);
        if let Some(last) = committed.last() {
            // R1: what is applied must be found again after a crash, and the log is where it is looked for.
            debug_assert!(last.index <= self.persisted, "an entry is applied before it is durable");
            round.apply.push(ApplyTask { region: self.region_id, entries: committed });
        }
        let taken = ready.number;
        self.node.advance_append_async(ready);
        if self.unpersisted.front().is_some_and(|first| first.number == taken && !first.sync) {
            // Nothing before it is on its way to the disk, and nothing of its own.
            self.on_persisted(taken, round)?;
        }
        self.grant_reads(round);
        Ok(())
        // END SOLUTION
    }

    /// Consensus has accepted a snapshot: the log is gone as of now, and the data will be replaced. No Ready is taken
    /// until that is done.
    fn restore(&mut self, snapshot: Snapshot, ready: &Ready, round: &mut Round) -> Result<()> {
        let (metadata, data) = label(&snapshot).ok_or_else(|| {
            Error::Corrupt("consensus accepted a snapshot without a label".into())
        })?;
        let (index, term) = (metadata.index, metadata.term);
        let hard_state = ready.hard_state.or(self.node.storage().raft_state().hard_state);
        let hard_state = hard_state.unwrap_or_default();
        let region = data.region.unwrap_or_default();
        self.node.storage_mut().restored(index, term, region, hard_state);
        // The copy beside the data knows the snapshot, and nothing behind it.
        let raft_state = RaftLocalState {
            hard_state: Some(HardState { commit: index, ..hard_state }),
            last_index: index,
        };
        let region_id = self.region_id;
        let mut then = LogBatch {
            ops: vec![
                LogOp::Clear { region: region_id },
                LogOp::State { region: region_id, state: raft_state },
            ],
            sync: true,
        };
        self.node.storage_mut().append(&mut then, &ready.entries, None);
        let install =
            Install { region_id, snapshot: snapshot.clone(), raft_state, at_once: 0, bytes: 0 };
        round.restore = Some(Restore { snapshot, install, then });
        self.installing = Some(ready.number);
        Ok(())
    }

    /// Messages in their envelopes. Those to whom nobody has given us an address are dropped. The first words to somebody
    /// who may not be there yet say where the region lies, so that its store can tell whether there is room.
    fn envelopes(&self, messages: Vec<Message>) -> Vec<RaftMessage> {
        let region = self.region();
        let envelope = |message: Message| {
            let to_peer = self.address_of(message.to)?;
            let first = match message.msg_type() {
                MessageType::MsgRequestVote | MessageType::MsgRequestPreVote => true,
                MessageType::MsgHeartbeat => message.commit == 0,
                _ => false,
            };
            let range = first.then(|| (region.start_key.clone(), region.end_key.clone()));
            let (start_key, end_key) = range.unwrap_or_default();
            Some(RaftMessage {
                start_key,
                end_key,
                region_id: region.id,
                from_peer: Some(self.me),
                to_peer: Some(to_peer),
                message: Some(message),
                region_epoch: region.region_epoch,
                ..Default::default()
            })
        };
        messages.into_iter().filter_map(envelope).collect()
    }

    /// Refuses everything that waits at or before a snapshot's index: it jumped over the entries that would tell.
    pub(super) fn give_up_proposals(&mut self, upto: u64, round: &mut Round) {
        let later = self.proposals.split_off(&(upto + 1, 0));
        for (_, proposal) in std::mem::replace(&mut self.proposals, later) {
            let unknown =
                crate::Refusal::Unknown("a snapshot went over its place in the log".into());
            round.answers.push(super::Answer::Write(proposal.callback, Err(unknown)));
        }
    }

    /// What becomes of a proposal whose place was taken by another term.
    pub(super) fn lost_its_place() -> crate::Refusal {
        region::stale_command("another leader's entry took its place")
    }
}
