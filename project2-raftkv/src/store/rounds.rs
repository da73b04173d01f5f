//! One round: what has gathered becomes one list of effects, in the order that makes it safe.

use std::mem;

use proto::eraftpb::MessageType;
use standalone::engine::{Durability, WriteBatch};

use super::limits::GATHERED_BYTES;
use super::{Effect, KvWrite, LogWrite, Store, Writing};
use crate::Result;
use crate::apply::Compacted;
use crate::log_store::{LogBatch, LogOp};
use crate::observer::PeerView;

impl Store {
    /// Makes a round. To be called after something has happened; the effects must be carried out in order, and all
    /// before the next call.
    ///
    /// # Errors
    /// The store is broken: nothing of this round may be done.
    pub fn poll(&mut self) -> Result<Vec<Effect>> {
        self.serve_the_held();
        while !self.is_full() {
            let more = self.peer.handle_ready(&mut self.round)?;
            self.apply_committed()?;
            if !more {
                break;
            }
        }
        self.seal();
        self.tell_observers();
        Ok(mem::take(&mut self.outbox))
    }

    /// Whether so much waits for the data's disk that no more is taken.
    fn is_full(&self) -> bool {
        self.committing.is_some() && self.data.bytes() >= GATHERED_BYTES
    }

    /// Applies what consensus has handed out, into the round's one batch of data. Writers need not wait for its commit: see
    /// [`Peer::answer`](crate::peer::Peer::answer). What an admin command changes in the peer is told when the peer
    /// has changed, and what is behind it in the log then or later.
    fn apply_committed(&mut self) -> Result<()> {
        for task in mem::take(&mut self.round.apply) {
            let mut result = self.apply.apply(task, &mut self.data)?;
            if result.outcomes.is_empty() && self.unanswered == 0 {
                self.peer.answer(mem::take(&mut result.entries), &mut self.round);
            } else {
                self.unanswered += 1;
            }
            self.unsynced.add(result.written, self.now);
            self.resting.applied.push(result);
        }
        Ok(())
    }

    /// The data is committed: readers see it, and those who waited for that are let in.
    ///
    /// # Errors
    /// The store is broken.
    pub fn kv_written(&mut self) -> Result<()> {
        let Some(done) = self.committing.take() else { return Ok(()) };
        for result in done.applied {
            for observer in &mut self.observers {
                observer.applied(result.region, result.applied_index, result.written);
            }
            self.unanswered -= usize::from(!result.entries.is_empty());
            for Compacted(truncated) in self.peer.on_applied(result, &mut self.round) {
                self.peer.on_compacted(truncated);
                self.gc_waits = Some(truncated.index);
            }
        }
        self.answer_writers();
        self.outbox.extend(done.effects);
        if done.synced {
            self.on_synced(done.upto);
        }
        Ok(())
    }

    /// All of what was committed is answered. Those behind it need not wait for their own commit, up to the next
    /// admin command.
    fn answer_writers(&mut self) {
        let writes =
            self.resting.applied.iter_mut().take_while(|result| result.outcomes.is_empty());
        for result in writes.filter(|result| !result.entries.is_empty()) {
            self.unanswered -= 1;
            self.peer.answer(mem::take(&mut result.entries), &mut self.round);
        }
    }

    /// Turns the round into effects.
    ///
    /// You will need `send`, `write_log`, `commit_data` and the round's answers. Which of them rest on which? (The
    /// module's story has the order.)
    fn seal(&mut self) {
        // BEGIN SOLUTION 2B.round
        let round = mem::take(&mut self.round);
        // A leader's followers write while it writes; what must wait for its disk is not in here.
        for message in round.messages {
            self.send(message);
        }
        self.write_log(round.log, round.ready);
        // R1: what is applied was durable before this round. R2: so it need not be synced now.
        self.commit_data();
        // Writers' entries are in the logs of a majority, and readers look at what was committed before this round.
        self.outbox.extend(round.answers.into_iter().map(Effect::Answer));
        self.begin_transfers(round.restore, round.build);
        // END SOLUTION
    }

    fn send(&mut self, message: proto::raft_serverpb::RaftMessage) {
        let kind = message.message.as_ref().map(proto::eraftpb::Message::msg_type);
        if kind == Some(MessageType::MsgSnapshot) {
            self.stream(message);
        } else {
            self.outbox.push(Effect::Send(Box::new(message)));
        }
    }

    /// Asks for a commit of the log that makes this Ready durable.
    pub(super) fn write_log(&mut self, batch: LogBatch, ready: Option<u64>) {
        if batch.is_empty() {
            return;
        }
        self.next_write += 1;
        let id = self.next_write;
        self.writing.push_back(Writing { id, ready });
        self.outbox.push(Effect::WriteLog(LogWrite { id, batch }));
    }

    /// Commits the data that has gathered, unless a commit is under way, and syncs it if it is time (R5).
    ///
    /// You will need `self.data`, `self.resting`, `self.flush_is_due`, and
    /// [`Apply::save`](crate::apply::Apply::save): a sync needs something to commit.
    fn commit_data(&mut self) {
        // BEGIN SOLUTION 2B.round
        if self.committing.is_some() {
            return;
        }
        let mut resting = mem::take(&mut self.resting);
        resting.synced |= self.flush_is_due();
        resting.upto = self.apply.state().applied_index;
        let mut batch = mem::replace(&mut self.data, WriteBatch::new());
        if resting.synced && batch.is_empty() {
            self.apply.save(&mut batch);
        }
        if batch.is_empty() {
            return;
        }
        // A page or two.
        self.unsynced.add(1, self.now);
        if resting.synced {
            self.unsynced.clear();
        }
        let durability = if resting.synced { Durability::Immediate } else { Durability::None };
        self.committing = Some(resting);
        self.outbox.push(Effect::WriteKv(KvWrite { batch, durability }));
        // END SOLUTION
    }

    /// The data is durable up to here by itself: only that lets the log be cut (R4).
    fn on_synced(&mut self, upto: u64) {
        self.durable_applied = self.durable_applied.max(upto);
        if let Some(index) = self.gc_waits.take() {
            let region = self.apply.region().id;
            let ops = vec![LogOp::Compact { region, index }];
            self.write_log(LogBatch { ops, sync: false }, None);
        }
    }

    /// R5: every second, every 32 MiB, or when the log waits to be cut; never while a snapshot replaces the data, whose
    /// own commits come from elsewhere.
    fn flush_is_due(&self) -> bool {
        if self.peer.is_installing() {
            return false;
        }
        self.unsynced.is_due(self.now) || self.gc_waits.is_some()
    }

    fn tell_observers(&mut self) {
        if self.observers.is_empty() {
            return;
        }
        let status = self.peer.status();
        let view = PeerView {
            region: self.peer.region().clone(),
            me: self.peer.me(),
            leader: self.peer.certain_leader(),
            is_leader: status.is_leader(),
            term: status.term,
        };
        if self.told.as_ref() == Some(&view) {
            return;
        }
        for observer in &mut self.observers {
            observer.changed(&view);
        }
        self.told = Some(view);
    }
}
