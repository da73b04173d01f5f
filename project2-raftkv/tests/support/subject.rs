//! The subject: one life of one store, answering the world.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use prost::Message as _;
use proto::raft_serverpb::{RaftMessage, SnapshotChunk};
use raftkv::log_store::{LogStore, RedbLog, WalLog};
use raftkv::peer::GcLimits;
use raftkv::store::{Config, Effect as Wanted, KvWrite, LogWrite, RegionJob, SnapStream, answer};
use raftkv::{Error, Result, Store};
use raftkv_suite::config::StoreConfig;
use redb::StorageBackend as _;
use sim::cluster::protocol::{Channel, Cluster, Effect, Event, Input, Lane, Micros, Open, Status};
use sim::cluster::recorder::Recorder;
use sim::seam::Subject;
use standalone::engine::{CF_DEFAULT, Engine, Options};

use super::calls::Calls;
use super::look::inspect;

/// So short that it is full every now and then.
const JOURNAL_BYTES: usize = 4 << 10;

/// Work that the world has not let happen yet.
enum Job {
    Log(LogWrite),
    Kv(KvWrite),
    Region(Box<RegionJob>),
    Stream(Box<SnapStream>),
}

/// A life, from its `Open` on.
#[derive(Default)]
pub struct Life {
    running: Option<Running>,
    recorder: Recorder,
    stopped: Option<String>,
}

struct Running {
    store: Store,
    kv: Engine,
    log: Arc<dyn LogStore>,
    calls: Calls,
    jobs: BTreeMap<u64, Job>,
    next_job: u64,
    recorder: Recorder,
}

impl Subject<Cluster> for Life {
    fn handle(&mut self, input: Input) -> Vec<Effect> {
        let done = match input.event {
            Event::Open(open) => {
                self.recorder = Recorder::new(open.files.clone());
                Running::open(&open, input.now, self.recorder.clone()).map(|running| {
                    self.running = Some(running);
                })
            }
            _ if self.stopped.is_some() => return Vec::new(),
            event => match &mut self.running {
                Some(running) => running.handle(event, input.now),
                None => panic!("the world asks a store that it did not open"),
            },
        };
        if let Err(error) = done {
            self.stopped = Some(error.to_string());
        }
        let mut effects = self.recorder.take();
        if let (Some(look), Some(running), None) = (input.look, &self.running, &self.stopped) {
            let inspected = inspect(&running.store, &running.kv, &look);
            effects.push(Effect::Inspected(Box::new(inspected)));
        }
        if let Some(why) = &self.stopped {
            effects.push(Effect::Stopped { why: why.clone() });
        }
        effects
    }
}

fn engine(recorder: &Recorder, name: &str, cfs: Option<Vec<&'static str>>) -> Result<Engine> {
    let defaults = Options { cache_bytes: 4 << 20, verify: false, ..Options::default() };
    let options = match cfs {
        Some(cfs) => Options { cfs, ..defaults },
        None => defaults,
    };
    Ok(Engine::with_backend(recorder.disk(name), &options)?)
}

fn config(open: &Open) -> Config {
    let wanted = StoreConfig::decode(&open.config).expect("the suite's own bytes");
    let mut config = Config::new(open.node, wanted.members);
    config.new_disk = open.seed;
    config.tick = open.tick;
    config.raft.seed = open.seed;
    config.raft.election_tick = wanted.election_tick;
    config.raft.skip_bcast_commit = wanted.disciplined;
    config.raft.pre_vote = wanted.disciplined;
    config.raft.check_quorum = wanted.disciplined;
    config.raft.lease_read = wanted.lease_read;
    config.gc = GcLimits { entries: wanted.gc_entries, bytes: wanted.gc_bytes };
    config.part_bytes = wanted.part_bytes;
    config.install_at_once = wanted.install_at_once;
    config.snapshot_patience = wanted.snapshot_patience;
    config.hold = wanted.hold;
    config
}

/// The server makes a store in a directory of another name, and renames that when it is whole; so a crash in the middle of
/// the very first start leaves nothing. A world's files have no directory: here a file says that the others are whole.
const WHOLE: &str = "whole";

fn forget_half_made(recorder: &Recorder) {
    let whole = recorder.disk(WHOLE);
    if whole.len().unwrap_or(0) == 0 {
        recorder.remove("kv.redb");
        recorder.remove("raft.redb");
        recorder.remove("raft.wal");
    }
}

fn note_whole(recorder: &Recorder) -> std::io::Result<()> {
    let whole = recorder.disk(WHOLE);
    if whole.len()? == 0 {
        whole.set_len(1)?;
        whole.write(0, &[1])?;
        whole.sync_data()?;
    }
    Ok(())
}

impl Running {
    fn open(open: &Open, now: Micros, recorder: Recorder) -> Result<Running> {
        forget_half_made(&recorder);
        let kv = engine(&recorder, "kv.redb", None)?;
        let table = RedbLog::new(engine(&recorder, "raft.redb", Some(vec![CF_DEFAULT]))?);
        let log = WalLog::open(table, recorder.disk("raft.wal"), JOURNAL_BYTES)?;
        let log: Arc<dyn LogStore> = Arc::new(log);
        let store = Store::open(kv.clone(), log.clone(), config(open), now)?;
        let failed = |e: std::io::Error| Error::System { doing: "start", what: e.to_string() };
        note_whole(&recorder).map_err(failed)?;
        let (calls, jobs) = (Calls::new(open.seed), BTreeMap::new());
        Ok(Running { store, kv, log, calls, jobs, next_job: 0, recorder })
    }

    fn handle(&mut self, event: Event, now: Micros) -> Result<()> {
        self.calls.set_now(now);
        self.store.set_now(now);
        match event {
            // Nothing happens to a store that is looked at: what it would do belongs to its next event.
            Event::Open(_) | Event::Look => return Ok(()),
            Event::Tick => self.store.tick(now)?,
            Event::Message { from, channel, bytes } => {
                self.message(from, channel, &Bytes::from(bytes.into_vec()))?;
            }
            Event::Unreachable { to, channel: Channel::Snapshot } => {
                self.store.snapshot_sent(to, false);
            }
            Event::Unreachable { to, .. } => self.store.unreachable(to),
            Event::Request { id, method, bytes, deadline } => {
                self.calls.begin(id, &method, &bytes, deadline);
            }
            Event::RunJob { id } => self.job(id)?,
            Event::FailDisk { file, call, nth } => self.recorder.fail(&file, call, nth),
        }
        self.go_on(now)?;
        for id in self.calls.take_overdue(now) {
            let status = Status { definite: false, text: "no answer in time".into() };
            self.recorder.note(Effect::Reply { id, result: Err(status) });
        }
        Ok(())
    }

    fn message(&mut self, from: u64, channel: Channel, bytes: &Bytes) -> Result<()> {
        // The envelope must say what the connection says.
        let sent_by = |message: &RaftMessage| message.from_peer.is_some_and(|p| p.store_id == from);
        match channel {
            Channel::Snapshot => {
                let Ok(chunk) = SnapshotChunk::decode(bytes.clone()) else { return Ok(()) };
                let Some(message) = chunk.message.filter(sent_by) else { return Ok(()) };
                self.store.snapshot_part(message, &chunk.data)
            }
            _ => match RaftMessage::decode(bytes.clone()) {
                Ok(message) if sent_by(&message) => self.store.message(message),
                _ => Ok(()),
            },
        }
    }

    fn job(&mut self, id: u64) -> Result<()> {
        match self.jobs.remove(&id) {
            Some(Job::Log(write)) => {
                self.log.commit(&write.batch)?;
                self.store.log_written(write.id)
            }
            Some(Job::Kv(write)) => {
                write.run(&self.kv)?;
                self.store.kv_written()
            }
            Some(Job::Region(job)) => self.store.region_done(job.run(&self.kv)),
            Some(Job::Stream(stream)) => {
                let to = stream.to_store();
                let mut parts = stream.source.parts();
                while let Some(part) = parts.next_part()? {
                    let message = Some(stream.message.clone());
                    let chunk = SnapshotChunk { message, data: part.encode().into() };
                    let bytes = chunk.encode_to_vec().into();
                    self.recorder.note(Effect::Send { to, channel: Channel::Snapshot, bytes });
                }
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Handlers, then the store, then its effects; until nothing more can be done now.
    fn go_on(&mut self, now: Micros) -> Result<()> {
        loop {
            self.calls.run();
            self.reply();
            for (request, deadline) in self.calls.take_asked() {
                self.store.request(request, now, deadline)?;
            }
            let effects = self.store.poll()?;
            if effects.is_empty() {
                return Ok(());
            }
            for effect in effects {
                self.carry_out(effect)?;
            }
        }
    }

    fn carry_out(&mut self, effect: Wanted) -> Result<()> {
        match effect {
            Wanted::Send(message) => {
                let to = message.to_peer.map_or(0, |peer| peer.store_id);
                let bytes = message.encode_to_vec().into();
                self.recorder.note(Effect::Send { to, channel: Channel::Raft, bytes });
            }
            Wanted::WriteLog(write) => self.ask(Lane::LogWrite, Job::Log(write)),
            Wanted::WriteKv(write) => self.ask(Lane::Apply, Job::Kv(write)),
            Wanted::Answer(given) => {
                answer(given, &self.kv)?;
                // At once, so that the reply stands in the journal where it left.
                self.calls.run();
                self.reply();
            }
            Wanted::Met(callback, welcome) => callback.complete(welcome),
            Wanted::Region(job) => self.ask(Lane::Region, Job::Region(job)),
            Wanted::Stream(stream) => self.ask(Lane::Region, Job::Stream(stream)),
        }
        Ok(())
    }

    fn ask(&mut self, lane: Lane, job: Job) {
        self.next_job += 1;
        let id = self.next_job;
        self.jobs.insert(id, job);
        self.recorder.note(Effect::Job { id, lane });
    }

    fn reply(&mut self) {
        for (id, result) in self.calls.take_ended() {
            self.recorder.note(Effect::Reply { id, result });
        }
    }
}
