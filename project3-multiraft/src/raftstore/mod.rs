//! 3B: a store of many peers.
//!
//! Project 2's store had one peer, and its loop was the peer's. Here the loop is the store's: whatever happens is routed
//! to the peer of its region, and a *round* collects what all of them want. However many regions had work, a round is
//! one commit of the log and one of the data.
//!
//! | file | what it is |
//! |---|---|
//! | [`map`] | which regions are here, and where they lie |
//! | [`open`](MultiStore::open) | a store begins: what did its last life leave? |
//! | `route` | a request finds its peer, or its error |
//! | [`admin`] | commands that change a region: checked when proposed, and again when applied |
//! | `changes` | what an applied change means for the peer: members, and parts of a split |
//! | `birth`, `death` | peers that messages create, and peers that must go |
//! | `snapshots` | data in place of a log, if there is room for it |
//! | `rounds` | the round, and the order of its effects |
//! | `scheduler` | what leaders tell, and the operators that come back |
//! | `sleep` | idle regions cost nothing |
//! | `look` | what people are told |
//! | [`effect`], [`cleanup`], [`split_check`], [`keys`] | what is done elsewhere, and where a region may be cut |
//!
//! Below it everything is project 2's: [`Peer`], [`Apply`](raftkv::apply::Apply) with [`admin::RegionAdmin`]
//! in its hook, `PeerStorage`, snapshots. The consensus node is 3A's, by way of [`MembershipNode`].
//!
//! # One write
//!
//! `RawPut(k)` names region 7, epoch 3:5, peer 71. `route` finds peer 71; `version` 5 is right, it leads, `k` is inside:
//! entry 9. In the same round region 12 has a vote to save, and region 7's followers answered for entry 8:
//!
//! ```text
//!   1. Send      region 7: append [9]                   whatever the disk does
//!   2. WriteLog  region 7: [9]; region 12: vote         one fsync for both; promises wait for it
//!   3. WriteKv   region 7: entry 8's data               unsynced as a rule (R2), by the kv writer, while the loop goes on
//!   4. Answer    entry 8's client                       a majority has it in its logs
//!      ... kv_written: readers see it
//! ```
//!
//! Entry 9 is committed and applied. If a split came before it in the log, its `version` is old now, and it is refused
//! *at apply*: `EpochNotMatch`, on all replicas alike. The key may belong to another region by then.
//!
//! # One split
//!
//! Region 7 `[a, z)` has grown. Its leader asks the scheduler for ids and proposes `BatchSplit(m -> region 8)`. On every
//! store, when the entry is applied:
//!
//! ```text
//!   1. WriteKv   {8: [a, m), 7: [m, z), 8's apply state, 7's applied index}   synced: nobody acts on less (R3)
//!      ... kv_written: until now, 7's peer went on as [a, z)
//!   2. WriteLog  8's first raft state, with the vote that an uninitialised peer of 8 may have given
//!   3.           8's peer is there; on the store that leads 7 it campaigns at once, so that no client sees a gap
//! ```
//!
//! A store that has not come so far gets a request to vote in region 8, which it does not know: it creates a peer without
//! data for it (*uninitialised*), and that one votes. When the split arrives here, the peer with data takes its place,
//! and its vote.
//!
//! # One crash
//!
//! The power goes between 1 and 2. `kv.redb` has region 8, `raft.redb` has nothing of it: that combination means just
//! this, and [`open`](MultiStore::open) writes the raft state then. The other way round (a raft state, no region) is an uninitialised peer that has
//! voted; its state is kept. A peer that dies leaves a *tombstone* in `kv.redb` first, durably; then its log is cleared,
//! then its data, and with the last of the data its apply state: a tombstone with an apply state was not finished.
//! Never the log first, which has the vote.
//!
//! # Invariants
//!
//! - The regions in [`map::RegionMap`] are those of initialised peers, and do not overlap.
//! - A peer id that died here never lives again: its tombstone remembers it.
//! - Nothing acts on a change of a region before the commit that holds it is durable (R3): until `kv_written` says so, its
//!   peer and its consensus node do not know of it. Meanwhile the region takes no snapshot, and does not die.
//! - What rests on the data (readers, changed regions, cuts of the log and all behind them, the log's side of a birth or
//!   a death, jobs) waits for the commit that holds it, and for all before that. Any other write rests on the log alone.
//!
//! # Left out
//!
//! Merging regions. Joint changes of several members at once (extra credit of 3A). Several threads for applying: redb has
//! one writer, so all regions' entries go into one transaction; TiKV's engine has many, and applies on several threads.

pub mod admin;
mod birth;
mod changes;
pub mod cleanup;
mod config;
mod death;
pub mod effect;
pub mod keys;
mod look;
pub mod map;
mod open;
mod replica;
mod rounds;
mod route;
mod scheduler;
#[cfg(feature = "server")]
pub mod server;
mod sleep;
mod snapshots;
pub mod split_check;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use proto::metapb::Region;
use proto::raft_serverpb::RaftMessage;
use raftkv::Result;
use raftkv::apply::ApplyResult;
use raftkv::log_store::{LogBatch, LogStore};
use raftkv::observer::PeerObserver;
use raftkv::peer::{Micros, Peer, Round};
use raftkv::peer_storage::PeerStorage;
use raftkv::store::Unsynced;
use standalone::engine::WriteBatch;

pub use config::Config;
pub use effect::{Effect, Job, JobDone, ToScheduler};
pub use look::PeerReport;
pub use map::RegionMap;

use crate::membership::{self, MembershipNode};
use admin::Changed;
use replica::Replica;

/// The store that this project's server runs.
pub type Store = MultiStore<membership::Node>;

/// How a consensus node is made: ours, or another that keeps the same contract.
pub type MakeNode<N> = fn(raftcore::Config, PeerStorage) -> raftcore::Result<N>;

/// A log write that was asked for, the Readys that it makes durable (of which region, in which life of its peer), and the work
/// off the loop that rests on it, or must not overtake what does.
struct Writing {
    id: u64,
    readys: Vec<(u64, u64, u64)>,
    jobs: Vec<Job>,
}

/// What rests on a commit of the data.
#[derive(Default)]
struct Resting {
    /// What was applied into it, in order: by which region, in which life of its peer.
    applied: Vec<(u64, u64, ApplyResult<Changed>)>,
    /// What goes into the log behind it.
    log: LogBatch,
    /// Work off the loop, which must find it, and what goes into the log behind it.
    jobs: Vec<Job>,
    /// Whether it must be, or is, synced.
    synced: bool,
    /// How far regions are durable with it, if it is: by region and life.
    durable: Vec<(u64, u64, u64)>,
}

/// A store of many peers. See the module.
pub struct MultiStore<N: MembershipNode> {
    config: Config,
    make: MakeNode<N>,
    log: Arc<dyn LogStore>,
    replicas: BTreeMap<u64, Replica<N>>,
    map: RegionMap,
    /// Regions whose peer died here, with that peer among their members.
    tombstones: BTreeMap<u64, Region>,
    /// Regions whose dead peer's data is still being removed: nobody is born there until it is gone.
    burying: BTreeSet<u64>,
    /// Ranges that an accepted snapshot is about to take, by region.
    claims: BTreeMap<u64, (Vec<u8>, Vec<u8>)>,
    /// Regions in which something has happened since they were last asked for a Ready.
    busy: BTreeSet<u64>,
    observers: Vec<Box<dyn PeerObserver>>,
    /// What has gathered for the next round.
    round: Round,
    readys: Vec<(u64, u64, u64)>,
    /// What the next commit of the data will hold, and what rests on it.
    data: WriteBatch,
    resting: Resting,
    /// What rests on the commit that is under way.
    committing: Option<Resting>,
    /// What rested on a commit that is done, and goes into the log.
    after_data: LogBatch,
    /// Regions whose first raft state is in there, as Readys with the number 0.
    born: Vec<(u64, u64, u64)>,
    to_scheduler: Vec<ToScheduler>,
    outbox: Vec<Effect>,
    /// Messages that must leave behind all others of the round.
    last_words: Vec<Effect>,
    now: Micros,
    ticks: u64,
    /// The tick from which on a crowd of peers without data is worth a line in the log again.
    complains_at: u64,
    writing: VecDeque<Writing>,
    next_write: u64,
    lives: u64,
    /// Bytes that were committed to the data and not synced, and whose they are.
    unsynced: Unsynced,
    unsynced_regions: BTreeSet<u64>,
    liveness: sleep::Liveness,
}

impl<N: MembershipNode> MultiStore<N> {
    /// Tells this observer from now on; at once, how things are.
    pub fn observe(&mut self, observer: Box<dyn PeerObserver>) {
        self.observers.push(observer);
        for replica in self.replicas.values_mut() {
            replica.told = None;
        }
        self.busy.extend(self.replicas.keys());
    }

    /// Who this is.
    pub fn id(&self) -> u64 {
        self.config.store_id
    }

    /// The peers, by region; those without data, too.
    pub fn peers(&self) -> impl Iterator<Item = (u64, &Peer<N>)> {
        self.replicas.iter().map(|(region, replica)| (*region, &replica.peer))
    }

    /// The peer of a region.
    pub fn peer(&self, region: u64) -> Option<&Peer<N>> {
        self.replicas.get(&region).map(|replica| &replica.peer)
    }

    /// Where regions lie.
    pub fn map(&self) -> &RegionMap {
        &self.map
    }

    /// Whether a region's peer was destroyed here, and which.
    pub fn tombstone(&self, region: u64) -> Option<&Region> {
        self.tombstones.get(&region)
    }

    /// Whether a region sleeps.
    pub fn sleeps(&self, region: u64) -> bool {
        self.replicas.get(&region).is_some_and(|replica| replica.sleep.asleep())
    }

    /// How many requests wait, for whatever.
    pub fn waiting(&self) -> usize {
        self.replicas.values().map(|r| r.desk.len() + r.peer.waiting()).sum()
    }

    /// Whether [`poll`](Self::poll) has something to do.
    pub fn has_work(&self) -> bool {
        (!self.busy.is_empty() && !self.is_full()) || !self.round.answers.is_empty()
    }

    /// It is so late: to be said before [`poll`](Self::poll). Leases need to know.
    pub fn set_now(&mut self, now: Micros) {
        self.now = self.now.max(now);
    }

    /// Time has passed. Comes once per tick of the consensus nodes; `now` must not fall.
    ///
    /// # Errors
    /// The store is broken: drop it, and open another from what is durable.
    pub fn tick(&mut self, now: Micros) -> Result<()> {
        self.set_now(now);
        self.ticks += 1;
        let regions: Vec<u64> = self.replicas.keys().copied().collect();
        for region in regions {
            let Some(replica) = self.replicas.get_mut(&region) else { continue };
            if replica.sleep.asleep() {
                self.tick_heartbeat(region);
                continue;
            }
            replica.peer.tick(self.now, &mut self.round)?;
            self.busy.insert(region);
            self.tick_transfers(region);
            self.cut_the_log(region);
            self.tick_heartbeat(region);
            self.tick_split(region);
            self.ask_whether_stale(region);
            if self.config.sleep_ticks > 0 {
                self.tick_sleep(region);
            }
        }
        self.tick_liveness();
        Ok(())
    }

    /// A message has come from another store. Whoever received it has checked which.
    ///
    /// # Errors
    /// The store is broken.
    pub fn message(&mut self, message: RaftMessage) -> Result<()> {
        self.heard_store(message.from_peer.map_or(0, |from| from.store_id));
        if message.region_id == 0 {
            return Ok(());
        }
        let Some(message) = self.admit(message)? else { return Ok(()) };
        let region = message.region_id;
        self.woken_by(&message);
        if let Some(replica) = self.replicas.get_mut(&region) {
            if let Some(from) = message.from_peer {
                replica.heard.insert(from.id, self.now);
                if replica.born_by == 0 && !replica.is_initialised() {
                    replica.born_by = from.store_id;
                }
            }
            if !replica.is_initialised() && birth::asks_for_vote(&message) {
                replica.asked = Some(message.clone());
            }
            replica.peer.step(message)?;
            self.busy.insert(region);
        }
        Ok(())
    }

    /// The transport could not reach this store.
    pub fn unreachable(&mut self, store: u64) {
        for (region, replica) in &mut self.replicas {
            if !replica.sleep.asleep() {
                replica.peer.unreachable(store);
                self.busy.insert(*region);
            }
        }
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
            for (region, life, ready) in written.readys {
                // Not to another peer that was born in its place meanwhile.
                if let Some(replica) = self.replicas.get_mut(&region)
                    && replica.life == life
                {
                    if ready > 0 {
                        replica.peer.on_persisted(ready, &mut self.round)?;
                    } else if let Some(asked) = replica.asked.take() {
                        // Its answer was on its way when the split came. What it promised is durable now.
                        replica.peer.step(asked)?;
                    }
                    self.busy.insert(region);
                }
            }
            self.send_off(written.jobs);
        }
        Ok(())
    }

    /// Campaigns in this region now: for tests, and for a store that is alone and need not wait.
    ///
    /// # Errors
    /// The store is broken.
    pub fn campaign(&mut self, region: u64) -> Result<()> {
        if let Some(replica) = self.replicas.get_mut(&region) {
            replica.peer.node_mut().campaign()?;
            self.busy.insert(region);
        }
        Ok(())
    }

    /// Ends this life in order: everybody who waits is answered.
    pub fn close(&mut self) -> Vec<Effect> {
        let regions: Vec<u64> = self.replicas.keys().copied().collect();
        for region in regions {
            self.close_peer(region);
        }
        let mut effects = std::mem::take(&mut self.outbox);
        effects.extend(self.round.answers.drain(..).map(Effect::Answer));
        effects
    }

    fn new_life(&mut self) -> u64 {
        self.lives += 1;
        self.lives
    }
}
