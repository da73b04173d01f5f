//! The loop: feeds the store, and carries out what it wants, in order.

use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::metapb::Region;
use proto::pdpb::{RegionHeartbeatResponse, SplitId};
use proto::raft_serverpb::RaftMessage;
use raftkv::peer::Micros;
use raftkv::storage::Inbox;
use raftkv::store::{LogWrite, Request, answer};
use raftkv::{Error, Result};
use standalone::engine::Engine;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, channel};
use tokio::sync::{oneshot, watch};

use super::reports::Reports;
use super::status::Metrics;
use super::transport::Transport;
use super::workers::Done;
use crate::raftstore::{Effect, Job, Store};

/// How many inputs may wait for the loop. Beyond that, whoever has one waits for room.
const INPUTS: usize = 4096;

/// How many of them go into one round.
const ROUND: usize = 1024;

/// How long a request may take before nobody waits for it any more. Clients give up after two seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The length of a tick.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// How often the loop says how many regions there are.
const TOLD_TICKS: u64 = 10;

/// What can come to the loop.
#[derive(Debug)]
pub(super) enum Input {
    Tick,
    Message(Box<RaftMessage>),
    Part(Box<RaftMessage>, Bytes),
    Unreachable(u64),
    SnapshotSent { region: u64, to: u64, arrived: bool },
    Request(Request),
    Operator(Box<RegionHeartbeatResponse>),
    SplitIds(Box<Region>, Vec<SplitId>),
    Stop,
}

/// The way into the loop. Clones are the same way.
#[derive(Debug, Clone)]
pub struct Inputs(Sender<Input>);

impl Inputs {
    /// A way in, and where it leads.
    pub(super) fn new() -> (Inputs, Receiver<Input>) {
        let (sender, receiver) = channel(INPUTS);
        (Inputs(sender), receiver)
    }

    /// Waits for room. What comes after the end is dropped: its callbacks, if any, answer that nobody knows.
    pub(super) async fn put(&self, input: Input) {
        let _ = self.0.send(input).await;
    }

    /// A tick. If the loop is behind, it needs no more of them.
    pub(super) fn tick(&self) {
        let _ = self.0.try_send(Input::Tick);
    }
}

impl Inbox for Inputs {
    async fn send(&self, request: Request) {
        self.put(Input::Request(request)).await;
    }
}

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
    pub(super) region: SyncSender<Box<Job>>,
    pub(super) transport: Transport,
    pub(super) reports: Reports,
    pub(super) metrics: Metrics,
    pub(super) counts: watch::Sender<Counts>,
    pub(super) began: Instant,
    pub(super) ticks: u64,
}

impl Driver {
    /// Starts the loop on a thread of its own. Its end, and why, comes out of the receiver.
    pub(super) fn spawn(
        self,
        inputs: Receiver<Input>,
        dones: UnboundedReceiver<Done>,
    ) -> Result<oneshot::Receiver<Result<()>>> {
        let (end, ended) = oneshot::channel();
        let runtime = Handle::current();
        let failed =
            |e: std::io::Error| Error::System { doing: "start a thread", what: e.to_string() };
        thread::Builder::new()
            .name("raft loop".into())
            .spawn(move || {
                // Whoever waited for the end may be gone.
                let _ = end.send(runtime.block_on(self.run(inputs, dones)));
            })
            .map_err(failed)?;
        Ok(ended)
    }

    fn now(&self) -> Micros {
        micros(self.began.elapsed())
    }

    async fn run(
        mut self,
        mut inputs: Receiver<Input>,
        mut dones: UnboundedReceiver<Done>,
    ) -> Result<()> {
        loop {
            // What is done lets others go on: first.
            let mut goes_on = tokio::select! {
                biased;
                Some(done) = dones.recv() => self.done(done)?,
                input = inputs.recv() => self.input(input.unwrap_or(Input::Stop))?,
            };
            for _ in 0..ROUND {
                if let Ok(done) = dones.try_recv() {
                    goes_on &= self.done(done)?;
                } else if let Ok(input) = inputs.try_recv() {
                    goes_on &= self.input(input)?;
                } else {
                    break;
                }
            }
            loop {
                let effects = self.store.poll()?;
                if effects.is_empty() && !self.store.has_work() {
                    break;
                }
                #[expect(clippy::cast_precision_loss)] // a round has less than 2^52 effects
                self.metrics.round.observe(effects.len() as f64);
                for effect in effects {
                    self.carry_out(effect)?;
                }
            }
            if !goes_on {
                for effect in self.store.close() {
                    self.carry_out(effect)?;
                }
                return Ok(());
            }
        }
    }

    fn done(&mut self, done: Done) -> Result<bool> {
        match done {
            Done::Log(result) => self.store.log_written(result?)?,
            Done::Job(done) => self.store.job_done(done)?,
        }
        Ok(true)
    }

    fn input(&mut self, input: Input) -> Result<bool> {
        let now = self.now();
        match input {
            Input::Stop => return Ok(false),
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
            Input::Request(request) => {
                self.store.request(request, now, now + micros(PATIENCE))?;
            }
            Input::Operator(operator) => self.store.operator(*operator),
            Input::SplitIds(asked, ids) => self.store.split_ids(&asked, ids),
        }
        Ok(true)
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

    fn carry_out(&mut self, effect: Effect) -> Result<()> {
        let gone = || Error::System { doing: "hand on work", what: "a worker has ended".into() };
        match effect {
            Effect::Send(message) => self.transport.send(*message),
            Effect::WriteLog(write) => self.log.send(write).map_err(|_| gone())?,
            Effect::CommitKv { batch, durability } => {
                let _timer = self.metrics.apply.start_timer();
                self.kv.write(&batch, durability)?;
            }
            Effect::Answer(given) => answer(given, &self.kv)?,
            Effect::Job(job) => self.region.send(job).map_err(|_| gone())?,
            Effect::Stream(stream) => self.transport.stream(*stream),
            Effect::Scheduler(message) => self.reports.tell(*message),
        }
        Ok(())
    }
}

pub(super) fn micros(time: Duration) -> Micros {
    Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX)
}
