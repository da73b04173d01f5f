//! Replication (paper, 5.3 and 5.4.2).
//!
//! A leader sends each follower the entries that it lacks, together with index and term of the entry just
//! before them. A follower takes them only if it has that one; so, by induction, logs that agree in one entry
//! agree in all before it. If it has not, it refuses with a hint, and the leader goes back.
//!
//! An entry that a majority has durably is committed, *if it is of the leader's term*; with it, everything
//! before it is. Counting an entry of an earlier term is figure 8: it can be on a majority, and still be replaced.
//!
//! ```text
//!   propose         Ready                          Ready                            Ready
//! n1 --+-- append ---+---> n2  has the base? ------+---> n1  a majority? commit -----+---> n2  commit
//!      |  to its log |         write, then answer  |         hand out to apply       |         apply
//! ```
//!
//! Nothing is sent when something happens; the next Ready asks each member's [`Progress`]
//! whether it wants an append, and so one message carries everything that came together.
//!
//! # Invariants
//!
//! - A follower cuts its log only at an entry that conflicts, never at the end of a message.
//! - `committed` counts durable copies only: the leader's own log is one of them when *its* disk has it.

use proto::eraftpb::{Message, MessageType};

use crate::error::Result;
use crate::progress::{Progress, ProgressState};
use crate::raft::{Raft, Role};
use crate::storage::Storage;
use crate::wire::{message, size_of};

impl<S: Storage> Raft<S> {
    /// Sends whatever members want and may get. A driver calls it before it looks into the outbox.
    ///
    /// # Errors
    /// The storage failed.
    pub fn send_appends(&mut self) -> Result<()> {
        if self.role == Role::Leader {
            for &to in self.peers.clone().iter() {
                while self.maybe_send_append(to)? {}
            }
        }
        Ok(())
    }

    /// Whether the next Ready will send appends.
    pub(crate) fn owes_appends(&self) -> bool {
        let last_index = self.log.last_index();
        self.role == Role::Leader
            && self.progress.iter().any(|(&id, p)| id != self.id && p.wants_append(last_index))
    }

    /// Sends one append to a member, if it wants one: entries from `next_index` on, as many as
    /// `Config::max_size_per_msg` allows, or none if it is only to hear of the commit index. Returns whether
    /// a message went out.
    ///
    /// You will need `wants_append`, `log.term`, `log.entries`,
    /// `Progress::sent` and `send`. If the log does not know the entry before `next_index` any more, what can
    /// still help is `send_snapshot`.
    pub(crate) fn maybe_send_append(&mut self, to: u64) -> Result<bool> {
        // BEGIN SOLUTION 2AB.send_append
        let Some(progress) = self.progress.get_mut(&to) else { return Ok(false) };
        if !progress.wants_append(self.log.last_index()) {
            return Ok(false);
        }
        let next = progress.next_index;
        let Some(base_term) = self.log.term(next - 1)? else { return self.send_snapshot(to) };
        let Some(entries) = self.log.entries(next, self.config.max_size_per_msg)? else {
            return self.send_snapshot(to);
        };
        progress.sent(next - 1 + entries.len() as u64, size_of(&entries));
        self.send(Message {
            index: next - 1,
            log_term: base_term,
            entries,
            commit: self.log.committed,
            ..message(MessageType::MsgAppend, to)
        });
        Ok(true)
        // END SOLUTION
    }

    /// The leader of this term sends entries. Exactly one answer goes out.
    ///
    /// You will need `log.maybe_append`, `log.find_conflict_by_term` and `send`. An accepted append is
    /// answered with the index of its last entry; a refused one with `reject`, the refused `index`, and in
    /// `reject_hint` and `log_term` the last entry that may be in both logs. Everything up to `committed` is
    /// in the leader's log, for certain.
    pub(crate) fn handle_append_entries(&mut self, m: Message) -> Result<()> {
        // BEGIN SOLUTION 2AB.handle_append
        let committed = self.log.committed;
        let answer =
            Message { commit: committed, ..message(MessageType::MsgAppendResponse, m.from) };
        if m.index < committed {
            // A late one. What the leader wants to know is how far we are.
            self.send(Message { index: committed, ..answer });
            return Ok(());
        }
        let accepted = self.log.maybe_append(m.index, m.log_term, m.commit, m.entries)?;
        if let Some(last_new) = accepted {
            let commit = self.log.committed;
            self.send(Message { index: last_new, commit, ..answer });
            return Ok(());
        }
        let (hint, hint_term) = self.log.find_conflict_by_term(m.index, m.log_term, committed)?;
        self.send(Message {
            reject: true,
            index: m.index,
            reject_hint: hint,
            log_term: hint_term,
            ..answer
        });
        Ok(())
        // END SOLUTION
    }

    /// A member has answered an append, or a snapshot, in this leadership.
    pub(crate) fn handle_append_response(&mut self, m: &Message) -> Result<()> {
        let Some(progress) = self.progress.get_mut(&m.from) else { return Ok(()) };
        progress.recent_active = true;
        if m.reject {
            return self.handle_refused(m);
        }
        if m.index > self.log.last_index() {
            // Nobody can have from us what we do not have ourselves.
            return Ok(());
        }
        self.handle_accepted(m)
    }

    /// A member has everything up to `m.index`, which is in this leader's log.
    ///
    /// You will need `maybe_update`, below, and `maybe_commit`. An acceptance makes a probed member a streamed
    /// one ([`Progress::become_replicate`]), frees the window of a streamed one (`inflights.free_to`), or ends
    /// the wait for a snapshot that it covers.
    fn handle_accepted(&mut self, m: &Message) -> Result<()> {
        // BEGIN SOLUTION 2AB.accepted
        let Some(progress) = self.progress.get_mut(&m.from) else { return Ok(()) };
        let news = progress.maybe_update(m.index);
        match progress.state {
            ProgressState::Probe if m.index == progress.match_index => progress.become_replicate(),
            ProgressState::Snapshot(index) if progress.match_index >= index => {
                progress.become_replicate();
            }
            ProgressState::Replicate => progress.inflights.free_to(m.index),
            ProgressState::Probe | ProgressState::Snapshot(_) => {}
        }
        if news && m.index > self.log.committed {
            self.maybe_commit()?;
        }
        Ok(())
        // END SOLUTION
    }

    /// A member has refused an append that went behind `m.index`; at best, the logs agree at `m.reject_hint`,
    /// where it has an entry of term `m.log_term` (0: it does not say).
    ///
    /// You will need `log.find_conflict_by_term`, and `maybe_decrease`, below. The hint comes from a stranger:
    /// it may be beyond this log. Which entries of ours cannot be in a log that has *that* term at that place?
    fn handle_refused(&mut self, m: &Message) -> Result<()> {
        // BEGIN SOLUTION 2AB.refused
        let Some(progress) = self.progress.get_mut(&m.from) else { return Ok(()) };
        let mut hint = m.reject_hint.min(self.log.last_index());
        if m.log_term > 0 {
            // Our entries of larger terms cannot be in its log: skip them all.
            let floor = progress.match_index;
            (hint, _) = self.log.find_conflict_by_term(hint, m.log_term, floor)?;
        }
        progress.maybe_decrease(m.index, hint);
        Ok(())
        // END SOLUTION
    }

    /// Moves the commit index to what a quorum has, and lets everybody know.
    ///
    /// You will need [`Quorum::committed`](crate::Quorum::committed), the members' `match_index`,
    /// `log.matches`, `log.commit_to` and `tell_commit`, below. Which entries may be counted?
    pub(crate) fn maybe_commit(&mut self) -> Result<()> {
        // BEGIN SOLUTION 2AB.maybe_commit
        let matched = |id| self.progress.get(&id).map_or(0, |progress| progress.match_index);
        let index = self.quorum.committed(&matched);
        // 5.4.2: only entries of the leader's own term are committed by counting (figure 8).
        if index <= self.log.committed || !self.log.matches(index, self.term)? {
            return Ok(());
        }
        let before = self.log.committed;
        self.log.commit_to(index);
        self.tell_commit(before);
        Ok(())
        // END SOLUTION
    }

    /// The commit index was `before`, and has moved: all members are owed an append that says so, or hear of it with the next
    /// one or a heartbeat if that is soon enough ([`Config::skip_bcast_commit`](crate::Config::skip_bcast_commit)).
    fn tell_commit(&mut self, before: u64) {
        let announced = before < self.announced && self.announced <= self.log.committed;
        if self.config.skip_bcast_commit && !announced {
            return;
        }
        for progress in self.progress.values_mut() {
            progress.owed = true;
        }
    }

    /// All members are to hear at once when the last entry of this leader's log is committed, whatever
    /// [`Config::skip_bcast_commit`](crate::Config::skip_bcast_commit) says: it changes what they are.
    pub fn announce_last(&mut self) {
        self.announced = self.log.last_index();
    }

    /// This node's own disk has everything up to this entry, as it was when it was handed out to be written.
    ///
    /// # Errors
    /// The storage failed.
    pub fn on_persist_entries(&mut self, index: u64, term: u64) -> Result<()> {
        if !self.log.maybe_persist(index, term)? || self.role != Role::Leader {
            return Ok(());
        }
        // The leader's own copy counts like any other's.
        let persisted = self.log.persisted;
        if let Some(own) = self.progress.get_mut(&self.id) {
            (own.match_index, own.next_index) = (persisted, persisted + 1);
        }
        self.maybe_commit()
    }

    /// A message to this member could not be delivered.
    pub fn report_unreachable(&mut self, id: u64) {
        // Appends under way are lost, probably. Go back, and go slowly until it answers.
        if let Some(progress) = self.progress.get_mut(&id)
            && progress.state == ProgressState::Replicate
        {
            progress.become_probe();
        }
    }
}

/// What answers mean for the two numbers of figure 2, `matchIndex` and `nextIndex`.
impl Progress {
    /// The member has accepted an append that ended at `index`. Returns whether that was news.
    ///
    /// Answers may come late, twice and in any order. And an accepted append says nothing about those sent
    /// after it: is `next_index - 1` what the member has?
    fn maybe_update(&mut self, index: u64) -> bool {
        // BEGIN SOLUTION 2AB.accepted
        let news = index > self.match_index;
        if news {
            self.match_index = index;
            self.paused = false;
        }
        self.next_index = self.next_index.max(index + 1);
        news
        // END SOLUTION
    }

    /// The member has refused an append that went behind `rejected`, and the logs agree at `hint` at best.
    /// Returns whether that was news; then there is an append to send.
    ///
    /// `next_index` never falls to what the member has for certain (`match_index`), and so never to 0. A
    /// refusal that answers nothing which was just asked is a late one.
    fn maybe_decrease(&mut self, rejected: u64, hint: u64) -> bool {
        // BEGIN SOLUTION 2AB.refused
        match self.state {
            ProgressState::Snapshot(_) => false,
            ProgressState::Replicate => {
                if rejected <= self.match_index {
                    return false;
                }
                // An append on the way was lost. Go back to what is certain.
                self.become_probe();
                true
            }
            ProgressState::Probe => {
                if rejected + 1 != self.next_index {
                    return false;
                }
                self.next_index = rejected.min(hint + 1).max(self.match_index + 1);
                self.paused = false;
                self.owed = true;
                true
            }
        }
        // END SOLUTION
    }
}
