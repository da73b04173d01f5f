//! Several nodes, a bad network, slow disks and crashes, all drawn from one seed.
//!
//! [`Chaos::run`] plays a [`Plan`]: a queue of events in virtual time (a tick is 100 units), from which
//! the earliest is taken, over and over. Messages are lost, delayed past each other, doubled; links go
//! dead in one direction; a node dies between its Ready and its disk, or between its disk and its
//! messages, and comes back with what was durable. After each event all monitors look. Then everything
//! heals, and the group has to show that it is alive: a leader within a bounded number of election
//! timeouts, all proposals decided, all logs equal.
//!
//! What a run exercised is counted in [`Coverage`]: a run that met no fault proves nothing.

mod clients;
mod coverage;
mod ending;
mod faults;
mod members;
mod plan;
mod shorter;

use std::collections::{BTreeMap, BTreeSet};

use proto::eraftpb::MessageType;
use sim::failure::{Failure, Outcome, show};
use sim::rng::Rng;

pub use coverage::Coverage;
pub use plan::Plan;
use shorter::Disturbance;

use crate::mail::Mail;
use crate::monitor::{Monitors, Nodes};
use crate::protocol::{Input, Role, Status};
use crate::world::recorder::Recorder;
use crate::world::{Lab, Setup, World};

/// So many units of virtual time are a tick.
pub const TICK: u64 = 100;

/// More does not happen in a run: in the worst storm of the reference it is a tenth of that. Nodes that ask each other without a
/// pause would keep a core busy for minutes, and whether that ends in time would be for the clock to say.
const EVENTS: u64 = 100_000;

#[derive(Debug)]
enum Event {
    Tick(u64),
    Deliver(Box<Mail>),
    // A Ready of this life of a node reaches the platter.
    Persisted { node: u64, life: u64, number: u64 },
    // The state machine of this life of a node has caught up.
    Applied { node: u64, life: u64, index: u64 },
    Report { node: u64, life: u64, to: u64, arrived: bool },
    Restart(u64),
    // A node is told that it was removed.
    Tombstone(u64),
    Change,
    Transfer,
    Fault,
    Mend,
    Propose,
    Read,
    Housekeeping,
}

/// A run under way.
pub struct Chaos<'l> {
    lab: &'l Lab<'l>,
    rng: Rng,
    plan: Plan,
    now: u64,
    sequence: u64,
    events: BTreeMap<(u64, u64), Event>,
    nodes: Nodes<'l>,
    monitors: Monitors,
    // How often a node was started; an event for an earlier life is void.
    lives: BTreeMap<u64, u64>,
    // What the state machine of a node would still have after a crash.
    flushed: BTreeMap<u64, u64>,
    // Until when the disk of a node is busy: it writes one thing after the other.
    disk_free: BTreeMap<u64, u64>,
    // The same for its state machine.
    apply_free: BTreeMap<u64, u64>,
    cut: BTreeSet<(u64, u64)>,
    // They were removed, and are destroyed. Their disks are kept for the monitors.
    gone: BTreeSet<u64>,
    healed: bool,
    // What was proposed at a node that thought it led, and was taken.
    proposed: u64,
    statuses: BTreeMap<u64, Status>,
    coverage: Coverage,
    // What was done to the group, by number, and what is to be left out (see `shorter`).
    disturbances: u64,
    skip: BTreeSet<u64>,
    told: Vec<Disturbance>,
    // A run that is tried on the way to a shorter one ends here.
    stop: u64,
}

/// Plays a plan to its end.
///
/// # Errors
/// When a property is broken, on the way or at the end.
pub fn run(world: &mut World, plan: Plan) -> Outcome<Coverage> {
    let (outcome, ended, restless) = {
        let lab = Lab::new(world);
        let mut chaos = Chaos::new(&lab, plan.clone())?;
        (chaos.run(), chaos.now, chaos.sequence > EVENTS)
    };
    match outcome {
        Err(failure @ (Failure::Broke { .. } | Failure::Panicked { .. }))
            if world.shrinking() && !restless =>
        {
            Err(shorter::shorter(world, &plan, failure, ended))
        }
        outcome => outcome,
    }
}

/// Plays a plan twice with the same seed: a node under test that is deterministic leaves the same trace.
///
/// # Errors
/// As [`run`], and when the traces differ.
pub fn run_twice(world: &mut World, plan: Plan) -> Outcome {
    let mut traces = Vec::new();
    for _ in 0..2 {
        let lab = Lab::new(world);
        Chaos::new(&lab, plan.clone())?.run()?;
        traces.push(lab.trace());
    }
    sim::failure::expect_eq(
        || "the same seed twice gave two different runs: the node is not deterministic".into(),
        &traces[0],
        &traces[1],
    )
}

impl<'l> Chaos<'l> {
    /// A group as the plan has it, before its first tick.
    ///
    /// # Errors
    /// When a node does not start.
    pub fn new(lab: &'l Lab<'l>, plan: Plan) -> Outcome<Self> {
        lab.set_clock(0);
        let mut nodes = BTreeMap::new();
        for id in 1..=plan.nodes {
            let mut setup = Setup::new(id, plan.nodes).with(|c| plan.configure(c));
            if plan.changes > 0 {
                // As every region's: so whoever joins gets a snapshot, and learns from it who the others are.
                setup = setup.snapshot(5, 1, b"state at 5");
            }
            nodes.insert(id, lab.node(setup)?);
        }
        let mut chaos = Chaos {
            lab,
            rng: lab.rng("chaos"),
            plan,
            now: 0,
            sequence: 0,
            events: BTreeMap::new(),
            nodes,
            monitors: Monitors::default(),
            lives: BTreeMap::new(),
            flushed: BTreeMap::new(),
            disk_free: BTreeMap::new(),
            apply_free: BTreeMap::new(),
            cut: BTreeSet::new(),
            gone: BTreeSet::new(),
            healed: false,
            proposed: 0,
            statuses: BTreeMap::new(),
            coverage: Coverage::default(),
            disturbances: 0,
            skip: BTreeSet::new(),
            told: Vec::new(),
            stop: u64::MAX,
        };
        chaos.monitors.start(&chaos.nodes)?;
        for id in chaos.ids() {
            chaos.lives.insert(id, 1);
            let phase = chaos.draw(TICK);
            chaos.at(phase, Event::Tick(id));
        }
        for (event, on) in [
            (Event::Fault, chaos.plan.faults > 0),
            (Event::Propose, chaos.plan.proposals > 0),
            (Event::Read, chaos.plan.reads > 0),
            (Event::Change, chaos.plan.changes > 0),
            (Event::Transfer, chaos.plan.transfers > 0),
            (Event::Housekeeping, true),
        ] {
            if on {
                chaos.at(10 * TICK, event);
            }
        }
        Ok(chaos)
    }

    /// Plays the plan, then heals everything and waits until the group has shown that it is alive.
    ///
    /// # Errors
    /// When a property is broken.
    pub fn run(&mut self) -> Outcome<Coverage> {
        while self.now < self.plan.ticks * TICK {
            self.next()?;
            if self.now > self.stop {
                return Ok(std::mem::take(&mut self.coverage));
            }
        }
        self.heal()?;
        self.end()
    }

    fn ids(&self) -> Vec<u64> {
        self.nodes.keys().copied().filter(|id| !self.gone.contains(id)).collect()
    }

    fn draw(&mut self, bound: u64) -> u64 {
        self.rng.below(usize::try_from(bound).unwrap_or(usize::MAX)) as u64
    }

    fn at(&mut self, delay: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now + delay, self.sequence), event);
    }

    fn next(&mut self) -> Outcome {
        if self.sequence > EVENTS {
            return Err(self.restless());
        }
        let Some(((now, _), event)) = self.events.pop_first() else { return Ok(()) };
        self.now = now;
        self.lab.set_clock(now);
        self.lab.note(now);
        match event {
            Event::Tick(id) if self.gone.contains(&id) => {}
            Event::Tick(id) => {
                // Clocks differ a little, and they wander.
                let drift = self.draw(7);
                self.at(TICK - 3 + drift, Event::Tick(id));
                self.order(id, Input::Tick)?;
                if self.plan.changes > 0 {
                    self.go_if_all_know(id);
                }
            }
            Event::Deliver(mail) => self.deliver(&mail)?,
            Event::Persisted { node, life, number } => {
                if self.lives[&node] == life {
                    self.persisted(node, number)?;
                }
            }
            Event::Applied { node, life, index } => {
                if self.lives[&node] == life {
                    self.applied(node, index)?;
                }
            }
            Event::Report { node, life, to, arrived } => {
                if self.lives[&node] == life {
                    self.order(node, Input::ReportSnapshot(to, arrived))?;
                }
            }
            Event::Restart(id) => self.restart(id)?,
            Event::Tombstone(id) => self.destroy(id),
            Event::Change => {
                let pause = 1 + self.draw(2 * self.plan.changes * TICK);
                self.at(pause, Event::Change);
                if self.disturb() {
                    self.change()?;
                }
            }
            Event::Transfer => {
                let pause = 1 + self.draw(2 * self.plan.transfers * TICK);
                self.at(pause, Event::Transfer);
                if self.disturb() {
                    self.transfer()?;
                }
            }
            Event::Fault => {
                let pause = self.plan.faults * TICK;
                let pause = pause / 2 + self.draw(pause);
                self.at(pause, Event::Fault);
                if self.disturb() {
                    let what = self.fault();
                    self.say(what);
                }
            }
            Event::Mend => {
                self.cut.clear();
                self.lab.tell(Recorder::heals);
            }
            Event::Propose => {
                let pause = 1 + self.draw(2 * self.plan.proposals * TICK);
                self.at(pause, Event::Propose);
                if self.disturb() {
                    self.propose()?;
                }
            }
            Event::Read => {
                let pause = 1 + self.draw(2 * self.plan.reads * TICK);
                self.at(pause, Event::Read);
                if self.disturb() {
                    self.read()?;
                }
            }
            Event::Housekeeping => {
                self.at(5 * TICK, Event::Housekeeping);
                if self.plan.compact {
                    self.compact()?;
                }
                if self.plan.changes > 0 {
                    self.refresh_snapshots()?;
                }
            }
        }
        Ok(())
    }

    /// Counts a disturbance, and notes it; false if this one is to be left out.
    fn disturb(&mut self) -> bool {
        let number = self.disturbances;
        self.disturbances += 1;
        let wanted = !self.skip.contains(&number);
        if wanted {
            self.told.push(Disturbance { number, at: self.now, what: String::new() });
        }
        wanted
    }

    /// What the disturbance of this moment was.
    fn say(&mut self, what: String) {
        if let Some(last) = self.told.last_mut() {
            last.what = what;
        }
    }

    fn restless(&self) -> Failure {
        let (sent, nodes) = (self.coverage.messages, self.nodes.len());
        Failure::broke(
            "the nodes never come to rest: they ask and answer without a pause",
            format!(
                "{EVENTS} events by tick {}; a storm like this one has some thousands",
                self.now / TICK
            ),
            format!("{nodes} nodes have sent {sent} messages, and go on"),
        )
    }

    /// Says something to a node that may be down; then takes what it has to give.
    fn order(&mut self, id: u64, input: Input) -> Outcome<Option<Result<(), String>>> {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.is_up()) else {
            return Ok(None);
        };
        let result = node.order(input)?;
        self.after(id)?;
        Ok(Some(result))
    }

    fn deliver(&mut self, mail: &Mail) -> Outcome {
        let (from, to) = (mail.msg.from, mail.msg.to);
        let up = self.nodes.get(&to).is_some_and(crate::world::Node::is_up);
        let mut through = up && !self.cut.contains(&(from, to));
        if through && self.plan.changes > 0 && self.speaks_from_the_grave(mail) {
            through = false;
        }
        if mail.kind() == MessageType::MsgSnapshot {
            let delay = TICK + self.draw(5 * TICK);
            let life = self.lives[&from];
            self.at(delay, Event::Report { node: from, life, to, arrived: through });
        }
        if through && let Some(node) = self.nodes.get_mut(&to) {
            node.deliver(mail)?;
            self.after(to)?;
        } else {
            let why = if up { "the link is dead" } else { "down" };
            self.lab.tell(|told, now| told.lost(now, mail, why));
        }
        Ok(())
    }

    /// Takes the Readys of a node, or leaves them for the next time: a driver may be late.
    fn after(&mut self, id: u64) -> Outcome {
        let when = self.lab.when();
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(()) };
        let status = node.status()?;
        self.monitors.on_status(when, id, &status)?;
        let lazy = !self.healed && self.rng.chance(self.plan.lazy);
        if !lazy {
            let mut rounds = 0;
            while self.take(id, &status)? {
                rounds += 1;
                if rounds > 50 {
                    return Err(self.nodes[&id].restless());
                }
            }
            self.monitors.on_rest(when, &self.nodes, id, &status)?;
        }
        self.statuses.insert(id, status);
        Ok(())
    }

    fn take(&mut self, id: u64, status: &Status) -> Outcome<bool> {
        let Some(node) = self.nodes.get_mut(&id) else { return Ok(false) };
        let Some(taken) = node.ready()? else { return Ok(false) };
        self.monitors.on_ready(self.lab.when(), &self.nodes, id, status, &taken)?;
        let life = self.lives[&id];
        let free = self.disk_free.get(&id).copied().unwrap_or(0);
        let done = self.busy_until(free);
        self.disk_free.insert(id, done);
        self.at(done - self.now, Event::Persisted { node: id, life, number: taken.number });
        let mut free = self.apply_free.get(&id).copied().unwrap_or(0);
        let mut applied = taken.committed.last().map(|entry| entry.index);
        if let Some(snapshot) = taken.snapshot {
            self.coverage.snapshots += 1;
            let index = snapshot.metadata.map_or(0, |place| place.index);
            expect_data(id, index, &snapshot.data)?;
            // The snapshot is the state machine once it is on disk.
            free = free.max(done + 1);
            applied = applied.or(Some(index));
        }
        if let Some(index) = applied {
            let at = self.busy_until(free).max(free);
            self.apply_free.insert(id, at);
            self.at(at - self.now, Event::Applied { node: id, life, index });
        }
        self.post(taken.messages)?;
        Ok(true)
    }

    // When a disk that is free at `free` has done one more thing. With much waiting it does all at once.
    fn busy_until(&mut self, free: u64) -> u64 {
        let pace = if self.healed { 1 } else { self.plan.disk };
        if free > self.now + 3 * pace { free } else { free.max(self.now) + 1 + self.draw(pace) }
    }

    fn persisted(&mut self, id: u64, number: u64) -> Outcome {
        let Some(node) = self.nodes.get_mut(&id).filter(|node| node.is_up()) else { return Ok(()) };
        let mails = node.persisted(number)?;
        self.flushed_by_snapshot(id);
        if !self.healed && !mails.is_empty() && self.rng.chance(self.plan.crash_at_persist) {
            self.coverage.crashes_between_persist_and_send += 1;
            self.lab.tell(|to, now| {
                for mail in &mails {
                    to.lost(now, mail, "its sender died first");
                }
            });
            self.kill(id, 0);
            return Ok(());
        }
        self.post(mails)?;
        self.after(id)
    }

    // A restored snapshot is data, and it is as durable as the log that starts with it.
    fn flushed_by_snapshot(&mut self, id: u64) {
        let base = self.nodes[&id].disk.durable().truncated.0;
        self.flush_at_least(id, base);
    }

    fn flush(&mut self, id: u64, index: u64) {
        // The state machine's own disk is behind: what it loses is applied again.
        if self.rng.chance(50) {
            self.flush_at_least(id, index);
        }
    }

    fn flush_at_least(&mut self, id: u64, index: u64) {
        let flushed = self.flushed.entry(id).or_default();
        *flushed = (*flushed).max(index);
    }

    fn post(&mut self, mails: Vec<Mail>) -> Outcome {
        for mail in mails {
            self.monitors.on_leave(self.lab.when(), &self.nodes, &mail)?;
            self.coverage.messages += 1;
            if mail.kind() == MessageType::MsgTimeoutNow {
                self.coverage.transfers += 1;
            }
            self.travel(mail);
        }
        Ok(())
    }

    /// The largest term that any node has reached, and who leads it.
    fn leader(&self) -> Option<u64> {
        let term = self.statuses.values().map(|status| status.term).max()?;
        let mut leaders = self
            .statuses
            .iter()
            .filter(|(_, status)| status.term == term && status.role == Role::Leader);
        leaders.next().map(|(id, _)| *id)
    }
}

fn expect_data(id: u64, index: u64, data: &[u8]) -> Outcome {
    if data == format!("state at {index}").as_bytes() {
        return Ok(());
    }
    Err(Failure::broke(
        "a snapshot holds the state of another index than it says",
        format!("n{id} installs a snapshot up to {index}"),
        format!("its data is {}", show(data)),
    ))
}
