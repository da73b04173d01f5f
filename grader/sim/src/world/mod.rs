//! The world: stores, network, disks, clocks and clients in one loop, with one seed.
//!
//! There is a queue of things that are due, ordered by virtual time and then by when they were put there. The loop
//! takes the first, sets the clock to its time and does it; that may put more into the queue. Nothing else moves:
//! no thread, no wall clock, no iteration whose order is not fixed. So a virtual minute costs what its events
//! cost, and a seed is a complete description of a run.
//!
//! - `lives`: starts, crashes and stops;
//! - `stores`: hands inputs to stores ([`Link`](crate::link::Link), so they may live in this process or behind a
//!   pipe) and releases their effects one by one: a sync takes time, a crash may fall between any two;
//! - `network`: latency, loss, duplicates, stragglers, cuts in one direction or both;
//! - `clients`: sessions that retry as the official clients do, and the history of what they were told;
//! - `faults`: begins and mends what a schedule says;
//! - `finish`: heals everything, sets a deadline in virtual time, says who waits for whom if it is missed, then
//!   asks the checkers.
//!
//! A directed test drives a [`World`] by hand: [`World::run_for`], [`World::run_until`], [`World::call`],
//! [`World::fault`], [`World::finish`]. A random one leaves that to a [`Scenario`](crate::scenario::Scenario).
//! After every event the [monitors](crate::monitors) have looked at the store that moved, and the first broken
//! rule ends the run: every method returns it, and nothing moves afterwards.

mod clients;
mod faults;
mod finish;
mod lives;
mod network;
mod node;
mod stores;
mod traffic;

use std::collections::BTreeMap;

use serde_bytes::ByteBuf;

use crate::cluster::dialect::Dialect;
use crate::cluster::faults::{Fault, Point, TimedFault, Who};
use crate::cluster::protocol::{Channel, Cluster, Micros, NodeId, RegionView};
use crate::cluster::setup::Setup;
use crate::coverage::Coverage;
use crate::failure::{Failure, Outcome};
use crate::harness::Run;
use crate::history::{History, Op};
use crate::monitors::Monitors;
use crate::rng::Rng;
use crate::trace::{Event as Traced, Trace};
use clients::{Call, Client};
pub use clients::{CallEnd, CallId};
use network::Network;
use node::{Clock, Node};

/// What is due.
#[derive(Debug)]
enum Due {
    Tick { node: NodeId, life: u64 },
    Deliver { message: u64, from: NodeId, to: NodeId, channel: Channel, bytes: ByteBuf, order: u64 },
    Unreachable { node: NodeId, life: u64, to: NodeId, channel: Channel },
    Release { node: NodeId, life: u64 },
    RunJob { node: NodeId, life: u64, job: u64 },
    Ask(CallId),
    Told(CallId, CallEnd),
    TimesOut(CallId),
    Wakes(u64),
    FaultBegins(usize),
    FaultEnds(usize),
    Start { node: NodeId, life: u64 },
}

/// A world that runs.
pub struct World<'w, 'a> {
    run: &'w mut Run<'a, Cluster>,
    setup: Setup,
    dialect: Box<dyn Dialect>,
    now: Micros,
    queue: BTreeMap<(Micros, u64), Due>,
    put: u64,
    nodes: BTreeMap<NodeId, Node>,
    network: Network,
    clients: BTreeMap<u64, Client>,
    calls: BTreeMap<CallId, Call>,
    faults: BTreeMap<usize, TimedFault>,
    // What a fault did, so that it can be undone.
    struck: BTreeMap<usize, faults::Undo>,
    next_fault: usize,
    messages: u64,
    arrived: BTreeMap<(NodeId, NodeId, Channel), u64>,
    rng: Rng,
    inputs: u64,
    calm: bool,
    failed: Option<Failure>,
    blamed: Vec<usize>,
    history: History,
    monitors: Monitors,
    coverage: Coverage,
    trace: Trace,
}

impl<'w, 'a> World<'w, 'a> {
    /// A world in which all stores have just been started on empty disks.
    ///
    /// # Errors
    /// When a store fails to start; the same holds, with all that monitors may find, for everything below.
    pub fn new(
        run: &'w mut Run<'a, Cluster>,
        setup: Setup,
        dialect: Box<dyn Dialect>,
    ) -> Outcome<Self> {
        let seed = run.seed;
        let mut rng = Rng::fork(seed, "world");
        let mut nodes = BTreeMap::new();
        for (id, config) in &setup.nodes {
            let drift = rng.below(2 * setup.drift_ppm as usize + 1);
            let ppm = i32::try_from(drift).unwrap_or_default() - setup.drift_ppm.cast_signed();
            let skew = crate::cluster::faults::between(&mut rng, (1, setup.skew.max(1)));
            nodes.insert(*id, Node::new(*id, config.clone(), Clock::new(skew, ppm), seed));
        }
        let trace = Trace::new(run.recording());
        let mut world = World {
            network: Network::new(seed, setup.weather),
            run,
            dialect,
            now: 0,
            queue: BTreeMap::new(),
            put: 0,
            nodes,
            clients: BTreeMap::new(),
            calls: BTreeMap::new(),
            faults: BTreeMap::new(),
            struck: BTreeMap::new(),
            next_fault: 0,
            messages: 0,
            arrived: BTreeMap::new(),
            rng,
            inputs: 0,
            calm: false,
            failed: None,
            blamed: Vec::new(),
            history: History::default(),
            monitors: Monitors::default(),
            coverage: Coverage::default(),
            trace,
            setup,
        };
        let ids = world.setup.ids();
        world.trace.line(0, || Traced::Start {
            trace: 1,
            seed,
            clock: None,
            nodes: ids.clone(),
            clients: Vec::new(),
        });
        for id in ids {
            let started = world.start(id);
            world.guard(started)?;
        }
        Ok(world)
    }

    /// The virtual time.
    pub fn now(&self) -> Micros {
        self.now
    }

    /// The generator of this world, for tests that draw something themselves.
    pub fn rng(&mut self) -> &mut Rng {
        &mut self.rng
    }

    /// What clients asked and were told so far.
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What was exercised so far.
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// What the stores showed of themselves last.
    pub fn monitors(&self) -> &Monitors {
        &self.monitors
    }

    /// The trace's hash: the same for the same seed and the same code.
    pub fn hash(&self) -> u64 {
        self.trace.hash()
    }

    /// How many inputs the stores have had.
    pub fn inputs(&self) -> u64 {
        self.inputs
    }

    /// How often each store passed each point between two effects: what a crash sweep can visit.
    pub fn passed(&self) -> Vec<(NodeId, Point, u64)> {
        let of = |node: &Node| node.passed.iter().map(|(p, n)| (*p, *n)).collect::<Vec<_>>();
        self.nodes
            .values()
            .flat_map(|node| of(node).into_iter().map(|(p, n)| (node.id, p, n)))
            .collect()
    }

    /// Whether a store is up.
    pub fn is_up(&self, node: NodeId) -> bool {
        self.nodes.get(&node).is_some_and(Node::up)
    }

    /// The bytes of a store's file that are durable now.
    pub fn synced(&self, node: NodeId, file: &str) -> Option<&[u8]> {
        Some(self.nodes.get(&node)?.files.get(file)?.image.synced())
    }

    /// Who leads a region: the leader with the highest term among stores that are up.
    pub fn leader(&self, region: u64) -> Option<NodeId> {
        self.monitors.leader(region)
    }

    /// A store's last view of a region.
    pub fn view(&self, node: NodeId, region: u64) -> Option<&RegionView> {
        self.monitors
            .views()
            .find(|(id, view)| *id == node && view.region == region)
            .map(|(_, v)| v)
    }

    /// Lets time pass.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn run_for(&mut self, span: Micros) -> Outcome {
        let until = self.now.saturating_add(span);
        while self.queue.first_key_value().is_some_and(|((at, _), _)| *at <= until) {
            self.step()?;
        }
        self.now = until;
        Ok(())
    }

    /// Lets time pass until `done` says so, or for `span`. Returns whether it did.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn run_until(
        &mut self,
        span: Micros,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Outcome<bool> {
        let until = self.now.saturating_add(span);
        loop {
            if done(self) {
                return Ok(true);
            }
            if self.queue.first_key_value().is_none_or(|((at, _), _)| *at > until) {
                self.now = until;
                return Ok(false);
            }
            self.step()?;
        }
    }

    /// Lets time pass until region 1 has a leader that a majority of the stores follows.
    ///
    /// # Errors
    /// As [`World::new`], and when there is none within `span`: a hang.
    pub fn await_leader(&mut self, span: Micros) -> Outcome<NodeId> {
        let followed = |world: &Self| {
            let leader = world.monitors.leader(1)?;
            let (peer, term) = world.view(leader, 1).map(|view| (view.peer, view.term))?;
            let agree = world
                .monitors
                .views()
                .filter(|(_, view)| view.region == 1 && view.term == term && view.leader == peer);
            (agree.count() > world.nodes.len() / 2).then_some(leader)
        };
        if self.run_until(span, |world| followed(world).is_some())? {
            return Ok(followed(self).unwrap_or_default());
        }
        let hang = self.hang("no leader was elected", span);
        self.guard(Err(hang))
    }

    /// Makes something go wrong now, for `lasts`; `None` stays until [`World::heal`] or the end. Returns a number
    /// for `heal`.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn fault(&mut self, fault: Fault, lasts: Option<Micros>) -> Outcome<usize> {
        let number =
            self.schedule(TimedFault { at: self.now, lasts: lasts.unwrap_or(Micros::MAX), fault });
        let struck = self.fault_begins(number);
        self.guard(struck)?;
        Ok(number)
    }

    /// Mends a fault before its time.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn heal(&mut self, fault: usize) -> Outcome {
        let mended = self.fault_ends(fault);
        self.guard(mended)
    }

    /// A client asks a store, and the world goes on until the client knows what to think of it.
    ///
    /// # Errors
    /// As [`World::new`].
    pub fn call(&mut self, client: u64, op: Op, node: NodeId) -> Outcome<CallEnd> {
        let call = self.begin(client, op, node);
        let patience = self.setup.clients.timeout.saturating_mul(2);
        self.run_until(patience, |world| world.ended(call).is_some())?;
        Ok(self.ended(call).cloned().unwrap_or(CallEnd::TimedOut))
    }

    /// A client asks a store; the answer is there later ([`World::ended`]).
    pub fn begin(&mut self, client: u64, op: Op, node: NodeId) -> CallId {
        self.ask(client, op, node, false)
    }

    /// What became of a call; `None` while it is open.
    pub fn ended(&self, call: CallId) -> Option<&CallEnd> {
        self.calls.get(&call).and_then(|call| call.end.as_ref())
    }

    fn who(&self, who: Who) -> Option<NodeId> {
        match who {
            Who::Node(node) => Some(node),
            Who::Leader => {
                let lowest = self.monitors.regions().into_iter().next();
                let up = || self.nodes.values().find(|node| node.up()).map(|node| node.id);
                lowest.and_then(|region| self.monitors.leader(region)).or_else(up)
            }
        }
    }

    fn later(&mut self, at: Micros, due: Due) {
        self.put += 1;
        self.queue.insert((at.max(self.now), self.put), due);
    }

    // The one place where the world moves.
    fn step(&mut self) -> Outcome {
        if let Some(failure) = &self.failed {
            return Err(failure.clone());
        }
        let Some(((at, _), due)) = self.queue.pop_first() else { return Ok(()) };
        self.now = at;
        let done = self.dispatch(due);
        self.guard(done)
    }

    fn dispatch(&mut self, due: Due) -> Outcome {
        match due {
            Due::Tick { node, life } => self.tick(node, life),
            Due::Deliver { message, from, to, channel, bytes, order } => {
                self.deliver(message, (from, to, channel), bytes, order)
            }
            Due::Unreachable { node, life, to, channel } => {
                self.unreachable(node, life, to, channel)
            }
            Due::Release { node, life } => self.release(node, life),
            Due::RunJob { node, life, job } => self.run_job(node, life, job),
            Due::Ask(call) => self.arrives(call),
            Due::Told(call, end) => self.told(call, end),
            Due::TimesOut(call) => self.told(call, CallEnd::TimedOut),
            Due::Wakes(client) => {
                self.wakes(client);
                Ok(())
            }
            Due::FaultBegins(fault) => self.fault_begins(fault),
            Due::FaultEnds(fault) => self.fault_ends(fault),
            Due::Start { node, life } => self.start_again(node, life),
        }
    }

    // The first failure ends the run, and is told in the trace.
    fn guard<T>(&mut self, outcome: Outcome<T>) -> Outcome<T> {
        if let Err(failure) = &outcome
            && self.failed.is_none()
        {
            self.failed = Some(failure.clone());
            let (what, facts, ops) =
                (failure.what(), failure.facts().to_vec(), self.blamed.clone());
            self.trace.line(self.now, || Traced::Violation { what, facts, ops });
        }
        outcome
    }
}

impl Drop for World<'_, '_> {
    fn drop(&mut self) {
        self.run.deposit(self.now, std::mem::take(&mut self.trace), &self.coverage);
    }
}
