//! One round: what has gathered in all regions becomes one list of effects, in the order that makes it safe.
//!
//! ```text
//!   WriteLog       what rested on data that was written: new regions' first states, dead peers' logs, entries that may
//!                  go (R4)
//!   Send*          what may leave whatever the disk does
//!   WriteLog       one commit for all regions; `log_written` brings the promises that wait for it
//!   WriteKv        one transaction for all regions; synced if a region has changed (R3), or if it is time (R5). One is
//!                  under way at a time: what is applied meanwhile gathers, and `kv_written` brings those who wait to
//!                  read it, the changed regions, and the next one
//!   Answer*        writers, whose entries a majority has; readers, whose data is committed
//!   Job, Stream, Scheduler    the slow work, and the talk about what has happened
//! ```
//!
//! So a store has two batch systems, as TiKV has: the loop polls the peers, and the kv writer commits what they have
//! applied, while the loop goes on. redb has one writer a file; TiKV, whose engine has many, applies on several threads.

use std::collections::BTreeSet;
use std::mem;

use proto::eraftpb::MessageType;
use proto::raft_serverpb::RaftMessage;
use raftkv::Result;
use raftkv::callback::callback;
use raftkv::cmd;
use raftkv::log_store::{LogBatch, LogOp};
use raftkv::observer::PeerView;
use raftkv::peer::Write;
use raftkv::store::limits::GATHERED_BYTES;
use raftkv::store::{KvWrite, LogWrite};
use standalone::engine::{Durability, WriteBatch};

use super::{Effect, Job, MultiStore, Writing};
use crate::membership::MembershipNode;

impl<N: MembershipNode> MultiStore<N> {
    /// Makes a round. To be called after something has happened, until it returns nothing; the effects must be carried out
    /// in order, and all before the next call.
    ///
    /// # Errors
    /// The store is broken: nothing of this round may be done.
    pub fn poll(&mut self) -> Result<Vec<Effect>> {
        if !self.is_full() {
            let busy = mem::take(&mut self.busy);
            for &region in &busy {
                self.serve_the_held(region);
                self.poll_region(region)?;
            }
            self.tell_observers(&busy);
        }
        self.seal();
        self.outbox.append(&mut self.last_words);
        Ok(mem::take(&mut self.outbox))
    }

    fn poll_region(&mut self, region: u64) -> Result<()> {
        while let Some(replica) = self.replicas.get_mut(&region) {
            // Before a read relies on a lease. Ticks do not come while the region sleeps, or the process.
            let now = (self.now - replica.began) / self.config.tick;
            replica.peer.node_mut().set_now(now);
            let more = replica.peer.handle_ready(&mut self.round)?;
            if let Some(ready) = self.round.ready.take() {
                self.readys.push((region, replica.life, ready));
            }
            let (restore, build) = (self.round.restore.take(), mem::take(&mut self.round.build));
            self.begin_transfers(region, restore, build);
            self.apply_committed(region)?;
            if !more {
                return Ok(());
            }
        }
        Ok(())
    }

    /// Whether so much waits for the data's disk that no more is taken: the peers are silent until it has caught up.
    pub(super) fn is_full(&self) -> bool {
        self.committing.is_some() && self.data.bytes() >= GATHERED_BYTES
    }

    /// Turns the round into effects.
    ///
    /// You will need `send`, `write_log`, `commit_data`, the round's answers (`self.complete` each), and
    /// `self.to_scheduler`. Which of them rest on which? (The module's story has the order.)
    fn seal(&mut self) {
        // BEGIN SOLUTION 3B.seal
        let round = mem::take(&mut self.round);
        for message in round.messages {
            self.send(message);
        }
        let readys = mem::take(&mut self.readys);
        self.write_log(round.log, readys);
        // R1: what is applied was durable before this round.
        self.commit_data();
        // Writers' entries are in the logs of a majority, and readers look at what was committed before this round.
        for mut answer in round.answers {
            self.complete(&mut answer);
            self.outbox.push(Effect::Answer(answer));
        }
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
        self.writing.push_back(Writing { id, readys, jobs: Vec::new() });
        self.outbox.push(Effect::WriteLog(LogWrite { id, batch }));
    }

    /// Commits the data that has gathered, unless a commit is under way, and syncs it if it must be, or if it is time (R5).
    fn commit_data(&mut self) {
        if self.committing.is_some() {
            return;
        }
        let mut resting = mem::take(&mut self.resting);
        let mut batch = mem::replace(&mut self.data, WriteBatch::new());
        resting.synced |= self.flush_is_due();
        if resting.synced && batch.is_empty() {
            // A sync needs something to commit. Not the state of one whose data is being replaced.
            let steady = |region: &u64| {
                self.replicas.get(region).filter(|replica| !replica.peer.is_installing())
            };
            if let Some(replica) = self.unsynced_regions.iter().find_map(steady) {
                replica.apply.save(&mut batch);
            }
        }
        if batch.is_empty() {
            // All that these rest on is there.
            self.begin(resting.jobs);
            return;
        }
        // A page or two.
        self.unsynced.add(1, self.now);
        if resting.synced {
            self.unsynced.clear();
            for region in mem::take(&mut self.unsynced_regions) {
                let Some(replica) = self.replicas.get(&region) else { continue };
                let upto = replica.apply.state().applied_index;
                resting.durable.push((region, replica.life, upto));
            }
        }
        let durability = if resting.synced { Durability::Immediate } else { Durability::None };
        self.committing = Some(resting);
        self.outbox.push(Effect::WriteKv(KvWrite { batch, durability }));
    }

    /// Work off the loop begins, but never before older work that still waits for the log: who has taken a dead peer's place must
    /// not lose its data to the other's burial.
    fn begin(&mut self, jobs: Vec<Job>) {
        match self.writing.iter_mut().rfind(|write| !write.jobs.is_empty()) {
            Some(waiting) => waiting.jobs.extend(jobs),
            None => self.send_off(jobs),
        }
    }

    pub(super) fn send_off(&mut self, jobs: Vec<Job>) {
        self.outbox.extend(jobs.into_iter().map(|job| Effect::Job(Box::new(job))));
    }

    /// The data is committed, and readers see it: what rested on it goes on.
    ///
    /// # Errors
    /// The store is broken.
    pub fn kv_written(&mut self) -> Result<()> {
        let Some(done) = self.committing.take() else { return Ok(()) };
        for (region, life, result) in done.applied {
            self.applied(region, life, result)?;
        }
        self.answer_writers();
        let cleared = !done.log.is_empty();
        self.after_data.merge(done.log);
        for (region, life, upto) in done.durable {
            self.durable(region, life, upto);
        }
        let (after, born) = (mem::take(&mut self.after_data), mem::take(&mut self.born));
        self.write_log(after, born);
        match self.writing.back_mut() {
            // A dead peer's data goes last, behind its log: while it is there, a restart knows that something is left.
            Some(last) if cleared => last.jobs = done.jobs,
            _ => self.begin(done.jobs),
        }
        Ok(())
    }

    /// All of what was committed is answered. Those behind it need not wait for their own commit, up to the next change.
    fn answer_writers(&mut self) {
        let mut change = BTreeSet::new();
        for (region, life, result) in &mut self.resting.applied {
            let here = self.replicas.get_mut(region).filter(|replica| replica.life == *life);
            let Some(replica) = here.filter(|replica| replica.unanswered > 0) else { continue };
            if !result.outcomes.is_empty() {
                change.insert(*region);
            } else if !result.entries.is_empty() && !change.contains(region) {
                replica.unanswered -= 1;
                replica.peer.answer(mem::take(&mut result.entries), &mut self.round);
            }
        }
    }

    /// What a region has applied up to here is durable: its log may be cut (R4).
    fn durable(&mut self, region: u64, life: u64, upto: u64) {
        let here = self.replicas.get_mut(&region);
        let Some(replica) = here.filter(|replica| replica.life == life) else { return };
        if replica.peer.is_installing() {
            return;
        }
        replica.durable_applied = replica.durable_applied.max(upto);
        if let Some(index) = replica.gc_waits.take() {
            self.after_data.ops.push(LogOp::Compact { region, index });
        }
    }

    /// R5: every second, every 32 MiB, or when a log waits to be cut.
    fn flush_is_due(&self) -> bool {
        let waits = |region: &u64| {
            self.replicas.get(region).is_some_and(|replica| replica.gc_waits.is_some())
        };
        self.unsynced.is_due(self.now) || self.unsynced_regions.iter().any(waits)
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
