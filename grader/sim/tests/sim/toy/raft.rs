//! The consensus of the toy: elections and replication, no snapshots. Decides only; the store does.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use sim::cluster::protocol::{NodeId, Role};
use sim::rng::Rng;

use super::wal::Record;
use super::{Bug, Config, Entry, Message};

pub struct Raft {
    pub id: NodeId,
    pub role: Role,
    pub term: u64,
    pub vote: NodeId,
    pub leader: NodeId,
    /// Index 0 is a sentinel.
    pub log: Vec<Entry>,
    pub commit: u64,
    pub persisted: u64,
    config: Config,
    votes: BTreeSet<NodeId>,
    matched: BTreeMap<NodeId, u64>,
    next: BTreeMap<NodeId, u64>,
    elapsed: u32,
    timeout: u32,
    rng: Rng,
    /// To be written, in this order, before what is in `after` may leave.
    pub unwritten: Vec<Record>,
    pub now: Vec<(NodeId, Message)>,
    pub after: Vec<(NodeId, Message)>,
}

impl Raft {
    pub fn new(id: NodeId, config: Config, seed: u64, records: Vec<Record>) -> Raft {
        let mut raft = Raft {
            id,
            role: Role::Follower,
            term: 0,
            vote: 0,
            leader: 0,
            log: vec![Entry { term: 0, command: None }],
            commit: 0,
            persisted: 0,
            config,
            votes: BTreeSet::new(),
            matched: BTreeMap::new(),
            next: BTreeMap::new(),
            elapsed: 0,
            timeout: 0,
            rng: Rng::new(seed),
            unwritten: Vec::new(),
            now: Vec::new(),
            after: Vec::new(),
        };
        for record in records {
            match record {
                Record::Hard { term, vote } => (raft.term, raft.vote) = (term, vote),
                Record::Entry { index, entry } => {
                    raft.log.truncate(usize::try_from(index).unwrap());
                    raft.log.push(entry);
                }
            }
        }
        raft.persisted = raft.last();
        raft.rest();
        raft
    }

    pub fn bug(&self) -> Bug {
        self.config.bug
    }

    pub fn members(&self) -> &[NodeId] {
        &self.config.members
    }

    pub fn last(&self) -> u64 {
        self.log.len() as u64 - 1
    }

    pub fn term_of(&self, index: u64) -> Option<u64> {
        self.log.get(usize::try_from(index).ok()?).map(|entry| entry.term)
    }

    fn majority(&self) -> usize {
        self.config.members.len() / 2 + 1
    }

    fn others(&self) -> Vec<NodeId> {
        self.config.members.iter().copied().filter(|n| *n != self.id).collect()
    }

    fn rest(&mut self) {
        self.elapsed = 0;
        self.timeout = 10 + u32::try_from(self.rng.below(10)).unwrap();
    }

    fn save(&mut self) {
        let vote = if self.bug() == Bug::ForgetsVotes { 0 } else { self.vote };
        self.unwritten.push(Record::Hard { term: self.term, vote });
    }

    fn follow(&mut self, term: u64, leader: NodeId) {
        if term > self.term {
            (self.term, self.vote) = (term, 0);
            self.save();
        }
        self.role = Role::Follower;
        self.leader = leader;
    }

    pub fn tick(&mut self) {
        self.elapsed += 1;
        if self.role == Role::Leader {
            if self.elapsed >= 2 {
                self.elapsed = 0;
                self.broadcast();
            }
        } else if self.elapsed >= self.timeout
            && !(self.bug() == Bug::NoSecondElection && self.term > 1)
        {
            self.rest();
            self.role = Role::Candidate;
            (self.term, self.vote, self.leader) = (self.term + 1, self.id, 0);
            self.save();
            self.votes = [self.id].into();
            let last = (self.last(), self.term_of(self.last()).unwrap());
            for to in self.others() {
                self.after.push((to, Message::RequestVote { term: self.term, last }));
            }
            self.maybe_lead();
        }
    }

    fn maybe_lead(&mut self) {
        if self.role == Role::Candidate && self.votes.len() >= self.majority() {
            (self.role, self.leader, self.elapsed) = (Role::Leader, self.id, 0);
            self.matched = self.config.members.iter().map(|n| (*n, 0)).collect();
            let next = self.last() + 1;
            self.next = self.config.members.iter().map(|n| (*n, next)).collect();
            self.push(Entry { term: self.term, command: None });
            self.broadcast();
        }
    }

    fn push(&mut self, entry: Entry) {
        self.log.push(entry.clone());
        self.unwritten.push(Record::Entry { index: self.last(), entry });
    }

    /// Only on a leader: the entry's index and term.
    pub fn propose(&mut self, entry: Entry) -> (u64, u64) {
        if self.bug() == Bug::LeaderRewrites && self.last() > self.commit + 1 {
            self.log.pop();
            let next = self.last();
            self.next.values_mut().for_each(|n| *n = (*n).min(next));
        }
        self.push(entry);
        self.broadcast();
        self.maybe_commit();
        (self.last(), self.term)
    }

    fn broadcast(&mut self) {
        let others = self.others();
        if self.bug() == Bug::HashOrder {
            let others: HashSet<NodeId> = others.into_iter().collect();
            for to in others {
                self.send_append(to);
            }
        } else {
            for to in others {
                self.send_append(to);
            }
        }
    }

    fn send_append(&mut self, to: NodeId) {
        let next = self.next[&to];
        let prev = (next - 1, self.term_of(next - 1).unwrap());
        let from = usize::try_from(next).unwrap();
        let entries: Vec<Entry> = self.log[from..].iter().take(64).cloned().collect();
        // At once: a follower may be faster than our own disk.
        self.now
            .push((to, Message::Append { term: self.term, prev, entries, commit: self.commit }));
    }

    pub fn step(&mut self, from: NodeId, message: Message) {
        let (Message::RequestVote { term, .. }
        | Message::Vote { term, .. }
        | Message::Append { term, .. }
        | Message::Appended { term, .. }) = message;
        if term > self.term {
            self.follow(term, 0);
        }
        match message {
            Message::RequestVote { last, .. } => {
                let own = (self.last(), self.term_of(self.last()).unwrap());
                let up_to_date =
                    (last.1, last.0) >= (own.1, own.0) || self.bug() == Bug::NoUpToDateCheck;
                let free = self.vote == 0 || self.vote == from;
                let free = free || (self.bug() == Bug::VotesTwice && self.role != Role::Leader);
                let granted = term == self.term && up_to_date && free;
                if granted {
                    self.vote = from;
                    self.save();
                    self.rest();
                }
                self.after.push((from, Message::Vote { term: self.term, granted }));
            }
            Message::Vote { granted, .. } if term == self.term && granted => {
                self.votes.insert(from);
                self.maybe_lead();
            }
            Message::Append { prev, entries, commit, .. } if term == self.term => {
                self.follow(term, from);
                self.rest();
                self.append(from, prev, entries, commit);
            }
            Message::Append { .. } => {
                let stale = Message::Appended { term: self.term, ok: false, index: 0 };
                self.after.push((from, stale));
            }
            Message::Appended { ok, index, .. }
                if term == self.term && self.role == Role::Leader =>
            {
                if ok {
                    let matched = self.matched.entry(from).or_default();
                    *matched = index.max(*matched);
                    let matched = *matched;
                    self.next.insert(from, matched + 1);
                    self.maybe_commit();
                    if matched < self.last() {
                        self.send_append(from);
                    }
                } else if index + 1 < self.next[&from] {
                    self.next.insert(from, (index + 1).max(self.matched[&from] + 1));
                    self.send_append(from);
                }
            }
            _ => {}
        }
    }

    fn append(&mut self, from: NodeId, prev: (u64, u64), entries: Vec<Entry>, commit: u64) {
        let mut prev = prev;
        if self.bug() == Bug::NoPrevCheck && self.last() >= 1 {
            prev.0 = prev.0.min(self.last());
        } else if self.term_of(prev.0) != Some(prev.1) {
            let index = self.last().min(prev.0.saturating_sub(1)).max(self.commit);
            self.after.push((from, Message::Appended { term: self.term, ok: false, index }));
            return;
        }
        let mut index = prev.0;
        for entry in entries {
            index += 1;
            if self.term_of(index) == Some(entry.term) {
                continue;
            }
            self.log.truncate(usize::try_from(index).unwrap());
            self.persisted = self.persisted.min(index - 1);
            self.push(entry);
        }
        self.commit = self.commit.max(commit.min(index));
        let ack = (from, Message::Appended { term: self.term, ok: true, index });
        if self.bug() == Bug::AcksBeforeSync { self.now.push(ack) } else { self.after.push(ack) }
    }

    /// Everything up to here is durable, as it stood when the write was begun.
    pub fn written(&mut self, upto: Option<(u64, u64)>) {
        let Some((index, term)) = upto.filter(|(index, term)| self.term_of(*index) == Some(*term))
        else {
            return;
        };
        let _ = term;
        self.persisted = index.max(self.persisted);
        self.maybe_commit();
    }

    pub fn maybe_commit(&mut self) {
        if self.role != Role::Leader {
            return;
        }
        if self.bug() == Bug::CommitsAlone {
            self.commit = self.persisted.max(self.commit);
            return;
        }
        self.matched.insert(self.id, self.persisted);
        let mut matched: Vec<u64> = self.matched.values().copied().collect();
        matched.sort_unstable();
        let index = matched[matched.len() - self.majority()];
        let own = self.term_of(index) == Some(self.term) || self.bug() == Bug::Figure8;
        if index > self.commit && own {
            self.commit = index;
        }
    }
}
