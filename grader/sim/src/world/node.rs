//! One store in the world: its life, its disks, its clock, and the effects that have not happened yet.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_bytes::ByteBuf;

use crate::cluster::digest::Hasher;
use crate::cluster::faults::{Cut, Point};
use crate::cluster::protocol::{Cluster, Effect, Event, Lane, Look, Micros, NodeId};
use crate::disk::{DiskCall, DiskImage, DiskOp};
use crate::link::Link;
use crate::rng::{Draw, Rng};

/// A clock that starts somewhere and runs a little wrong. It never falls.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    shown: Micros,
    since: Micros,
    ppm: i32,
}

const MILLION: i128 = 1_000_000;

impl Clock {
    pub fn new(shown: Micros, ppm: i32) -> Self {
        Clock { shown, since: 0, ppm }
    }

    /// What it shows at the world's time `now`.
    pub fn at(&self, now: Micros) -> Micros {
        let passed = i128::from(now.saturating_sub(self.since));
        let shown = passed * (MILLION + i128::from(self.ppm)) / MILLION;
        self.shown + Micros::try_from(shown).unwrap_or_default()
    }

    /// Runs at another rate from now on.
    pub fn set(&mut self, now: Micros, ppm: i32) {
        *self = Clock { shown: self.at(now), since: now, ppm };
    }

    /// How long the world takes while this clock goes on by `span`.
    pub fn world(&self, span: Micros) -> Micros {
        let world = i128::from(span) * MILLION / (MILLION + i128::from(self.ppm)).max(1);
        Micros::try_from(world).unwrap_or(span).max(1)
    }
}

/// A file of a store.
#[derive(Debug, Default)]
pub(super) struct File {
    pub image: DiskImage,
    /// Since the last sync.
    pub writes: u64,
    pub bytes: u64,
    sum: u64,
}

impl File {
    /// Does what the store did. At a sync the hash of all that it covers: the order of writes does not count.
    pub fn apply(&mut self, op: DiskOp) -> Option<u64> {
        let mut hash = Hasher::default();
        match &op {
            DiskOp::Write { offset, data } => {
                hash.number(*offset);
                hash.bytes(data);
                self.bytes += data.len() as u64;
            }
            DiskOp::SetLen(len) => hash.number(*len),
            DiskOp::Sync | DiskOp::Failed(_) => {}
        }
        let synced = matches!(op, DiskOp::Sync).then_some(self.sum);
        self.image.apply(op);
        if synced.is_some() {
            (self.writes, self.bytes, self.sum) = (0, 0, 0);
        } else {
            self.writes += 1;
            self.sum = self.sum.wrapping_add(hash.finish());
        }
        synced
    }
}

/// A crash that waits for its moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Trap {
    pub point: Point,
    pub left: u64,
    pub cut: Cut,
    pub down_for: Micros,
}

/// A request that the store has not answered.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    pub at: Micros,
    /// By the store's clock; `None` until it has been handed over.
    pub due: Option<Micros>,
    pub what: String,
}

/// The input whose effects are being released.
#[derive(Debug, Default)]
pub(super) struct Current {
    /// The look that it answers.
    pub asked: Look,
    /// A sync is under way: the first of the effects.
    pub syncing: bool,
    /// It is a job: its time has passed already.
    pub in_job: bool,
    /// A sync was released.
    pub synced: bool,
}

/// A store, its disks and its clock.
pub(super) struct Node {
    pub id: NodeId,
    pub config: Vec<u8>,
    pub life: u64,
    pub link: Option<Box<dyn Link<Cluster>>>,
    pub files: BTreeMap<String, File>,
    pub clock: Clock,
    /// What it was last told the time is.
    pub told: Micros,
    pub inbox: VecDeque<Event>,
    pub effects: VecDeque<Effect>,
    /// The input that the effects are of.
    pub input: Current,
    pub paused: u32,
    pub slow: u64,
    pub lanes: BTreeMap<Lane, Micros>,
    pub jobs: BTreeMap<u64, Lane>,
    pub requests: BTreeMap<u64, Asked>,
    pub answered: BTreeSet<u64>,
    pub traps: Vec<Trap>,
    /// How often it passed each point, over all lives: what a sweep visits.
    pub passed: BTreeMap<Point, u64>,
    /// Its disk has failed: ticks since.
    pub failing: Option<u32>,
    /// A disk error was ordered for this life.
    pub doomed: bool,
    /// Down until somebody starts it.
    pub held_down: u32,
    pub sent_in_second: (Micros, u64),
    /// The world's seed.
    pub seed: u64,
}

impl Node {
    pub fn new(id: NodeId, config: Vec<u8>, clock: Clock, seed: u64) -> Self {
        Node {
            id,
            config,
            life: 0,
            link: None,
            files: BTreeMap::new(),
            clock,
            told: 0,
            inbox: VecDeque::new(),
            effects: VecDeque::new(),
            input: Current::default(),
            paused: 0,
            slow: 1,
            lanes: BTreeMap::new(),
            jobs: BTreeMap::new(),
            requests: BTreeMap::new(),
            answered: BTreeSet::new(),
            traps: Vec::new(),
            passed: BTreeMap::new(),
            failing: None,
            doomed: false,
            held_down: 0,
            sent_in_second: (0, 0),
            seed,
        }
    }

    /// The luck of this store at a moment.
    pub fn luck(&self, what: &str, now: Micros) -> Draw {
        Draw::of(self.seed, what, &[self.id, now])
    }

    pub fn up(&self) -> bool {
        self.link.is_some()
    }

    /// It cannot take an input now.
    pub fn busy(&self) -> bool {
        self.paused > 0 || !self.effects.is_empty()
    }

    /// What a store finds when it starts.
    pub fn disk(&self) -> Vec<(String, ByteBuf)> {
        let bytes = |file: &File| ByteBuf::from(file.image.synced().to_vec());
        self.files.iter().map(|(name, file)| (name.clone(), bytes(file))).collect()
    }

    /// Ends its life, and leaves on its files what the cut leaves.
    pub fn cut(&mut self, cut: Cut) {
        self.link = None;
        let mut rng = Rng::fork(self.seed, &format!("crash {} {}", self.id, self.life));
        for file in self.files.values_mut() {
            let left = match cut {
                Cut::Kill => file.image.all(),
                Cut::Power => file.image.crash(&mut rng),
            };
            *file = File { image: DiskImage::of(left), ..File::default() };
        }
        self.inbox.clear();
        self.effects.clear();
        self.lanes.clear();
        self.jobs.clear();
        self.answered.clear();
        self.traps.clear();
        self.input = Current::default();
        (self.failing, self.doomed) = (None, false);
    }

    pub fn unsynced(&self) -> bool {
        self.files.values().any(|file| file.image.unsynced() > 0)
    }

    /// Counts a passing of `point`; a crash that waits for it.
    pub fn passes(&mut self, point: Point) -> Option<Trap> {
        *self.passed.entry(point).or_default() += 1;
        for trap in self.traps.iter_mut().filter(|trap| trap.point == point) {
            trap.left = trap.left.saturating_sub(1);
        }
        self.traps.iter().copied().find(|trap| trap.left == 0)
    }
}

/// The points before and after an effect.
pub(super) fn points(effect: &Effect) -> Option<(Point, Point)> {
    match effect {
        Effect::Disk { op: DiskOp::Sync, .. } => Some((Point::BeforeSync, Point::AfterSync)),
        Effect::Send { .. } => Some((Point::BeforeSend, Point::AfterSend)),
        Effect::Reply { .. } => Some((Point::BeforeReply, Point::AfterReply)),
        _ => None,
    }
}

/// An effect that never happened, in words.
pub(super) fn lost(effect: &Effect) -> Option<String> {
    match effect {
        Effect::Disk { file, op: DiskOp::Sync } => Some(format!("sync {file}")),
        Effect::Disk { op: DiskOp::Failed(DiskCall::Sync | DiskCall::Write), .. }
        | Effect::Disk { .. }
        | Effect::Inspected(_) => None,
        Effect::Remove { file } => Some(format!("remove {file}")),
        Effect::Send { to, channel, bytes } => {
            Some(format!("{channel} to n{to} ({} bytes)", bytes.len()))
        }
        Effect::Reply { id, .. } => Some(format!("answer to request {id}")),
        Effect::Job { lane, .. } => Some(format!("job for the {lane}")),
        Effect::Stopped { .. } => Some("stop".into()),
    }
}
