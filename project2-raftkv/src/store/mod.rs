//! A store: the loop round its one peer, as a plain struct.
//!
//! Something happens ([`Store::tick`], [`Store::message`], [`Store::request`], `log_written`, ...), as often as it likes;
//! then [`Store::poll`] makes a *round* of it and returns what is to be done, as a list of [`Effect`]s. However many
//! proposals and messages came in between, a round is one commit of the log, and at most one of the data.
//!
//! The list is in the order that makes it safe (rules R1 to R5 of the design):
//!
//! ```text
//!   Send*          what may leave whatever the disk does: a leader's appends, above all
//!   WriteLog       entries and hard states; `log_written` brings the promises that wait for it
//!   WriteKv        data and apply state of entries that are durable already (R1); unsynced as a rule, since the log
//!                  would bring them again (R2). One is under way at a time: what is applied meanwhile gathers, and
//!                  `kv_written` brings those who wait for it, and the next one
//!   WriteLog       entries that may go, only when a WriteKv that synced has come back (R4)
//!   Answer*        writers, whose entries a majority has; readers, whose data is committed
//!   Region, Stream the slow work
//! ```
//!
//! The store has no thread, no socket and no clock. The server's driver and the simulator's adapter both do nothing but
//! feed it and carry out its effects, in order.
//!
//! Project 3 replaces this loop by one over many peers; what is below it (peers, apply, snapshots) stays.
//!
//! # Invariants
//!
//! - `durable_applied <= applied`: how far the data is durable by itself. The log is never cut behind it.
//! - Log writes are reported in the order in which they were asked for.
//! - No reader is let in before the data that it rests on is committed. A writer is answered when its entry is applied into
//!   the batch that gathers: a majority has it in its logs, so no crash takes it back, and whoever reads it waits for the
//!   commit. (So a sync of the data, which takes as long as hundreds of writes, holds up readers, and few others: who is
//!   applied together with a cut of the log, or behind it before that is committed, waits like the cut's proposer.)
//! - After an error nothing may be done any more: the store is dropped, and opened anew from what is durable.

pub mod desk;
mod effect;
pub mod limits;
mod open;
mod rounds;
mod snapshots;
mod unsynced;

use std::collections::{BTreeMap, VecDeque};

use proto::raft_serverpb::RaftMessage;
use standalone::engine::{CF_DEFAULT, WriteBatch};

pub use desk::Request;
pub use effect::{Effect, JobDone, KvWrite, LogWrite, RegionJob, SnapStream, answer};
pub use limits::Config;
pub use open::group_id;
pub use unsynced::Unsynced;

use crate::apply::{AdminExec, Applied, Apply, ApplyResult, CompactLog, Compacted};
use crate::callback::{Callback, Waiter, callback};
use crate::node::Node;
use crate::observer::{PeerObserver, PeerView};
use crate::peer::{Answer, Micros, Peer, Read, Round, Write};
use crate::snapshot::SnapGate;
use crate::{Refusal, Result, keys, region};

use desk::{Desk, Held};

/// A log write that was asked for, and the Ready that it makes durable.
struct Writing {
    id: u64,
    ready: Option<u64>,
}

/// What rests on a commit of the data.
#[derive(Default)]
struct Resting {
    /// What was applied into it.
    applied: Vec<ApplyResult<Compacted>>,
    /// To be done when it is durable, too.
    effects: Vec<Effect>,
    /// How far the data is with it.
    upto: u64,
    /// Whether it is synced.
    synced: bool,
}

/// One store. See the module.
pub struct Store {
    config: Config,
    peer: Peer<Node>,
    apply: Apply<CompactLog>,
    gate: Box<dyn SnapGate>,
    observers: Vec<Box<dyn PeerObserver>>,
    told: Option<PeerView>,
    desk: Desk,
    /// What has gathered for the next round.
    round: Round,
    /// What the next commit of the data will hold, and what rests on it.
    data: WriteBatch,
    resting: Resting,
    /// How many results are applied and not answered yet. Nothing behind them is answered before.
    unanswered: usize,
    /// What rests on the commit that is under way.
    committing: Option<Resting>,
    outbox: Vec<Effect>,
    began: Micros,
    now: Micros,
    writing: VecDeque<Writing>,
    next_write: u64,
    unsynced: Unsynced,
    durable_applied: u64,
    /// The log may be cut up to here, once the data is synced.
    gc_waits: Option<u64>,
    /// A command to cut the log that is on its way.
    gc_proposed: Option<Waiter<Applied>>,
    disk: u64,
    known_disks: BTreeMap<u64, u64>,
    joined: bool,
    transfers: snapshots::Transfers,
}

impl Store {
    /// Tells this observer from now on; at once, how things are.
    pub fn observe(&mut self, observer: Box<dyn PeerObserver>) {
        self.observers.push(observer);
        self.told = None;
    }

    /// The one peer.
    pub fn peer(&self) -> &Peer<Node> {
        &self.peer
    }

    /// The number of this store's disk: drawn when it was new, and its own ever since.
    pub fn disk(&self) -> u64 {
        self.disk
    }

    /// How many requests wait, for whatever.
    pub fn waiting(&self) -> usize {
        self.desk.len() + self.peer.waiting()
    }

    /// Time has passed. Comes once per tick of the consensus node; `now` must not fall.
    ///
    /// # Errors
    /// The store is broken: see the module.
    pub fn tick(&mut self, now: Micros) -> Result<()> {
        self.set_now(now);
        self.peer.tick(self.now, &mut self.round)?;
        self.tick_transfers();
        self.cut_the_log();
        Ok(())
    }

    /// A Raft message has come. Whoever received it has checked who sent it.
    ///
    /// # Errors
    /// The store is broken.
    pub fn message(&mut self, message: RaftMessage) -> Result<()> {
        self.peer.step(message)
    }

    /// The transport could not reach this store.
    pub fn unreachable(&mut self, store: u64) {
        self.peer.unreachable(store);
    }

    /// A client asks. Its answer is an effect of this or a later round, at the first tick after `deadline` at the latest.
    ///
    /// # Errors
    /// The store is broken.
    pub fn request(&mut self, request: Request, now: Micros, deadline: Micros) -> Result<()> {
        self.set_now(now);
        let held = match request {
            Request::Write(request, callback) => Held::Write(Write { request, callback, deadline }),
            Request::Read(header, callback) => Held::Read(Read { header, callback, deadline }),
            Request::Meet { store, disk, callback } => {
                self.meet(store, disk, callback);
                return Ok(());
            }
        };
        let until = deadline.min(self.now.saturating_add(self.config.hold));
        if let Some((why, held)) = self.serve(held) {
            if desk::may_pass(&why) && until > self.now {
                if let Err(held) = self.desk.hold(until, held) {
                    self.refuse(why, held);
                }
            } else {
                self.refuse(why, held);
            }
        }
        Ok(())
    }

    /// It is so late: to be said before [`poll`](Self::poll). A lease needs to know before a read relies on it: who was asleep
    /// for a while may have been replaced, and its ticks do not say so.
    pub fn set_now(&mut self, now: Micros) {
        self.now = self.now.max(now);
        let ticks = (self.now - self.began) / self.config.tick;
        self.peer.node_mut().set_now(ticks);
    }

    /// Hands a request to the peer, or gives it back.
    fn serve(&mut self, request: Held) -> Option<(Refusal, Held)> {
        match request {
            Held::Write(write) => {
                if let Some(admin) = &write.request.admin_request
                    && let Err(why) = self.apply.admin().check(self.peer.region(), admin)
                {
                    return Some((why, Held::Write(write)));
                }
                let turned = self.peer.propose(write);
                turned.err().map(|turned| (turned.why, Held::Write(turned.request)))
            }
            Held::Read(read) => {
                let turned = self.peer.read(read);
                turned.err().map(|turned| (turned.why, Held::Read(turned.request)))
            }
        }
    }

    /// Tries again what is held, oldest first, until one is turned away again.
    fn serve_the_held(&mut self) {
        while let Some((until, request)) = self.desk.pop() {
            let Some((why, request)) = self.serve(request) else { continue };
            if desk::may_pass(&why) && until > self.now {
                self.desk.back(until, request);
                return;
            }
            self.refuse(why, request);
        }
    }

    fn refuse(&mut self, why: Refusal, request: Held) {
        let answer = match request {
            Held::Write(write) => {
                let header = write.request.header.unwrap_or_default();
                Answer::Write(write.callback, Err(desk::at_last(why, header.region_id)))
            }
            Held::Read(read) => {
                Answer::NoRead(read.callback, desk::at_last(why, read.header.region_id))
            }
        };
        self.round.answers.push(answer);
    }

    /// Another store comes with this disk. The first disk that we meet of a store is its disk for ever: one that comes
    /// with another has lost its memory, and with it the votes that it gave and the entries that it acknowledged. To
    /// count it as the voter that it was could elect two leaders in one term. It must come back as a new store.
    pub fn meet(&mut self, store: u64, disk: u64, callback: Callback<bool>) {
        let known = self.known_disks.get(&store).copied();
        let member = self.config.members.contains(&store) && store != self.config.store_id;
        let welcome = member && known.is_none_or(|known| known == disk);
        if member && known.is_none() {
            self.data.put(CF_DEFAULT, keys::known_disk_key(store), disk.to_be_bytes());
            self.known_disks.insert(store, disk);
            // Remembered durably before anybody acts on it.
            self.resting.effects.push(Effect::Met(callback, welcome));
            self.resting.synced = true;
        } else {
            self.outbox.push(Effect::Met(callback, welcome));
        }
    }

    /// Whether this disk was accepted by all other members once. Until then it may be a new disk under an old name, and
    /// whoever drives the store must feed it nothing but introductions: it could be asked for a vote that it has given
    /// before, and would not remember.
    pub fn has_joined(&self) -> bool {
        self.joined || self.config.members.len() == 1
    }

    /// All other members have accepted this store's disk.
    pub fn join(&mut self) {
        self.data.put(CF_DEFAULT, keys::known_disk_key(0), [1]);
        self.resting.synced = true;
        self.joined = true;
    }

    /// The log writer has committed this write.
    ///
    /// # Errors
    /// The store is broken.
    pub fn log_written(&mut self, id: u64) -> Result<()> {
        while let Some(first) = self.writing.front()
            && first.id <= id
            && let Some(written) = self.writing.pop_front()
        {
            if let Some(ready) = written.ready {
                self.peer.on_persisted(ready, &mut self.round)?;
            }
        }
        Ok(())
    }

    /// Campaigns now: for tests, and for a store that is alone and need not wait.
    ///
    /// # Errors
    /// The store is broken.
    pub fn campaign(&mut self) -> Result<()> {
        Ok(self.peer.node_mut().campaign()?)
    }

    /// Proposes to cut the log, if it is time and no such proposal is on its way.
    fn cut_the_log(&mut self) {
        if self.gc_proposed.as_mut().is_some_and(|proposed| proposed.try_take().is_none()) {
            return;
        }
        self.gc_proposed = None;
        if !self.peer.log_is_long(self.config.gc, self.durable_applied) {
            return;
        }
        let Some((header, admin)) = self.peer.log_gc(self.config.gc, self.durable_applied) else {
            return;
        };
        let (callback, waiter) = callback();
        let request = crate::cmd::admin_request(header, admin);
        let deadline = self.now.saturating_add(10_000_000);
        if self.peer.propose(Write { request, callback, deadline }).is_ok() {
            self.gc_proposed = Some(waiter);
        }
    }

    /// Ends this life in order: everybody who waits is answered.
    pub fn close(&mut self) -> Vec<Effect> {
        self.peer.close(&mut self.round);
        while let Some((_, request)) = self.desk.pop() {
            self.refuse(region::not_leader(region::FIRST_REGION, None), request);
        }
        let mut effects = std::mem::take(&mut self.outbox);
        effects.extend(self.round.answers.drain(..).map(Effect::Answer));
        effects
    }
}
