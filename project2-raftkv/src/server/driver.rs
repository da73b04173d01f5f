//! The loop: feeds the store, and carries out what it wants, in order.

use std::collections::BTreeSet;
use std::sync::mpsc::SyncSender;
use std::thread;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proto::raft_serverpb::RaftMessage;
use standalone::engine::Engine;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, UnboundedReceiver, channel};
use tokio::sync::oneshot;

use super::transport::Transport;
use super::workers::Done;
use crate::error::Error;
use crate::peer::Micros;
use crate::storage::Inbox;
use crate::store::{Effect, KvWrite, LogWrite, RegionJob, Request, answer};
use crate::{Result, Store};

/// How many inputs may wait for the loop. Beyond that, whoever has one waits for room.
const INPUTS: usize = 4096;

/// How many of them go into one round.
const ROUND: usize = 1024;

/// How long a request may take before nobody waits for it any more. Clients give up after two seconds.
const PATIENCE: Duration = Duration::from_secs(5);

/// The length of a tick.
pub(super) const TICK: Duration = Duration::from_millis(50);

/// What can come to the loop.
#[derive(Debug)]
pub(super) enum Input {
    Tick,
    Message(Box<RaftMessage>),
    Part(Box<RaftMessage>, Bytes),
    Unreachable(u64),
    SnapshotSent(u64, bool),
    Request(Request),
    /// Another store has accepted our disk.
    Accepted(u64),
    /// Another store knows us by another disk.
    Rejected(String),
    Stop,
}

/// The way into the loop. Clones are the same way.
#[derive(Debug, Clone)]
pub(super) struct Inputs(Sender<Input>);

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

/// What the loop works with.
pub(super) struct Driver {
    pub(super) store: Store,
    pub(super) kv: Engine,
    pub(super) log: SyncSender<LogWrite>,
    pub(super) data: SyncSender<KvWrite>,
    pub(super) region: SyncSender<Box<RegionJob>>,
    pub(super) transport: Transport,
    pub(super) others: BTreeSet<u64>,
    pub(super) began: Instant,
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
        let mut accepted = BTreeSet::new();
        loop {
            // What is done lets others go on: first.
            let mut goes_on = tokio::select! {
                biased;
                Some(done) = dones.recv() => self.done(done)?,
                input = inputs.recv() => self.input(input.unwrap_or(Input::Stop), &mut accepted)?,
            };
            for _ in 0..ROUND {
                if let Ok(done) = dones.try_recv() {
                    goes_on &= self.done(done)?;
                } else if let Ok(input) = inputs.try_recv() {
                    goes_on &= self.input(input, &mut accepted)?;
                } else {
                    break;
                }
            }
            for effect in self.store.poll()? {
                self.carry_out(effect)?;
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
            Done::Kv(result) => result.and_then(|()| self.store.kv_written())?,
            Done::Region(done) => self.store.region_done(done)?,
        }
        Ok(true)
    }

    fn input(&mut self, input: Input, accepted: &mut BTreeSet<u64>) -> Result<bool> {
        let now = self.now();
        match input {
            Input::Stop => return Ok(false),
            Input::Rejected(why) => return Err(Error::Config(why)),
            Input::Accepted(store) => {
                accepted.insert(store);
                if !self.store.has_joined() && self.others.is_subset(accepted) {
                    tracing::info!("accepted by all members");
                    self.store.join();
                }
            }
            Input::Request(request @ Request::Meet { .. }) => {
                self.store.request(request, now, now)?;
            }
            // A disk that nobody knows says nothing, and votes for nobody. (A dropped request is answered by that.)
            _ if !self.store.has_joined() => {}
            Input::Tick => self.store.tick(now)?,
            Input::Message(message) => self.store.message(*message)?,
            Input::Part(message, part) => self.store.snapshot_part(*message, &part)?,
            Input::Unreachable(store) => self.store.unreachable(store),
            Input::SnapshotSent(store, arrived) => self.store.snapshot_sent(store, arrived),
            Input::Request(request) => {
                self.store.request(request, now, now + micros(PATIENCE))?;
            }
        }
        Ok(true)
    }

    fn carry_out(&mut self, effect: Effect) -> Result<()> {
        let gone = || Error::System { doing: "hand on work", what: "a worker has ended".into() };
        match effect {
            Effect::Send(message) => self.transport.send(*message),
            Effect::WriteLog(write) => self.log.send(write).map_err(|_| gone())?,
            Effect::WriteKv(write) => self.data.send(write).map_err(|_| gone())?,
            Effect::Answer(given) => answer(given, &self.kv)?,
            Effect::Met(callback, welcome) => callback.complete(welcome),
            Effect::Region(job) => self.region.send(job).map_err(|_| gone())?,
            Effect::Stream(stream) => self.transport.stream(*stream),
        }
        Ok(())
    }
}

pub(super) fn micros(time: Duration) -> Micros {
    Micros::try_from(time.as_micros()).unwrap_or(Micros::MAX)
}
