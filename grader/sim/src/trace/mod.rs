//! What happened, one line of JSON an event: for the viewer, for people, and as a hash for "the same again?".
//!
//! # The file
//!
//! Each line is one [`Line`]: `{"t":812400,"k":"send",...}`. `t` is virtual time in microseconds and never falls;
//! `k` names the event. The variants of [`Event`] *are* the schema: their fields are the keys, their docs what
//! they mean; optional keys are left out when they are empty. The first line is `start`. Readers skip a `k` that
//! they do not know. Ids link lines:
//!
//! - a message's `id`: `send` -> `deliver` | `drop` (twice `deliver` after a `duplicate`): an arrow;
//! - an attempt's `op`: `call` -> `return` (none: it is open to the end): an interval of its `client`;
//! - a job's (`n`, `life`, `job`): `job` -> `run`: work on another thread;
//! - a fault's `fault`: `fault` -> `heal`: a shaded span; `cuts` are the links that it cuts, in that direction;
//! - a key's (`n`, `key`): `lock` -> `unlock`: a span of its transaction, which `record`s end and other `call`s meet.
//!
//! `state` lines draw lanes and the log grid: a peer's role, term, vote and indexes after an event, written when
//! they changed. Its log is what it was up to `kept`, then `log` (index, term).
//!
//! # The hash
//!
//! [`Trace::mix`] is called for everything that a store does, with its bytes, recorded or not; two runs of one
//! seed have the same hash, or the code under test is not deterministic. Writes between two syncs are mixed
//! in without regard to their order, for which an engine's cache has its own reasons.

mod text;

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::cluster::digest::Hasher;
use crate::cluster::protocol::{Channel, Lane, Micros, NodeId, Role};
use crate::failure::Failure;
use crate::history::plain;
use crate::monitors::Change;
pub use text::moment;

/// One line of a trace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Virtual time in microseconds.
    pub t: Micros,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
}

/// What can happen. The tag is `k`, in snake case.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "k", rename_all = "snake_case")]
pub enum Event {
    /// The first line.
    Start {
        /// The schema's version: 1.
        trace: u32,
        /// The run's seed.
        seed: u64,
        /// What `t` counts: absent for real time, `tick` where a tick is 100 ms, `step` where time stands still and only
        /// the order of events means something.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        clock: Option<String>,
        /// The stores.
        nodes: Vec<NodeId>,
        /// The clients.
        clients: Vec<u64>,
    },
    /// A store starts.
    Open {
        /// The store.
        n: NodeId,
        /// Counts its lives from 1.
        life: u64,
    },
    /// A store crashes.
    Crash {
        /// The store.
        n: NodeId,
        /// `kill` (what was written survives) or `power cut` (what was synced survives).
        how: String,
        /// The effects of its last input that never happened, in words.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        lost: Vec<String>,
    },
    /// A store stops by itself.
    Stop {
        /// The store.
        n: NodeId,
        /// Why.
        why: String,
    },
    /// A store sends a message.
    Send {
        /// The sender.
        n: NodeId,
        /// The destination.
        to: NodeId,
        /// The message.
        id: u64,
        /// What it travels on.
        ch: Channel,
        /// Its type.
        kind: String,
        /// What it says, in the compact notation.
        #[serde(default, skip_serializing_if = "String::is_empty")]
        text: String,
        /// The region that it is about; 0: none.
        region: u64,
        /// Its size.
        bytes: usize,
    },
    /// The network will deliver the message twice.
    Duplicate {
        /// The message.
        id: u64,
    },
    /// A message arrives.
    Deliver {
        /// The receiver.
        n: NodeId,
        /// The message.
        id: u64,
    },
    /// A message does not arrive.
    Drop {
        /// The message.
        id: u64,
        /// Why not.
        why: String,
    },
    /// A file's writes become durable.
    Sync {
        /// The store.
        n: NodeId,
        /// The file.
        file: String,
        /// How many writes since the last sync.
        writes: u64,
        /// How many bytes.
        bytes: u64,
    },
    /// A write or a sync fails.
    DiskError {
        /// The store.
        n: NodeId,
        /// The file.
        file: String,
    },
    /// A store hands work to another thread.
    Job {
        /// The store.
        n: NodeId,
        /// Its life.
        life: u64,
        /// The job.
        job: u64,
        /// The thread.
        lane: Lane,
    },
    /// The work is done.
    Run {
        /// The store.
        n: NodeId,
        /// Its life.
        life: u64,
        /// The job.
        job: u64,
    },
    /// A peer has changed.
    State {
        /// The store.
        n: NodeId,
        /// The region.
        region: u64,
        /// The peer.
        peer: u64,
        /// Its role.
        role: Role,
        /// Its term.
        term: u64,
        /// Its vote in that term; 0: none.
        vote: u64,
        /// Whom it follows; 0: nobody.
        leader: u64,
        /// Its commit index.
        commit: u64,
        /// Its applied index.
        applied: u64,
        /// Up to where its log is durable.
        persisted: u64,
        /// (index, term) that its log starts after.
        truncated: (u64, u64),
        /// The last index of its log.
        last: u64,
        /// What remains of the log that it had before.
        kept: u64,
        /// What follows: (index, term).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        log: Vec<(u64, u64)>,
        /// The region's range, escaped; absent for an uninitialised peer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        range: Option<(String, String)>,
        /// The region's epoch: conf_ver, version.
        epoch: (u64, u64),
        /// The stores of its voters.
        voters: Vec<NodeId>,
    },
    /// A peer was destroyed.
    Gone {
        /// The store.
        n: NodeId,
        /// The region.
        region: u64,
    },
    /// A client asks.
    Call {
        /// The attempt.
        op: usize,
        /// Who.
        client: u64,
        /// Whom.
        n: NodeId,
        /// The transaction that it is a part of: its start timestamp.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        txn: Option<u64>,
        /// What.
        text: String,
        /// The key, for filters; empty for a scan.
        key: String,
    },
    /// A client is told.
    Return {
        /// The attempt.
        op: usize,
        /// `ok`, `never` (definitely not done) or `unknown`.
        how: String,
        /// The result, or why there is none.
        text: String,
    },
    /// A key is locked by a transaction.
    Lock {
        /// The store.
        n: NodeId,
        /// The key.
        key: String,
        /// The transaction: its start timestamp.
        txn: u64,
        /// The key that decides for all its keys.
        primary: String,
        /// What the lock becomes: `Put`, `Delete`, `Lock`; `Pessimistic`: not decided yet.
        kind: String,
    },
    /// The lock of a key is gone.
    Unlock {
        /// The store.
        n: NodeId,
        /// The key.
        key: String,
        /// The transaction that had locked it.
        txn: u64,
    },
    /// What a transaction came to at a key.
    Record {
        /// The store.
        n: NodeId,
        /// The key.
        key: String,
        /// The transaction: its start timestamp.
        txn: u64,
        /// Its commit timestamp; of a rollback the start.
        commit: u64,
        /// `Put`, `Delete`, `Lock`, `Rollback`.
        kind: String,
    },
    /// What was said to a subject and what it did, in a test whose world keeps no trace of its own.
    Exchange {
        /// The subject.
        n: NodeId,
        /// The input.
        input: String,
        /// The effects.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        effects: Vec<String>,
    },
    /// A fault begins.
    Fault {
        /// Its place in the schedule.
        fault: usize,
        /// What it is.
        text: String,
        /// The stores that it strikes.
        nodes: Vec<NodeId>,
        /// The links that it cuts: (from, to).
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        cuts: Vec<(NodeId, NodeId)>,
    },
    /// A fault ends.
    Heal {
        /// Its place in the schedule.
        fault: usize,
    },
    /// The run enters a phase: `faults`, `recovery`, `check`.
    Phase {
        /// Its name.
        name: String,
    },
    /// The run ends here: a rule is broken.
    Violation {
        /// In plain words.
        what: String,
        /// The facts that contradict each other.
        facts: Vec<String>,
        /// The attempts that the facts name.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        ops: Vec<usize>,
    },
}

impl Event {
    /// The store to which it happens; of a message that is lost it is not known here.
    pub fn node(&self) -> Option<NodeId> {
        match self {
            Event::Open { n, .. }
            | Event::Crash { n, .. }
            | Event::Stop { n, .. }
            | Event::Send { n, .. }
            | Event::Deliver { n, .. }
            | Event::Sync { n, .. }
            | Event::DiskError { n, .. }
            | Event::Job { n, .. }
            | Event::Run { n, .. }
            | Event::State { n, .. }
            | Event::Gone { n, .. }
            | Event::Call { n, .. }
            | Event::Lock { n, .. }
            | Event::Unlock { n, .. }
            | Event::Record { n, .. }
            | Event::Exchange { n, .. } => Some(*n),
            Event::Start { .. }
            | Event::Duplicate { .. }
            | Event::Drop { .. }
            | Event::Return { .. }
            | Event::Fault { .. }
            | Event::Heal { .. }
            | Event::Phase { .. }
            | Event::Violation { .. } => None,
        }
    }

    /// The line of a peer that changed.
    pub fn of_state(n: NodeId, change: &Change) -> Event {
        let view = &change.view;
        let range = view.range.as_ref().map(|(start, end)| (plain(start), plain(end)));
        Event::State {
            n,
            region: view.region,
            peer: view.peer,
            role: view.role,
            term: view.term,
            vote: view.vote,
            leader: view.leader,
            commit: view.commit,
            applied: view.applied,
            persisted: view.persisted,
            truncated: view.truncated,
            last: view.last,
            kept: change.kept,
            log: view.entries.iter().map(|e| (e.index, e.term)).collect(),
            range,
            epoch: view.epoch,
            voters: view.voters.iter().map(|voter| voter.store).collect(),
        }
    }
}

/// A trace being made.
#[derive(Debug, Clone, Default)]
pub struct Trace {
    hash: Hasher,
    lines: Vec<Line>,
    recording: bool,
}

/// The most lines that are kept; a run that is longer loses its end, and says so.
const MAX_LINES: usize = 2_000_000;

impl Trace {
    /// An empty trace; without `recording` it is only a hash.
    pub fn new(recording: bool) -> Self {
        Trace { recording, ..Trace::default() }
    }

    /// Whether lines are kept.
    pub fn recording(&self) -> bool {
        self.recording
    }

    /// Adds a line, if lines are kept.
    pub fn line(&mut self, t: Micros, event: impl FnOnce() -> Event) {
        if self.recording && self.lines.len() < MAX_LINES {
            self.lines.push(Line { t, event: event() });
        }
    }

    /// Ends the trace with the failure of its test, unless it ends with one already.
    pub fn close(&mut self, failure: &Failure) {
        let Some(last) = self.lines.last() else { return };
        if !matches!(last.event, Event::Violation { .. }) {
            let (what, facts) = (failure.what(), failure.facts().to_vec());
            self.line(last.t, || Event::Violation { what, facts, ops: Vec::new() });
        }
    }

    /// Adds to the hash.
    pub fn mix(&mut self, numbers: &[u64], bytes: &[u8]) {
        for number in numbers {
            self.hash.number(*number);
        }
        if !bytes.is_empty() {
            self.hash.bytes(bytes);
        }
    }

    /// The hash of all that happened.
    pub fn hash(&self) -> u64 {
        self.hash.finish()
    }

    /// The lines.
    pub fn lines(&self) -> &[Line] {
        &self.lines
    }

    /// The file's text.
    pub fn json(&self) -> String {
        let mut text = String::new();
        for line in &self.lines {
            text.push_str(&serde_json::to_string(line).unwrap_or_default());
            text.push('\n');
        }
        text
    }

    /// The trace for a terminal, in the compact notation: one line an event.
    pub fn text(&self) -> String {
        let mut out = String::new();
        let mut writer = text::Writer::default();
        for line in &self.lines {
            let _ = writeln!(out, "{}", writer.line(line));
        }
        out
    }
}

/// The first line in which two traces differ, as people read it; `None` when there is none.
pub fn first_difference(one: &Trace, other: &Trace) -> Option<String> {
    let place = one.lines.iter().zip(&other.lines).position(|(a, b)| a != b)?;
    let show = |trace: &Trace| render(&trace.lines[..=place]).pop().unwrap_or_default();
    Some(format!("once:      {}\nand again: {}", show(one), show(other)))
}

/// Reads a trace file; lines that this version does not know are skipped.
pub fn parse(json: &str) -> Vec<Line> {
    json.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// A trace file's lines in the compact notation.
pub fn render(lines: &[Line]) -> Vec<String> {
    let mut writer = text::Writer::default();
    lines.iter().map(|line| writer.line(line)).collect()
}
