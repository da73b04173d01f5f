//! The client's half of Percolator: who begins, writes, commits, and cleans up after others (stage 4D).
//!
//! The store's half decides about keys, one request at a time, and never talks to another store. What makes a
//! transaction of it is the client: it holds the writes back until the end, knows which region has which key, and
//! sends its messages in an order in which it may die after any of them.
//!
//! ```text
//! begin      a timestamp: this is its name, and the moment that it sees
//! get        keys grouped by region; a lock in the way is asked about at its primary, and cleared
//! put        into a buffer here
//! commit     prewrite all keys, everywhere at once; one of them, the primary, is named in every lock
//!            a second timestamp
//!            commit the primary: this one write is the moment in which the transaction happens
//!            tell the user; commit the rest in the background
//! ```
//!
//! # The struct that decides
//!
//! [`Client`] is plain: calls and answers go in, with the time ([`Client::answered`], [`Client::tick`]); what it wants goes
//! into its outbox ([`Effect`]). Sockets, timers and time-outs are its driver's; in the simulator the driver is a node of
//! the world that can die between any two messages, in the commands of `tinykv` it is `cli/txn.rs`.
//!
//! Inside there are pieces of *work* (`work.rs`): a job, and the keys that it is about. A piece that spans regions is cut;
//! one that fails with a region error sleeps and is cut anew, since the region may have been split; one that meets a
//! lock clears it first (`resolve.rs`) and is sent again.
//!
//! # Invariants
//!
//! - The primary is one key, the same in all requests of a transaction.
//! - A secondary is committed only after the primary's commit has been answered with yes.
//! - [`Outcome::Committed`] and [`Outcome::Aborted`] are true for ever. If a commit's answer is lost and no later one
//!   decides, the user hears [`Outcome::Unknown`], and nothing is rolled back: it may have happened.
//! - What the user reads is one moment, and its own writes on top.
//!
//! # Left out
//!
//! Scans, pessimistic locks, heartbeats for transactions longer than their locks' lives (others may roll those back, and
//! the user hears it), and async commit: after its client's death somebody has to ask all secondaries, which TiKV's
//! Rust client does not do either. One transaction at a time: whoever wants more has more clients. TiKV's Go client draws
//! its pauses at random, so that losers of a race do not meet again; here, as in the Rust one, they double and are the same each time.
//! Percolator's paper is section 2.2; TiKV's clients add the one-phase commit ([`Config::one_pc`]).

mod commit;
mod prewrite;
mod read;
mod regions;
mod resolve;
mod rollback;
mod wire;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use proto::metapb::{Peer, Region};

use crate::TimeStamp;
use regions::Regions;
use work::{Job, Work};

pub use wire::{Request, Response};

/// A user's key.
pub type Key = Vec<u8>;

/// How a client behaves. Times in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How long a lock is respected by others, counted from its prewrite.
    pub lock_ttl: u64,
    /// Ask for a commit in one phase where all keys lie in one region.
    pub one_pc: bool,
    /// How often a piece of work is sent before it is given up.
    pub tries: u32,
    /// The first pause between two tries, and the longest; each is twice the one before.
    pub pauses: (u64, u64),
}

impl Default for Config {
    /// As the official clients: ten tries, 1.5 seconds of pauses in all.
    fn default() -> Self {
        Config { lock_ttl: 3_000, one_pc: false, tries: 10, pauses: (2, 500) }
    }
}

/// What the client wants of its driver. Each question has a number, and is answered once, by
/// [`Client::answered`] with that number.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A timestamp of the oracle's.
    AskTimestamp {
        /// The question's number.
        id: u64,
    },
    /// The region that has this position (a memcomparable encoding), and who leads it.
    AskRegion {
        /// The question's number.
        id: u64,
        /// Any position of the region.
        position: Vec<u8>,
    },
    /// Send a request to a store.
    Send {
        /// The question's number.
        id: u64,
        /// The store.
        store: u64,
        /// What it is asked.
        request: Box<Request>,
    },
    /// The call is over.
    Done(Outcome),
}

/// The answer to a question.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A timestamp.
    Timestamp(TimeStamp),
    /// A region and its leader, if one is known.
    Region(Box<Region>, Option<Peer>),
    /// A store's response.
    Response(Box<Response>),
    /// Nothing came: the line is down, or the time is over. What was asked may have been done, or may be done yet.
    Nothing,
}

/// What a call came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The transaction has begun, at this timestamp.
    Began(TimeStamp),
    /// What the keys hold, at the transaction's moment and with its own writes.
    Read(BTreeMap<Key, Option<Vec<u8>>>),
    /// It has happened, at this timestamp.
    Committed(TimeStamp),
    /// It has not happened and never will: why.
    Aborted(String),
    /// Nobody knows whether it has happened, or will: why.
    Unknown(String),
    /// The call could not be carried out; nothing was written by it, and the transaction goes on.
    Failed(String),
}

/// What the user waits for.
#[derive(Debug)]
enum Phase {
    /// Nothing has begun, or all is over.
    Idle,
    /// For the start timestamp.
    Beginning,
    /// For nothing.
    Active,
    /// For these keys.
    Reading { left: BTreeSet<Key>, found: BTreeMap<Key, Option<Vec<u8>>> },
    /// For the locks of these keys. `unsure`: a commit in one phase was sent, and not answered.
    Prewriting { left: BTreeSet<Key>, unsure: bool },
    /// For the primary's commit. `unsure`: one was sent, and not answered.
    Committing { unsure: bool },
}

/// The transaction.
#[derive(Debug, Default)]
struct Txn {
    start_ts: TimeStamp,
    /// When it began, by the client's clock.
    began: u64,
    /// What it will write; `None` deletes.
    writes: BTreeMap<Key, Option<Vec<u8>>>,
    /// The key that was written first.
    primary: Option<Key>,
}

/// A client. See the module.
#[derive(Debug)]
pub struct Client {
    config: Config,
    regions: Regions,
    txn: Txn,
    phase: Phase,
    /// The number of the call that is under way: answers to earlier ones come too late.
    call: u64,
    /// Questions without an answer, and for a store's the region.
    asked: BTreeMap<u64, (Work, Option<u64>)>,
    /// Work that goes on at a time.
    sleeping: Vec<(u64, Work)>,
    /// What became of other transactions: their commit timestamp, zero if they were rolled back.
    fates: BTreeMap<TimeStamp, TimeStamp>,
    effects: Vec<Effect>,
    next_id: u64,
    now: u64,
}

impl Client {
    /// A client that knows no region yet.
    pub fn new(config: Config) -> Self {
        Client {
            config,
            regions: Regions::default(),
            txn: Txn::default(),
            phase: Phase::Idle,
            call: 0,
            asked: BTreeMap::new(),
            sleeping: Vec::new(),
            fates: BTreeMap::new(),
            effects: Vec::new(),
            next_id: 0,
            now: 0,
        }
    }

    /// Begins a transaction. What an earlier one has left to do in the background goes on.
    pub fn begin(&mut self, now: u64) {
        self.now = now;
        self.call += 1;
        self.txn = Txn { began: now, ..Txn::default() };
        self.fates.clear();
        self.phase = Phase::Beginning;
        self.start(Job::Begin, Vec::new());
    }

    /// Reads keys.
    pub fn get(&mut self, keys: &[Key], now: u64) {
        self.now = now;
        self.call += 1;
        if matches!(self.phase, Phase::Active) {
            self.read(keys);
        } else {
            self.done(Outcome::Failed("there is no transaction to read in".into()));
        }
    }

    /// Notes a write.
    pub fn put(&mut self, key: Key, value: Vec<u8>) {
        self.write(key, Some(value));
    }

    /// Notes a removal.
    pub fn delete(&mut self, key: Key) {
        self.write(key, None);
    }

    fn write(&mut self, key: Key, value: Option<Vec<u8>>) {
        self.txn.primary.get_or_insert_with(|| key.clone());
        self.txn.writes.insert(key, value);
    }

    /// Commits. The outcome is `Committed`, `Aborted` or `Unknown`, and the transaction is over with it.
    pub fn commit(&mut self, now: u64) {
        self.now = now;
        self.call += 1;
        if !matches!(self.phase, Phase::Active) {
            self.done(Outcome::Failed("there is no transaction to commit".into()));
        } else if self.txn.writes.is_empty() {
            // It has read one moment, and that is all that it promised.
            self.end(Outcome::Committed(self.txn.start_ts));
        } else {
            self.prewrite();
        }
    }

    /// Gives the transaction up; nothing was sent yet, so nothing has to be undone. There is no outcome.
    pub fn forget(&mut self) {
        self.call += 1;
        self.phase = Phase::Idle;
    }

    /// The answer to a question. One that nobody waits for any more is passed over.
    pub fn answered(&mut self, id: u64, answer: Answer, now: u64) {
        self.now = now;
        let Some((work, region)) = self.asked.remove(&id) else { return };
        if !self.is_stale(&work) {
            self.take(work, region, answer);
        }
    }

    /// Time has passed.
    pub fn tick(&mut self, now: u64) {
        self.now = now;
        let (due, later) =
            std::mem::take(&mut self.sleeping).into_iter().partition(|(at, _)| *at <= now);
        self.sleeping = later;
        let due: Vec<(u64, Work)> = due;
        for (_, work) in due {
            if !self.is_stale(&work) {
                self.send(work);
            }
        }
    }

    /// When [`Client::tick`] has something to do next.
    pub fn wakes_at(&self) -> Option<u64> {
        self.sleeping.iter().map(|(at, _)| *at).min()
    }

    /// Whether something is under way, in the background too.
    pub fn is_busy(&self) -> bool {
        !self.asked.is_empty() || !self.sleeping.is_empty()
    }

    /// What the client wants, in this order.
    pub fn take_effects(&mut self) -> Vec<Effect> {
        std::mem::take(&mut self.effects)
    }

    /// The call is over; the transaction is not.
    fn done(&mut self, outcome: Outcome) {
        self.effects.push(Effect::Done(outcome));
    }

    /// The transaction is over.
    fn end(&mut self, outcome: Outcome) {
        self.phase = Phase::Idle;
        // What is left of the foreground is of no use to anybody.
        self.call += 1;
        self.done(outcome);
    }
}
