//! One round: what has gathered in all regions becomes one list of effects, in the order that makes it safe.
//!
//! ```text
//!   Send*          what may leave whatever the disk does
//!   WriteLog       one commit for all regions; `log_written` brings the promises that wait for it
//!   CommitKv       one transaction for all regions; durable if a region has changed (R3), or if it is time (R5)
//!   WriteLog       what rests on that: new regions' first states, dead peers' logs, entries that may go (R4)
//!   Answer*        clients; what they are told is visible now
//!   Job, Stream, Scheduler    the slow work, and the talk about what has happened
//! ```

use std::mem;

use proto::eraftpb::MessageType;
use proto::raft_serverpb::RaftMessage;
use raftkv::Result;
use raftkv::callback::callback;
use raftkv::cmd;
use raftkv::log_store::{LogBatch, LogOp};
use raftkv::observer::PeerView;
use raftkv::peer::Write;
use raftkv::store::LogWrite;
use standalone::engine::{Durability, WriteBatch};

use super::{Effect, MultiStore, Writing};
use crate::membership::MembershipNode;

impl<N: MembershipNode> MultiStore<N> {
    /// Makes a round. To be called after something has happened, until it returns nothing; the effects must be carried out
    /// in order, and all before the next call.
    ///
    /// # Errors
    /// The store is broken: nothing of this round may be done.
    pub fn poll(&mut self) -> Result<Vec<Effect>> {
        let busy = mem::take(&mut self.busy);
        for &region in &busy {
            self.serve_the_held(region);
            self.poll_region(region)?;
        }
        self.tell_observers(&busy);
        self.seal();
        self.outbox.append(&mut self.last_words);
        Ok(mem::take(&mut self.outbox))
    }

    fn poll_region(&mut self, region: u64) -> Result<()> {
        while let Some(replica) = self.replicas.get_mut(&region) {
            let more = replica.peer.handle_ready(&mut self.round)?;
            if let Some(ready) = self.round.ready.take() {
                self.readys.push((region, replica.life, ready));
            }
            let (restore, build) = (self.round.restore.take(), mem::take(&mut self.round.build));
            self.begin_transfers(region, restore, build);
            if self.apply_committed(region)? {
                // R3: what it says from now on rests on a change that is not durable yet.
                self.busy.insert(region);
                return Ok(());
            }
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Turns the round into effects.
    ///
    /// You will need `send`, `write_log`, `commit_data`, `self.after_data`, the round's answers (`self.complete` each), and
    /// what is slow: `self.jobs`, `self.to_scheduler`. Which of them rest on which? (The module's story has the order.)
    fn seal(&mut self) {
        // BEGIN SOLUTION 3B.seal
        let round = mem::take(&mut self.round);
        for message in round.messages {
            self.send(message);
        }
        let readys = mem::take(&mut self.readys);
        self.write_log(round.log, readys);
        // R3: what has changed in a region is durable before anything below rests on it.
        self.commit_data();
        let (after, born) = (mem::take(&mut self.after_data), mem::take(&mut self.born));
        self.write_log(after, born);
        // Behind the commit: who is told that it is written can read it.
        for mut answer in round.answers {
            self.complete(&mut answer);
            self.outbox.push(Effect::Answer(answer));
        }
        let jobs = mem::take(&mut self.jobs);
        self.outbox.extend(jobs.into_iter().map(|job| Effect::Job(Box::new(job))));
        let messages = mem::take(&mut self.to_scheduler);
        self.outbox.extend(messages.into_iter().map(|m| Effect::Scheduler(Box::new(m))));
        // END SOLUTION
    }

    fn send(&mut self, message: RaftMessage) {
        let kind = message.message.as_ref().map(proto::eraftpb::Message::msg_type);
        if kind == Some(MessageType::MsgSnapshot) {
            self.stream(message);
        } else {
            self.outbox.push(Effect::Send(Box::new(message)));
        }
    }

    /// Asks for a commit of the log that makes these Readys durable.
    pub(super) fn write_log(&mut self, batch: LogBatch, readys: Vec<(u64, u64, u64)>) {
        if batch.is_empty() {
            return;
        }
        self.next_write += 1;
        let id = self.next_write;
        self.writing.push_back(Writing { id, readys });
        self.outbox.push(Effect::WriteLog(LogWrite { id, batch }));
    }

    /// Commits the round's data, and syncs it if it must be, or if it is time (R5). Only what is synced lets logs be cut
    /// (R4).
    fn commit_data(&mut self) {
        let flush = mem::take(&mut self.must_sync) || self.flush_is_due();
        let mut batch = mem::replace(&mut self.data, WriteBatch::new());
        if flush && batch.is_empty() {
            // A sync needs something to commit. Not the state of one whose data is being replaced.
            let steady = |region: &u64| {
                self.replicas.get(region).filter(|replica| !replica.peer.is_installing())
            };
            if let Some(replica) = self.unsynced_regions.iter().find_map(steady) {
                replica.apply.save(&mut batch);
            }
        }
        if batch.is_empty() {
            return;
        }
        self.unsynced += 1;
        let durability = if flush { Durability::Immediate } else { Durability::None };
        self.outbox.push(Effect::CommitKv { batch, durability });
        if flush {
            self.flushed();
        }
    }

    /// Everything that was committed to the data is durable: logs may be cut.
    fn flushed(&mut self) {
        self.unsynced = 0;
        self.flushed_at = self.now;
        for region in mem::take(&mut self.unsynced_regions) {
            let Some(replica) = self.replicas.get_mut(&region) else { continue };
            if replica.peer.is_installing() {
                continue;
            }
            replica.durable_applied = replica.apply.state().applied_index;
            if let Some(index) = replica.gc_waits.take() {
                self.after_data.ops.push(LogOp::Compact { region, index });
            }
        }
    }

    /// R5: every second, every 32 MiB, or when a log waits to be cut.
    fn flush_is_due(&self) -> bool {
        let due = self.now.saturating_sub(self.flushed_at) >= self.config.flush_every;
        let waits = |region: &u64| {
            self.replicas.get(region).is_some_and(|replica| replica.gc_waits.is_some())
        };
        (self.unsynced > 0 && due)
            || self.unsynced >= self.config.flush_bytes
            || self.unsynced_regions.iter().any(waits)
    }

    /// Proposes to cut a region's log, if it is time and no such proposal is on its way.
    pub(super) fn cut_the_log(&mut self, region: u64) {
        let Some(replica) = self.replicas.get_mut(&region) else { return };
        if replica.gc_proposed.as_mut().is_some_and(|proposed| proposed.try_take().is_none()) {
            return;
        }
        replica.gc_proposed = None;
        let durable = replica.durable_applied;
        if !replica.peer.log_is_long(self.config.gc, durable) {
            return;
        }
        let Some((header, admin)) = replica.peer.log_gc(self.config.gc, durable) else { return };
        let (callback, waiter) = callback();
        let request = cmd::admin_request(header, admin);
        let deadline = self.now.saturating_add(10_000_000);
        if replica.peer.propose(Write { request, callback, deadline }).is_ok() {
            replica.gc_proposed = Some(waiter);
        }
    }

    fn tell_observers(&mut self, regions: &std::collections::BTreeSet<u64>) {
        for region in regions {
            let Some(replica) = self.replicas.get_mut(region) else { continue };
            if !replica.is_initialised() {
                continue;
            }
            let status = replica.peer.status();
            let view = PeerView {
                region: replica.region().clone(),
                me: replica.me,
                leader: replica.peer.certain_leader(),
                is_leader: status.is_leader(),
                term: status.term,
            };
            if replica.told.as_ref() == Some(&view) {
                continue;
            }
            for observer in &mut self.observers {
                observer.changed(&view);
            }
            let leads = |told: &PeerView| told.is_leader && told.term == view.term;
            if view.is_leader && !replica.told.as_ref().is_some_and(leads) {
                // The scheduler and its clients look for it.
                replica.heard.clear();
                replica.heartbeat_in = 0;
            }
            replica.told = Some(view);
            self.tick_heartbeat(*region);
        }
    }
}
