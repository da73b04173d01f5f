//! The trace of a world, for the viewer: who was started and died, what was said, what reached the disks, and what each node
//! says of itself after that.
//!
//! Where there is a clock ([`chaos`](crate::world::chaos)), a tick is 100 ms of the trace's time. Elsewhere time stands still:
//! each thing that happens is a step. Only a run that is recorded pays for any of it; what is asked of a node for the trace's sake is
//! no input of the test, and is not counted as one.

use std::collections::{BTreeMap, BTreeSet};

use proto::eraftpb::Entry;
use sim::cluster::protocol::{self as cluster, Channel};
use sim::trace::{Event, Trace};

use crate::mail::Mail;
use crate::notation;
use crate::protocol::{Role, Status};
use crate::world::Disk;
use crate::world::disk::Image;

/// A step, or a hundredth of a tick, in microseconds.
const UNIT: u64 = 1_000;

/// What a node showed last.
#[derive(Debug, Clone, PartialEq)]
struct Shown {
    status: (Role, u64, u64, u64, u64, u64),
    persisted: u64,
    truncated: (u64, u64),
    log: Vec<(u64, u64)>,
    voters: Vec<u64>,
}

/// A trace that is being made.
#[derive(Debug, Default)]
pub(super) struct Recorder {
    seed: u64,
    on: bool,
    trace: Trace,
    step: u64,
    nodes: BTreeSet<u64>,
    lives: BTreeMap<u64, u64>,
    shown: BTreeMap<u64, Shown>,
    messages: u64,
    faults: usize,
    open: Option<usize>,
}

impl Recorder {
    pub fn new(on: bool, seed: u64) -> Self {
        Recorder { on, seed, trace: Trace::new(on), ..Recorder::default() }
    }

    pub fn on(&self) -> bool {
        self.on
    }

    pub fn into_trace(self) -> Trace {
        self.trace
    }

    // `now`: hundredths of a tick, where there is a clock.
    fn line(&mut self, now: Option<u64>, event: Event) {
        if !self.on {
            return;
        }
        if self.trace.lines().is_empty() {
            let clock = Some(if now.is_some() { "tick" } else { "step" }.to_owned());
            let (seed, nodes, clients) = (self.seed, Vec::new(), Vec::new());
            self.trace.line(0, || Event::Start { trace: 1, seed, clock, nodes, clients });
        }
        let t = if let Some(now) = now {
            now * UNIT
        } else {
            // What a node says of itself belongs to what happened to it just before.
            self.step += u64::from(!matches!(event, Event::State { .. }));
            self.step * UNIT
        };
        self.trace.line(t, || event);
    }

    /// A node starts. One whose name is known already, and that did not die, begins another world: the test has several,
    /// and the last is the one to look at.
    pub fn starts(&mut self, now: Option<u64>, n: u64) {
        if !self.nodes.insert(n) {
            *self = Recorder::new(self.on, self.seed);
            self.nodes.insert(n);
        }
        self.boots(now, n);
    }

    /// A life of a node begins.
    pub fn boots(&mut self, now: Option<u64>, n: u64) {
        let life = self.lives.entry(n).or_default();
        *life += 1;
        let life = *life;
        self.line(now, Event::Open { n, life });
    }

    pub fn dies(&mut self, now: Option<u64>, n: u64, waiting: usize) {
        let lost = match waiting {
            0 => Vec::new(),
            one => vec![format!("{one} Readys that were not durable")],
        };
        self.line(now, Event::Crash { n, how: "power cut".into(), lost });
    }

    /// A message leaves a node; it is numbered, so that its arrival can be told.
    pub fn leaves(&mut self, now: Option<u64>, mail: &mut Mail) {
        if !self.on {
            return;
        }
        self.messages += 1;
        mail.number = self.messages;
        let text = mail.show();
        let kind = notation::kind(mail.kind());
        // `n1@3 -> n2 Append base=...`: the sender and the kind stand for themselves.
        // Its term does not: that of a message may be another than its sender's by now.
        let rest = text.split_once(kind).map_or("", |(_, rest)| rest);
        let text = format!("term={}{rest}", mail.msg.term);
        let event = Event::Send {
            n: mail.msg.from,
            to: mail.msg.to,
            id: mail.number,
            ch: Channel::Raft,
            kind: kind.to_owned(),
            text,
            region: 1,
            bytes: mail.bytes.len(),
        };
        self.line(now, event);
    }

    pub fn arrives(&mut self, now: Option<u64>, n: u64, mail: &Mail) {
        let mut mail = mail.clone();
        if mail.number == 0 {
            // The test speaks for a peer that is not there.
            self.leaves(now, &mut mail);
        }
        self.line(now, Event::Deliver { n, id: mail.number });
    }

    pub fn lost(&mut self, now: Option<u64>, mail: &Mail, why: &str) {
        if mail.number > 0 {
            self.line(now, Event::Drop { id: mail.number, why: why.to_owned() });
        }
    }

    pub fn doubled(&mut self, now: Option<u64>, mail: &Mail) {
        self.line(now, Event::Duplicate { id: mail.number });
    }

    pub fn synced(&mut self, now: Option<u64>, n: u64) {
        self.line(now, Event::Sync { n, file: "log".into(), writes: 1, bytes: 0 });
    }

    /// Links go dead, until the next time or until [`Recorder::heals`].
    pub fn cuts(&mut self, now: Option<u64>, cuts: &BTreeSet<(u64, u64)>) {
        self.heals(now);
        if cuts.is_empty() {
            return;
        }
        let nodes: BTreeSet<u64> = cuts.iter().flat_map(|(a, b)| [*a, *b]).collect();
        // Who is cut off from all others, in one direction or both, is what a reader wants to know.
        let ids: BTreeSet<u64> = self.nodes.union(&nodes).copied().collect();
        let all = |n: u64, link: fn(u64, u64) -> (u64, u64)| {
            ids.iter().all(|&m| m == n || cuts.contains(&link(n, m)))
        };
        let tell = |n: &u64| match (all(*n, |a, b| (a, b)), all(*n, |a, b| (b, a))) {
            (true, true) => Some(format!("n{n} is cut off")),
            (true, false) => Some(format!("nobody hears n{n}")),
            (false, true) => Some(format!("n{n} hears nobody")),
            _ => None,
        };
        let told: Vec<(u64, String)> = ids.iter().filter_map(|n| Some((*n, tell(n)?))).collect();
        let (text, struck) = if told.is_empty() {
            let links: Vec<String> = cuts.iter().map(|(a, b)| format!("n{a} -> n{b}")).collect();
            (format!("dead links: {}", links.join(", ")), nodes.into_iter().collect())
        } else {
            let text: Vec<&str> = told.iter().map(|(_, text)| text.as_str()).collect();
            (text.join(", "), told.iter().map(|(n, _)| *n).collect())
        };
        let fault = self.faults;
        self.faults += 1;
        self.open = Some(fault);
        let cuts = cuts.iter().copied().collect();
        self.line(now, Event::Fault { fault, text, nodes: struck, cuts });
    }

    pub fn heals(&mut self, now: Option<u64>) {
        if let Some(fault) = self.open.take() {
            self.line(now, Event::Heal { fault });
        }
    }

    /// What a node says of itself, and what its disk holds; told if it is new.
    pub fn shows(&mut self, now: Option<u64>, n: u64, status: &Status, disk: &Disk) {
        let entries = |log: &[Entry]| log.iter().map(|e| (e.index, e.term)).collect();
        let (written, durable) = (disk.written(), disk.durable());
        let s = status;
        let shown = Shown {
            status: (s.role, s.term, s.vote, s.leader, s.committed, s.applied),
            persisted: durable_to(written, durable),
            truncated: written.truncated,
            log: entries(&written.entries),
            voters: written.conf.voters.clone(),
        };
        let before = self.shown.get(&n);
        if before == Some(&shown) {
            return;
        }
        let log = &shown.log;
        let same = before.map_or(0, |b| {
            // Both begin where their snapshots end.
            let skip = |log: &[(u64, u64)], to: u64| log.iter().take_while(|e| e.0 <= to).count();
            let from = b.truncated.0.max(shown.truncated.0);
            let (old, new) = (&b.log[skip(&b.log, from)..], &log[skip(log, from)..]);
            let common = old.iter().zip(new).take_while(|(a, b)| a == b).count();
            skip(log, from) + common
        });
        let kept = if same == 0 { shown.truncated.0 } else { log[same - 1].0 };
        let event = Event::State {
            n,
            region: 1,
            peer: n,
            role: match s.role {
                Role::Follower => cluster::Role::Follower,
                Role::PreCandidate => cluster::Role::PreCandidate,
                Role::Candidate => cluster::Role::Candidate,
                Role::Leader => cluster::Role::Leader,
            },
            term: s.term,
            vote: s.vote,
            leader: s.leader,
            commit: s.committed,
            applied: s.applied,
            persisted: shown.persisted,
            truncated: shown.truncated,
            last: written.last().0,
            kept,
            log: log[same..].to_vec(),
            range: None,
            epoch: (0, 0),
            voters: shown.voters.clone(),
        };
        self.shown.insert(n, shown);
        self.line(now, event);
    }
}

/// Up to where the log is on the platter, as it is now: what is overwritten there does not count.
fn durable_to(written: &Image, durable: &Image) -> u64 {
    let there = |entry: &&Entry| durable.term(entry.index) == Some(entry.term);
    let last = written.entries.iter().take_while(there).last();
    last.map_or(written.truncated.0, |entry| entry.index)
}
