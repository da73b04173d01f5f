//! A store of many regions, driven: what comes to it, and what is done about each effect.

use std::sync::mpsc::SyncSender;

use proto::metapb::Region;
use proto::pdpb::{RegionHeartbeatResponse, SplitId};
use raftkv::peer::Micros;
use raftkv::server::{self, Done, Driven, Input, KvWriter, PATIENCE, Transport};
use raftkv::store::{LogWrite, answer};
use raftkv::{Error, Result};
use standalone::engine::Engine;
use tokio::sync::watch;

use super::neighbours::Stores;
use super::reports::Reports;
use super::status::Metrics;
use crate::raftstore::{Effect, Job, JobDone, Store};

/// How often the loop says how many regions there are.
const TOLD_TICKS: u64 = 10;

/// What the scheduler says.
#[derive(Debug)]
pub enum Order {
    /// Do this with a region.
    Operator(Box<RegionHeartbeatResponse>),
    /// Ids for a split of this region, as it was when they were asked for.
    SplitIds(Box<Region>, Vec<SplitId>),
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
    pub(super) counts: watch::Sender<Counts>,
    pub(super) ticks: u64,
}

impl Driver {
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
        match effect {
            Effect::Send(message) => self.transport.send(*message),
            Effect::WriteLog(write) => self.log.send(write).map_err(|_| gone())?,
            Effect::WriteKv(write) => return self.data.write(write, idle && self.jobs == 0),
            Effect::Answer(given) => answer(given, &self.kv)?,
            Effect::Job(job) => {
                self.jobs += 1;
                self.region.send(job).map_err(|_| gone())?;
            }
            Effect::Stream(stream) => self.transport.stream(*stream),
            Effect::Scheduler(message) => self.reports.tell(*message),
        }
        Ok(false)
    }
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
            Input::Part(message, part) => self.store.snapshot_part(*message, &part)?,
            Input::Unreachable(store) => self.store.unreachable(store),
            Input::SnapshotSent { region, to, arrived } => {
                self.store.snapshot_sent(region, to, arrived);
            }
            Input::Request(request) => self.store.request(request, now, now + PATIENCE)?,
            Input::Word(Order::Operator(operator)) => self.store.operator(*operator),
            Input::Word(Order::SplitIds(asked, ids)) => self.store.split_ids(&asked, ids),
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
