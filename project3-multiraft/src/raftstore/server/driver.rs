//! A store of many regions, driven: what comes to it, and what is done about each effect.

use std::sync::mpsc::SyncSender;
use std::time::Instant;

use proto::metapb::{Peer, Region};
use proto::pdpb::{RegionHeartbeatResponse, SplitId};
use raftkv::peer::Micros;
use raftkv::server::{self, Done, Driven, Input, KvWriter, PATIENCE, Transport};
use raftkv::store::{LogWrite, Request, answer};
use raftkv::{Error, Result};
use standalone::engine::Engine;
use tokio::sync::{oneshot, watch};

use super::commits::Commits;
use super::links::Links;
use super::neighbours::Stores;
use super::reports::Reports;
use super::status::Metrics;
use crate::failpoints;
use crate::raftstore::{Effect, Job, JobDone, PeerReport, Store};

/// How often the loop says how many regions there are.
const TOLD_TICKS: u64 = 10;

/// What this kind of store is told besides.
#[derive(Debug)]
pub enum Order {
    /// The scheduler: do this with a region.
    Operator(Box<RegionHeartbeatResponse>),
    /// The scheduler: ids for a split of this region, as it was when they were asked for.
    SplitIds(Box<Region>, Vec<SplitId>),
    /// Somebody wants to know how the peers are.
    Look(oneshot::Sender<Vec<PeerReport>>),
    /// End, and tell nobody.
    Die,
}

/// The way into the store's loop. Clones are the same way.
pub type Inputs = server::Inputs<Order>;

/// How many of what there are here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) regions: usize,
    pub(super) leaders: usize,
    pub(super) asleep: usize,
    pub(super) waiting: usize,
}

/// What the loop works with.
pub(super) struct Driver {
    pub(super) store: Store,
    pub(super) kv: Engine,
    pub(super) log: SyncSender<LogWrite>,
    pub(super) data: KvWriter,
    pub(super) region: SyncSender<Box<Job>>,
    /// Jobs that the region worker has.
    pub(super) jobs: usize,
    pub(super) transport: Transport<Stores>,
    pub(super) reports: Reports,
    pub(super) metrics: Metrics,
    pub(super) commits: Commits,
    pub(super) counts: watch::Sender<Counts>,
    pub(super) links: Links,
    pub(super) ticks: u64,
}

impl Driver {
    /// Runs a job of the region worker, on its thread.
    pub(super) fn run(job: &Job, kv: &Engine, metrics: &Metrics) -> JobDone {
        match job {
            Job::Build { .. } => {
                let timer = metrics.build.start_timer();
                let done = job.run(kv);
                timer.observe_duration();
                failpoints::reached("region_gen_snap");
                done
            }
            Job::Install(install) => {
                metrics.snapshot("applying", 1);
                failpoints::reached("region_apply_snap");
                let done = job.run(kv);
                #[expect(clippy::cast_precision_loss)] // far below 2^52 bytes
                metrics.snapshot_size.observe(install.bytes as f64);
                metrics.snapshot("applying", -1);
                done
            }
            Job::Destroy(_) | Job::Sweep(_) | Job::SplitCheck { .. } => job.run(kv),
        }
    }

    fn count(&self) {
        let mut counts = Counts { waiting: self.store.waiting(), ..Counts::default() };
        for (region, peer) in self.store.peers() {
            counts.regions += 1;
            counts.leaders += usize::from(peer.status().is_leader());
            counts.asleep += usize::from(self.store.sleeps(region));
        }
        self.counts.send_replace(counts);
    }

    /// Returns whether a write of the data is done already.
    fn carry_out(&mut self, effect: Effect, idle: bool) -> Result<bool> {
        let gone = || Error::System { doing: "hand on work", what: "a worker has ended".into() };
        if let Some(kind) = kind(&effect) {
            self.metrics.ready.with_label_values(&[kind]).inc();
        }
        match effect {
            Effect::Send(message) => {
                let (from, to) = (store_of(message.from_peer), store_of(message.to_peer));
                if !self.links.are_cut(from, to) {
                    self.transport.send(*message);
                }
            }
            Effect::WriteLog(write) => self.log.send(write).map_err(|_| gone())?,
            Effect::WriteKv(write) => {
                failpoints::reached("on_handle_apply");
                // The edge: the metrics' own clock.
                let began = Instant::now();
                let done = self.data.write(write, idle && self.jobs == 0)?;
                if done {
                    self.metrics.apply.observe(began.elapsed().as_secs_f64());
                }
                return Ok(done);
            }
            Effect::Answer(given) => answer(given, &self.kv)?,
            Effect::Job(job) => {
                self.jobs += 1;
                self.region.send(job).map_err(|_| gone())?;
            }
            Effect::Stream(stream) => {
                let (region, to) = (stream.message.region_id, stream.to_store());
                if self.links.are_cut(store_of(stream.message.from_peer), to) {
                    self.store.snapshot_sent(region, to, false);
                } else {
                    self.metrics.snapshot("sending", 1);
                    self.transport.stream(*stream);
                }
            }
            Effect::Scheduler(message) => self.reports.tell(*message),
        }
        Ok(false)
    }
}

/// As TiKV calls it, and of which region it is.
fn about(request: &Request) -> (&'static str, u64) {
    match request {
        Request::Write(command, _) => {
            let kind = if command.admin_request.is_some() { "admin" } else { "normal" };
            (kind, command.header.as_ref().map_or(0, |header| header.region_id))
        }
        Request::Read(header, _) => ("read_index", header.region_id),
        Request::Meet { .. } => ("meet", 0),
    }
}

/// As TiKV counts what its rounds handle.
fn kind(effect: &Effect) -> Option<&'static str> {
    match effect {
        Effect::Send(_) => Some("message"),
        Effect::WriteLog(_) => Some("append"),
        Effect::WriteKv(_) => Some("commit"),
        Effect::Stream(_) => Some("snapshot"),
        Effect::Answer(_) | Effect::Job(_) | Effect::Scheduler(_) => None,
    }
}

fn store_of(peer: Option<Peer>) -> u64 {
    peer.map_or(0, |peer| peer.store_id)
}

impl Driven for Driver {
    type Word = Order;
    type JobDone = JobDone;

    fn input(&mut self, input: Input<Order>, now: Micros) -> Result<()> {
        match input {
            Input::Tick => {
                self.store.tick(now)?;
                self.ticks += 1;
                if self.ticks.is_multiple_of(TOLD_TICKS) {
                    self.count();
                }
            }
            Input::Message(message) => self.store.message(*message)?,
            Input::Part(message, part, _room) => self.store.snapshot_part(*message, &part)?,
            Input::Unreachable(store) => self.store.unreachable(store),
            Input::SnapshotSent { region, to, arrived } => {
                self.metrics.snapshot("sending", -1);
                self.store.snapshot_sent(region, to, arrived);
            }
            Input::Request(request, since) => {
                self.metrics.propose.observe(since.elapsed().as_secs_f64());
                let (kind, region) = about(&request);
                self.metrics.proposals.with_label_values(&[kind]).inc();
                self.store.request(request, now, now + PATIENCE)?;
                self.commits.asked(&self.store, region);
            }
            Input::Word(Order::Operator(operator)) => self.store.operator(*operator),
            Input::Word(Order::SplitIds(asked, ids)) => self.store.split_ids(&asked, ids),
            // Who asked may be gone.
            Input::Word(Order::Look(answer)) => drop(answer.send(self.store.look())),
            Input::Word(Order::Die) => {
                return Err(Error::System { doing: "go on", what: "it was killed".into() });
            }
            Input::Stop => {}
        }
        Ok(())
    }

    fn done(&mut self, done: Done<JobDone>) -> Result<()> {
        match done {
            Done::Log(result) => self.store.log_written(result?),
            Done::Kv(result) => result.and_then(|()| self.store.kv_written()),
            Done::Job(done) => {
                self.jobs -= 1;
                self.store.job_done(done)
            }
        }
    }

    fn round(&mut self, now: Micros, idle: bool) -> Result<()> {
        self.store.set_now(now);
        loop {
            let effects = self.store.poll()?;
            self.commits.look(&self.store, &self.metrics.commit);
            if effects.is_empty() && !self.store.has_work() {
                return Ok(());
            }
            #[expect(clippy::cast_precision_loss)] // a round has less than 2^52 effects
            self.metrics.round.observe(effects.len() as f64);
            let mut written = false;
            for effect in effects {
                written |= self.carry_out(effect, idle)?;
            }
            if written {
                self.store.kv_written()?;
            }
        }
    }

    fn close(&mut self) -> Result<()> {
        for effect in self.store.close() {
            self.carry_out(effect, false)?;
        }
        Ok(())
    }
}
