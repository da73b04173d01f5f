//! What a leader knows of one member, and how it sends to it.
//!
//! The paper has two numbers a member, `matchIndex` and `nextIndex`. A third thing makes them fast without
//! making them wrong, the *state* (etcd's and raft-rs's design):
//!
//! ```text
//!            refused, or unreachable                 the entries it needs are compacted
//!   +-------------------------------------+      +------------------------------------+
//!   v                                     |      |                                    v
//! Probe --- an append is accepted ---> Replicate +                                Snapshot
//!   |  ^-------------------- installed, or lost --------------------------------------|
//!   +---------------------- the entries it needs are compacted -----------------------^
//! ```
//!
//! - **Probe**: where the logs agree is a guess. One append at a time, and the next when it is answered, or
//!   when the member answers a heartbeat (the append, or its answer, may be lost).
//! - **Replicate**: the guess was right. Appends follow each other without waiting (paper, 10.2.1 of the
//!   thesis calls it pipelining), `next_index` runs ahead, a window bounds how far.
//! - **Snapshot**: a snapshot is on its way, and an append would be of no use. Ends when the member
//!   acknowledges it, or the transport reports.
//!
//! # Invariants
//!
//! - `match_index < next_index`, and `match_index` never falls while one leadership lasts: late and
//!   reordered answers change nothing.
//! - `match_index` is never ahead of what the member has durably; `next_index` is only a guess.

use crate::inflights::Inflights;

/// How a leader sends to a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressState {
    /// One append at a time, to find out where the logs agree.
    Probe,
    /// Appends in a stream.
    Replicate,
    /// Nothing but heartbeats, until the snapshot at this index has arrived.
    Snapshot(u64),
}

/// What a leader knows of one member.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The member has everything up to here, durably. `0 .. next_index`; never falls within a leadership.
    pub match_index: u64,
    /// What to send next. `match_index + 1 ..= last_index + 1`
    pub next_index: u64,
    /// How to send it.
    pub state: ProgressState,
    /// In `Probe`: an append was sent, wait for an answer.
    pub paused: bool,
    /// An append is owed even if it holds no entry: it carries a new commit index, or it probes.
    pub owed: bool,
    /// It has answered since the last time that the leader looked (CheckQuorum).
    pub recent_active: bool,
    /// The newest heartbeat round that it answered.
    pub acked_round: u64,
    pub(crate) inflights: Inflights,
}

impl Progress {
    /// A member of whom nothing is known, but the guess that its log ends where the leader's does.
    pub(crate) fn new(next_index: u64, inflights: Inflights) -> Self {
        Progress {
            match_index: 0,
            next_index,
            state: ProgressState::Probe,
            paused: false,
            owed: true,
            recent_active: false,
            acked_round: 0,
            inflights,
        }
    }

    /// Forgets everything, for another leadership begins.
    pub(crate) fn reset(&mut self, next_index: u64) {
        self.inflights.clear();
        *self = Progress::new(next_index, self.inflights.clone());
    }

    /// Whether nothing may be sent now.
    pub fn is_paused(&self) -> bool {
        match self.state {
            ProgressState::Probe => self.paused,
            ProgressState::Replicate => self.inflights.is_full(),
            ProgressState::Snapshot(_) => true,
        }
    }

    /// Whether an append should go out, if the leader's log ends at `last_index`.
    pub(crate) fn wants_append(&self, last_index: u64) -> bool {
        (self.owed || self.next_index <= last_index) && !self.is_paused()
    }

    /// An append was sent; it ends with `last_index` and holds so many bytes.
    pub(crate) fn sent(&mut self, last_index: u64, bytes: u64) {
        self.owed = false;
        match self.state {
            ProgressState::Probe => self.paused = true,
            ProgressState::Replicate if last_index >= self.next_index => {
                // Optimistic: a refusal takes it back.
                self.next_index = last_index + 1;
                self.inflights.add(last_index, bytes);
            }
            ProgressState::Replicate | ProgressState::Snapshot(_) => {}
        }
    }

    /// Where the logs agree is a guess from now on.
    pub(crate) fn become_probe(&mut self) {
        self.next_index = match self.state {
            // If the snapshot arrived, this is right; if not, the member says so, and the next one goes.
            ProgressState::Snapshot(index) => self.match_index.max(index) + 1,
            ProgressState::Probe | ProgressState::Replicate => self.match_index + 1,
        };
        self.enter(ProgressState::Probe);
    }

    /// The logs agree up to `match_index`: stream from there.
    pub(crate) fn become_replicate(&mut self) {
        self.next_index = self.match_index + 1;
        self.enter(ProgressState::Replicate);
    }

    /// A snapshot at this index was sent.
    pub(crate) fn become_snapshot(&mut self, index: u64) {
        self.enter(ProgressState::Snapshot(index));
    }

    fn enter(&mut self, state: ProgressState) {
        self.state = state;
        self.paused = false;
        self.owed = true;
        self.inflights.clear();
    }

    /// Nothing can be sent now. Try again when the member answers a heartbeat.
    pub(crate) fn pause(&mut self) {
        if self.state == ProgressState::Replicate {
            self.become_probe();
        }
        self.paused = true;
    }
}
