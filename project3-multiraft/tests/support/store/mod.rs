//! The subject of stage 3B: one life of a store of many regions, answering the world. Who serves its clients is handed in:
//! project 4's tests put transactions on the same store.

mod look;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;
use multiraft::membership::Node;
use multiraft::raftstore::{Config, Effect as Wanted, Job as Work, MultiStore, ToScheduler};
use multiraft_suite::stage3b::config::StoreConfig;
use multiraft_suite::stage3b::talk::{FromScheduler, SCHEDULER, ToScheduler as Said};
use prost::Message as _;
use proto::metapb::Region;
use proto::pdpb;
use proto::raft_serverpb::{RaftMessage, SnapshotChunk};
use raftkv::log_store::{LogStore, RedbLog};
use raftkv::observer::PeerObserver;
use raftkv::peer::GcLimits;
use raftkv::store::{KvWrite, LogWrite, Request, SnapStream, answer};
use raftkv::{Error, Result};
use redb::StorageBackend as _;
use sim::cluster::protocol::{Channel, Cluster, Effect, Event, Input, Lane, Micros, Open};
use sim::cluster::recorder::Recorder;
use sim::seam::Subject;
use standalone::engine::{CF_DEFAULT, Engine, Options};

pub use look::Shown;
use look::inspect;

/// Who serves a store's clients.
pub trait Service {
    /// For one life.
    fn new(seed: u64) -> Self;
    /// Who is told about leaders.
    fn observer(&self) -> Option<Box<dyn PeerObserver>> {
        None
    }
    /// The store's clock.
    fn set_now(&mut self, now: Micros);
    /// Begins a call; it goes on in [`Service::run`].
    fn begin(&mut self, id: u64, method: &str, bytes: &[u8], deadline: Micros);
    /// A message that is neither Raft's nor the scheduler's.
    fn message(&mut self, from: u64, bytes: &[u8]) {
        let _ = (from, bytes);
    }
    /// Lets handlers go on until all of them wait.
    fn run(&mut self);
    /// What handlers have asked of the store, and until when.
    fn take_asked(&self) -> Vec<(Request, Micros)>;
    /// Answers and messages that are ready.
    fn take_effects(&mut self) -> Vec<Effect>;
    /// Answers to those whose patience is over.
    fn take_overdue(&mut self, now: Micros) -> Vec<Effect>;
}

/// Work that the world has not let happen yet.
enum Job {
    Log(LogWrite),
    Kv(KvWrite),
    Region(Box<Work>),
    Stream(Box<SnapStream>),
}

/// A life, from its `Open` on. `N` is the consensus that its peers drive.
pub struct Life<S, N: Shown = Node> {
    running: Option<Running<S, N>>,
    recorder: Recorder,
    stopped: Option<String>,
    /// Regions that the world was shown.
    shown: BTreeSet<u64>,
}

impl<S, N: Shown> Default for Life<S, N> {
    fn default() -> Self {
        let (recorder, shown) = (Recorder::default(), BTreeSet::new());
        Life { running: None, recorder, stopped: None, shown }
    }
}

struct Running<S, N: Shown> {
    store: MultiStore<N>,
    kv: Engine,
    log: Arc<dyn LogStore>,
    calls: S,
    jobs: BTreeMap<u64, Job>,
    next_job: u64,
    recorder: Recorder,
}

impl<S: Service, N: Shown> Subject<Cluster> for Life<S, N> {
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
            let inspected = inspect(&running.store, &running.kv, &look, &mut self.shown);
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
    let mut config = Config::new(open.node, 1);
    config.first_regions = wanted
        .regions
        .iter()
        .map(|bytes| Region::decode(&bytes[..]).expect("the suite's own bytes"))
        .collect();
    config.raft.seed = open.seed;
    config.raft.election_tick = wanted.election_tick;
    config.raft.skip_bcast_commit = wanted.disciplined;
    config.raft.pre_vote = wanted.disciplined;
    config.raft.check_quorum = wanted.disciplined;
    config.raft.lease_read = wanted.lease_read;
    config.tick = open.tick;
    config.gc = GcLimits { entries: wanted.gc_entries, bytes: wanted.gc_bytes };
    config.part_bytes = wanted.part_bytes;
    config.install_at_once = wanted.install_at_once;
    config.snapshot_patience = wanted.snapshot_patience;
    config.hold = wanted.hold;
    config.split_bytes = wanted.split_bytes;
    config.heartbeat_ticks = wanted.heartbeat_ticks;
    config.stale_ticks = wanted.stale_ticks;
    config.sleep_ticks = wanted.sleep_ticks;
    config
}

/// A file that says that the others are whole: a crash in the middle of the very first start leaves nothing.
const WHOLE: &str = "whole";

fn forget_half_made(recorder: &Recorder) {
    if recorder.disk(WHOLE).len().unwrap_or(0) == 0 {
        recorder.remove("kv.redb");
        recorder.remove("raft.redb");
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

impl<S: Service, N: Shown> Running<S, N> {
    fn open(open: &Open, now: Micros, recorder: Recorder) -> Result<Self> {
        forget_half_made(&recorder);
        let kv = engine(&recorder, "kv.redb", None)?;
        let log = RedbLog::new(engine(&recorder, "raft.redb", Some(vec![CF_DEFAULT]))?);
        let log: Arc<dyn LogStore> = Arc::new(log);
        let mut store = MultiStore::open(&kv, log.clone(), config(open), N::make, now)?;
        let failed = |e: std::io::Error| Error::System { doing: "start", what: e.to_string() };
        note_whole(&recorder).map_err(failed)?;
        let (calls, jobs) = (S::new(open.seed), BTreeMap::new());
        if let Some(observer) = calls.observer() {
            store.observe(observer);
        }
        Ok(Running { store, kv, log, calls, jobs, next_job: 0, recorder })
    }

    fn handle(&mut self, event: Event, now: Micros) -> Result<()> {
        self.calls.set_now(now);
        self.store.set_now(now);
        match event {
            // Nothing happens to a store that is looked at: what it would do belongs to its next event.
            Event::Open(_) | Event::Look => return Ok(()),
            Event::Unreachable { channel: Channel::Scheduler | Channel::Client, .. } => {}
            Event::Tick => self.store.tick(now)?,
            Event::Message { from, channel, bytes } => {
                self.message(from, channel, &Bytes::from(bytes.into_vec()))?;
            }
            Event::Unreachable { to, channel: Channel::Snapshot } => self.store.snapshots_lost(to),
            Event::Unreachable { to, channel: Channel::Raft } => self.store.unreachable(to),
            Event::Request { id, method, bytes, deadline } => {
                self.calls.begin(id, &method, &bytes, deadline);
            }
            Event::RunJob { id } => self.job(id)?,
            Event::FailDisk { file, call, nth } => self.recorder.fail(&file, call, nth),
        }
        self.go_on(now)?;
        for effect in self.calls.take_overdue(now) {
            self.recorder.note(effect);
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
            Channel::Raft => match RaftMessage::decode(bytes.clone()) {
                Ok(message) if sent_by(&message) => self.store.message(message),
                _ => Ok(()),
            },
            Channel::Scheduler if from == SCHEDULER => {
                match FromScheduler::decode(bytes) {
                    Some(FromScheduler::Operator(bytes)) => {
                        if let Ok(operator) = pdpb::RegionHeartbeatResponse::decode(&bytes[..]) {
                            self.store.operator(operator);
                        }
                    }
                    Some(FromScheduler::SplitIds { asked, ids }) => {
                        let asked = Region::decode(&asked[..]);
                        let ids = pdpb::AskBatchSplitResponse::decode(&ids[..]);
                        if let (Ok(asked), Ok(ids)) = (asked, ids) {
                            self.store.split_ids(&asked, ids.ids);
                        }
                    }
                    None => {}
                }
                Ok(())
            }
            Channel::Scheduler | Channel::Client => {
                self.calls.message(from, bytes);
                Ok(())
            }
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
            Some(Job::Region(work)) => self.store.job_done(work.run(&self.kv)),
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
            if effects.is_empty() && !self.store.has_work() {
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
            Wanted::Job(work) => self.ask(Lane::Region, Job::Region(work)),
            Wanted::Stream(stream) => self.ask(Lane::Region, Job::Stream(stream)),
            Wanted::Scheduler(message) => {
                let said = match *message {
                    ToScheduler::Region(heartbeat) => Said::Region(heartbeat.encode_to_vec()),
                    ToScheduler::AskSplit(ask) => Said::AskSplit(ask.encode_to_vec()),
                    ToScheduler::ReportSplit(report) => Said::ReportSplit(report.encode_to_vec()),
                };
                let bytes = said.encode().into();
                let channel = Channel::Scheduler;
                self.recorder.note(Effect::Send { to: SCHEDULER, channel, bytes });
            }
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
        for effect in self.calls.take_effects() {
            self.recorder.note(effect);
        }
    }
}
