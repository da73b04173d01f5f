//! The toy as a subject: requests, the log writer, applying, and the views that monitors ask for.

use std::collections::BTreeMap;

use sim::cluster::digest::{StateDigest, entry_digest};
use sim::cluster::protocol::{
    Channel, Cluster, Effect, EntryView, Event, Input, Inspected, Lane, Look, Member, Micros, Open,
    RegionView, Role, Status,
};
use sim::cluster::recorder::Recorder;
use sim::history::{Micro, Op, OpResult};
use sim::seam::Subject;

use super::raft::Raft;
use super::wal::{Record, Wal};
use super::{Bug, Config, Entry, Message, Response};

#[derive(Default)]
pub struct Toy(Option<Store>);

struct Owed {
    term: u64,
    request: u64,
    deadline: Micros,
}

struct Write {
    records: Vec<Record>,
    upto: (u64, u64),
    after: Vec<(u64, Message)>,
}

struct Store {
    recorder: Recorder,
    raft: Raft,
    wal: Wal,
    inline: bool,
    jobs: BTreeMap<u64, Write>,
    next_job: u64,
    applied: u64,
    data: BTreeMap<Vec<u8>, Vec<u8>>,
    owed: BTreeMap<u64, Owed>,
    broken: bool,
}

impl Subject<Cluster> for Toy {
    fn handle(&mut self, input: Input) -> Vec<Effect> {
        if let Event::Open(open) = &input.event {
            self.0 = Some(Store::open(open));
        }
        let store = self.0.as_mut().expect("opened first");
        if !store.broken {
            store.handle(input.event, input.now);
        }
        let mut effects = store.recorder.take();
        if let Some(look) = input.look {
            effects.push(Effect::Inspected(Box::new(store.inspect(&look))));
        }
        if store.broken {
            effects.push(Effect::Stopped { why: "the disk failed".into() });
        }
        effects
    }
}

impl Store {
    fn open(open: &Open) -> Store {
        let recorder = Recorder::new(open.files.clone());
        let config: Config = postcard::from_bytes(&open.config).unwrap();
        let (wal, records) = Wal::open(recorder.disk("log"));
        let inline = config.inline;
        let raft = Raft::new(open.node, config, open.seed, records);
        Store {
            recorder,
            raft,
            wal,
            inline,
            jobs: BTreeMap::new(),
            next_job: 0,
            applied: 0,
            data: BTreeMap::new(),
            owed: BTreeMap::new(),
            broken: false,
        }
    }

    fn handle(&mut self, event: Event, now: Micros) {
        match event {
            Event::Open(_) | Event::Unreachable { .. } | Event::Look => {}
            Event::Tick => {
                self.raft.tick();
                self.late(now);
            }
            Event::Message { from, bytes, .. } => {
                if let Ok(message) = postcard::from_bytes(&bytes) {
                    self.raft.step(from, message);
                }
            }
            Event::Request { id, bytes, deadline, .. } => self.request(id, &bytes, deadline),
            Event::RunJob { id } => {
                if let Some(write) = self.jobs.remove(&id) {
                    self.write(write);
                }
            }
            Event::FailDisk { file, call, nth } => self.recorder.fail(&file, call, nth),
        }
        self.ready();
    }

    fn send(&self, messages: Vec<(u64, Message)>) {
        for (to, message) in messages {
            let bytes = postcard::to_stdvec(&message).unwrap().into();
            self.recorder.note(Effect::Send { to, channel: Channel::Raft, bytes });
        }
    }

    fn ready(&mut self) {
        // Leaders' appends, before anything is on our own disk.
        let at_once = std::mem::take(&mut self.raft.now);
        self.send(at_once);
        let records = std::mem::take(&mut self.raft.unwritten);
        let after = std::mem::take(&mut self.raft.after);
        let last = self.raft.last();
        let write = Write { upto: (last, self.raft.term_of(last).unwrap()), records, after };
        if self.inline {
            self.write(write);
        } else if !write.records.is_empty() || !write.after.is_empty() {
            // Also what needs no write waits for the writes before it.
            self.next_job += 1;
            self.jobs.insert(self.next_job, write);
            self.recorder.note(Effect::Job { id: self.next_job, lane: Lane::LogWrite });
        }
        self.apply();
    }

    fn write(&mut self, write: Write) {
        if !write.records.is_empty() {
            if self.wal.append(&write.records).is_err() && self.raft.bug() != Bug::IgnoresDiskErrors
            {
                self.broken = true;
                return;
            }
            self.raft.written(Some(write.upto));
        }
        self.send(write.after);
        self.apply();
    }

    fn request(&mut self, id: u64, bytes: &[u8], deadline: Micros) {
        let op: Op = postcard::from_bytes(bytes).unwrap();
        if self.raft.role != Role::Leader {
            let hint =
                Some(self.raft.leader).filter(|leader| *leader != 0 && *leader != self.raft.id);
            return self.reply(id, Response::NotLeader(hint));
        }
        if self.raft.bug() == Bug::LocalReads && matches!(op, Op::Get(_)) {
            let result = run(&mut self.data, &op);
            return self.reply(id, Response::Done(result));
        }
        if self.raft.bug() == Bug::AnswersEarly && matches!(op, Op::Put(..)) {
            self.raft.propose(Entry { term: self.raft.term, command: Some(op) });
            return self.reply(id, Response::Done(OpResult::Written));
        }
        let (index, term) = self.raft.propose(Entry { term: self.raft.term, command: Some(op) });
        if let Some(old) = self.owed.insert(index, Owed { term, request: id, deadline }) {
            self.owe_nothing(&old, false);
        }
    }

    fn reply(&self, id: u64, response: Response) {
        let reply =
            || Effect::Reply { id, result: Ok(postcard::to_stdvec(&response).unwrap().into()) };
        self.recorder.note(reply());
        if self.raft.bug() == Bug::AnswersTwice && matches!(response, Response::Done(_)) {
            self.recorder.note(reply());
        }
    }

    // Another entry stands where it was proposed: it never happens. Or nobody knows.
    fn owe_nothing(&self, owed: &Owed, definite: bool) {
        if self.raft.bug() == Bug::NeverAnswers {
            return;
        }
        let text = if definite { "stale command" } else { "deadline exceeded" };
        let definite = definite || self.raft.bug() == Bug::LiesAboutLateness;
        let status = Status { definite, text: text.into() };
        self.recorder.note(Effect::Reply { id: owed.request, result: Err(status) });
    }

    fn late(&mut self, now: Micros) {
        let late: Vec<u64> =
            self.owed.iter().filter(|(_, owed)| owed.deadline <= now).map(|(i, _)| *i).collect();
        for index in late {
            if let Some(owed) = self.owed.remove(&index) {
                self.owe_nothing(&owed, false);
            }
        }
    }

    fn apply(&mut self) {
        // R1: only what is durable here.
        while self.applied < self.raft.commit.min(self.raft.persisted) {
            self.applied += 1;
            let entry = self.raft.log[usize::try_from(self.applied).unwrap()].clone();
            let skip = self.raft.bug() == Bug::SkipsCommands
                && self.raft.id == 2
                && self.applied.is_multiple_of(5);
            let result = match &entry.command {
                Some(op) if !skip => Some(run(&mut self.data, op)),
                _ => None,
            };
            let Some(owed) = self.owed.remove(&self.applied) else { continue };
            match result {
                Some(result) if owed.term == entry.term => {
                    self.reply(owed.request, Response::Done(result));
                }
                _ => self.owe_nothing(&owed, true),
            }
        }
    }

    fn inspect(&self, look: &Look) -> Inspected {
        let raft = &self.raft;
        let from =
            look.logs.iter().find(|(region, _)| *region == 1).map_or(1, |(_, from)| (*from).max(1));
        let entries: Vec<EntryView> = (from..=raft.last())
            .map(|index| {
                let entry = &raft.log[usize::try_from(index).unwrap()];
                let data = postcard::to_stdvec(&entry.command).unwrap();
                EntryView { index, term: entry.term, digest: entry_digest(0, &data, &[]) }
            })
            .collect();
        let before = if entries.is_empty() { raft.last() } else { from - 1 };
        let digest = look.digest.then(|| {
            let mut digest = StateDigest::default();
            self.data.iter().for_each(|(key, value)| digest.add("default", key, value));
            digest.finish()
        });
        let view = RegionView {
            region: 1,
            peer: raft.id,
            role: raft.role,
            term: raft.term,
            vote: raft.vote,
            leader: raft.leader,
            commit: raft.commit,
            applied: self.applied,
            persisted: raft.persisted,
            last: raft.last(),
            before: raft.term_of(before).unwrap(),
            entries,
            range: Some(Default::default()),
            epoch: (1, 1),
            voters: raft.members().iter().map(|n| Member { peer: *n, store: *n }).collect(),
            digest,
            ..RegionView::default()
        };
        Inspected { regions: vec![view], removed: Vec::new() }
    }
}

fn run(data: &mut BTreeMap<Vec<u8>, Vec<u8>>, op: &Op) -> OpResult {
    match op {
        Op::Txn(steps) => {
            let step = |step: &Micro| {
                if let Some(new) = step.write(data.get(step.key()).map(Vec::as_slice)) {
                    data.insert(step.key().to_vec(), new);
                }
                data.get(step.key()).cloned()
            };
            OpResult::Txn(steps.iter().map(step).collect())
        }
        Op::Get(key) => OpResult::Value(data.get(key).cloned()),
        Op::Put(key, value) => {
            data.insert(key.clone(), value.clone());
            OpResult::Written
        }
        Op::Delete(key) => {
            data.remove(key);
            OpResult::Written
        }
        Op::Cas { key, expected, new } => {
            let previous = data.get(key).cloned();
            let swapped = previous == *expected;
            if swapped {
                data.insert(key.clone(), new.clone());
            }
            OpResult::Swapped { swapped, previous }
        }
        Op::Append(key, value) => {
            data.entry(key.clone()).or_default().extend(value);
            OpResult::Written
        }
        Op::Scan { start, end, limit } => {
            let range =
                data.range(start.clone()..).take_while(|(key, _)| end.is_empty() || *key < end);
            OpResult::Pairs(
                range.take(*limit as usize).map(|(k, v)| (k.clone(), v.clone())).collect(),
            )
        }
    }
}
