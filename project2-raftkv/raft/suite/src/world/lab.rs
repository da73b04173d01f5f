//! Where a test happens.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use sim::coverage::Coverage;
use sim::failure::Outcome;
use sim::harness::Run;
use sim::link::Link;
use sim::rng::Rng;
use sim::trace::Trace;

use crate::mail::Mail;
use crate::protocol::{Level, RaftNode, Status};
use crate::world::recorder::Recorder;
use crate::world::{Disk, Net, Node, Setup};

/// One run of a test.
pub type World<'a> = Run<'a, RaftNode>;

/// A moment; shown as `at tick 41.20, `, or as nothing where time stands still.
#[derive(Debug, Clone, Copy, Default)]
pub struct When(Option<u64>);

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(now) => write!(f, "at tick {}.{:02}, ", now / 100, now % 100),
            None => Ok(()),
        }
    }
}

/// The room of one run. Nodes borrow it to start anew after a crash.
pub struct Lab<'w> {
    // Boxed functions and not the `Run` itself: so a `&Lab` is good for any shorter time, and whoever
    // borrows it needs to name one lifetime, not three.
    launch: Box<dyn Fn() -> Outcome<Box<dyn Link<RaftNode>>> + 'w>,
    count: Box<dyn Fn() + 'w>,
    deposit: Box<dyn Fn(Trace) + 'w>,
    seed: u64,
    level: Level,
    trace: Cell<u64>,
    clock: Cell<Option<u64>>,
    recorder: RefCell<Recorder>,
}

impl<'w> Lab<'w> {
    /// The room of this run.
    pub fn new(run: &'w mut World<'_>) -> Self {
        let seed = run.seed;
        let level = match run.test.split("::").next() {
            Some("stage2aa") => Level::Election,
            Some("stage2ab") => Level::Log,
            _ => Level::Node,
        };
        let recorder = RefCell::new(Recorder::new(run.recording(), seed));
        let run = Rc::new(RefCell::new(run));
        let (counted, given) = (Rc::clone(&run), Rc::clone(&run));
        Lab {
            launch: Box::new(move || run.borrow_mut().start()),
            count: Box::new(move || counted.borrow_mut().count_input()),
            deposit: Box::new(move |trace| {
                given.borrow_mut().deposit(0, trace, &Coverage::default());
            }),
            seed,
            level,
            trace: Cell::new(seed),
            clock: Cell::new(None),
            recorder,
        }
    }

    /// A node in the state that `setup` describes.
    ///
    /// # Errors
    /// When it does not start.
    pub fn node(&self, setup: Setup) -> Outcome<Node<'_>> {
        Node::start(self, setup)
    }

    /// A group of `size` nodes that were never started before.
    ///
    /// # Errors
    /// As [`Lab::node`].
    pub fn group(&self, size: u64) -> Outcome<Net<'_>> {
        self.net((1..=size).map(|id| Setup::new(id, size)).collect())
    }

    /// A group of nodes, each in the state that its setup describes. Members of the configuration that
    /// have no setup are never up.
    ///
    /// # Errors
    /// As [`Lab::node`].
    pub fn net(&self, setups: Vec<Setup>) -> Outcome<Net<'_>> {
        let mut nodes = BTreeMap::new();
        for setup in setups {
            nodes.insert(setup.config.id, self.node(setup)?);
        }
        Net::new(self, nodes)
    }

    /// The seed of this run.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// How much of a node this test needs: its stage says it.
    pub fn level(&self) -> Level {
        self.level
    }

    /// A generator of its own for the part called `name`.
    pub fn rng(&self, name: &str) -> Rng {
        Rng::fork(self.seed, name)
    }

    /// A number that depends on everything which was said and answered so far, in order. The same seed
    /// twice gives the same number, or the node under test is not deterministic.
    pub fn trace(&self) -> u64 {
        self.trace.get()
    }

    /// Sets the virtual time that failure texts name, in hundredths of a tick.
    pub fn set_clock(&self, now: u64) {
        self.clock.set(Some(now));
    }

    /// The virtual time, for failure texts.
    pub fn when(&self) -> When {
        When(self.clock.get())
    }

    /// What happens in this room is told to the trace, with the time.
    pub(super) fn tell(&self, what: impl FnOnce(&mut Recorder, Option<u64>)) {
        let mut recorder = self.recorder.borrow_mut();
        if recorder.on() {
            what(&mut recorder, self.clock.get());
        }
    }

    /// Messages leave a node; each gets its number in the trace.
    pub(super) fn leave(&self, mails: &mut [Mail]) {
        self.tell(|to, now| mails.iter_mut().for_each(|mail| to.leaves(now, mail)));
    }

    /// A node shows itself to the trace.
    pub(super) fn shows(&self, id: u64, status: &Status, disk: &Disk) {
        self.tell(|to, now| to.shows(now, id, status, disk));
    }

    /// Whether a trace is kept.
    pub(super) fn recording(&self) -> bool {
        self.recorder.borrow().on()
    }

    pub(super) fn launch(&self) -> Outcome<Box<dyn Link<RaftNode>>> {
        (self.launch)()
    }

    pub(super) fn count_input(&self) {
        (self.count)();
    }

    /// Mixes a fact into the trace.
    pub(super) fn note(&self, number: u64) {
        let mixed = (self.trace.get() ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.trace.set(mixed ^ (mixed >> 29));
    }

    /// Mixes bytes into the trace.
    pub(super) fn note_bytes(&self, bytes: &[u8]) {
        self.note(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.note(u64::from_le_bytes(word));
        }
    }
}

impl Drop for Lab<'_> {
    fn drop(&mut self) {
        let mut trace = self.recorder.take().into_trace();
        trace.mix(&[self.trace.get()], &[]);
        (self.deposit)(trace);
    }
}
