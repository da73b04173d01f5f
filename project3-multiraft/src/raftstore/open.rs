//! A store opens its disk: whose is it, and what did its last life leave of each region?
//!
//! | `kv.redb` says | `raft.redb` has | what happened | what is done |
//! |---|---|---|---|
//! | nothing | a raft state | a peer without data has voted | nothing: who is born there finds it |
//! | normal | a log | the usual | open it |
//! | normal, at the very start | nothing, or a vote | a split, and then a crash | its first raft state is written |
//! | applying | anything | a snapshot in pieces, and a crash | it is finished, then opened |
//! | normal, with a copy of a raft state | nothing | a snapshot for a new peer, and a crash | the copy is its raft state |
//! | tombstone, with an apply state | anything | destroyed, and then a crash | destroyed again |
//! | tombstone, without | nothing, or a vote | destroyed | remembered |

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use prost::Message as _;
use proto::metapb::Region;
use proto::raft_serverpb::{
    PeerState, RaftApplyState, RaftLocalState, RegionLocalState, StoreIdent,
};
use raftcore::NOBODY;
use raftkv::apply::Apply;
use raftkv::log_store::{LogBatch, LogOp, LogStore};
use raftkv::peer::{Micros, Peer, Round};
use raftkv::peer_storage::{self, INIT_INDEX, Opened, load};
use raftkv::store::Unsynced;
use raftkv::{Error, Result, keys, snapshot};
use standalone::engine::{CF_DEFAULT, Direction, Durability, Engine, WriteBatch};
use standalone::keys::KeyRange;

use super::admin::RegionAdmin;
use super::replica::Replica;
use super::{Config, MakeNode, MultiStore, RegionMap, Resting, cleanup, sleep};
use crate::membership::MembershipNode;

/// Where region states lie, all of them.
fn region_states() -> KeyRange {
    KeyRange { start: keys::region_state_key(0), end: keys::region_state_key(u64::MAX) }
}

impl<N: MembershipNode> MultiStore<N> {
    /// Opens a store on its data engine and its logs: for the first time, or again after a stop or a crash. `make` makes
    /// its consensus nodes.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::WrongStore`], [`Error::Corrupt`], and the disk's.
    pub fn open(
        kv: &Engine,
        log: Arc<dyn LogStore>,
        config: Config,
        make: MakeNode<N>,
        now: Micros,
    ) -> Result<Self> {
        if config.store_id == 0 {
            return Err(Error::Config("a store needs an id: the scheduler gives them".into()));
        }
        identify(kv, &*log, &config)?;
        let unsynced = Unsynced::new(config.store_id, config.flush_every, config.flush_bytes);
        let mut store = MultiStore {
            config,
            make,
            log,
            replicas: BTreeMap::new(),
            map: RegionMap::default(),
            tombstones: BTreeMap::new(),
            burying: BTreeSet::new(),
            claims: BTreeMap::new(),
            busy: BTreeSet::new(),
            observers: Vec::new(),
            round: Round::default(),
            readys: Vec::new(),
            data: WriteBatch::new(),
            resting: Resting::default(),
            committing: None,
            after_data: LogBatch::default(),
            born: Vec::new(),
            to_scheduler: Vec::new(),
            outbox: Vec::new(),
            last_words: Vec::new(),
            now,
            ticks: 0,
            complains_at: 0,
            writing: VecDeque::new(),
            next_write: 0,
            lives: 0,
            unsynced,
            unsynced_regions: BTreeSet::new(),
            liveness: sleep::Liveness::default(),
        };
        let mut states = Vec::new();
        let view = kv.snapshot()?;
        let mut cursor = view.cursor(CF_DEFAULT, region_states(), Direction::Forward)?;
        while cursor.advance()? {
            let state = RegionLocalState::decode(cursor.value());
            states.push(state.map_err(|e| Error::Corrupt(format!("a region's state: {e}")))?);
        }
        drop(view);
        for local in states {
            store.find(kv, local)?;
        }
        Ok(store)
    }

    /// One region that the last life knew.
    fn find(&mut self, kv: &Engine, local: RegionLocalState) -> Result<()> {
        let state = local.state();
        let region = local.region.unwrap_or_default();
        if state != PeerState::Tombstone {
            // Finishes what was being installed, and changes nothing else.
            snapshot::resume(kv, region.id)?;
        }
        let key = keys::apply_state_key(region.id);
        let applied: Option<RaftApplyState> = load(&kv.snapshot()?, &key, "the apply state")?;
        let mut known = self.log.state(region.id)?;
        if known.is_none() && state != PeerState::Tombstone {
            // A snapshot came before the log's file had heard of its peer at all.
            let key = keys::snapshot_raft_state_key(region.id);
            known = load(&kv.snapshot()?, &key, "the copy of the raft state")?;
            let ops = known.map(|state| LogOp::State { region: region.id, state });
            self.log.commit(&LogBatch { ops: ops.into_iter().collect(), sync: true })?;
        }
        let known = known.unwrap_or_default();
        if state == PeerState::Tombstone {
            self.mend(kv, &region, true, applied, known)?;
            self.tombstones.insert(region.id, region);
            return Ok(());
        }
        if known.last_index < INIT_INDEX {
            self.mend(kv, &region, false, applied, known)?;
        }
        self.open_peer(kv, region.id)
    }

    /// A region that is dead, or that has no log although it lives: what did a crash cut in two?
    ///
    /// You will need `bury_again` and `first_raft_state`; the module's table says which combination means what. What no crash
    /// can have left is not mended: `open_peer` says so.
    fn mend(
        &self,
        kv: &Engine,
        region: &Region,
        dead: bool,
        applied: Option<RaftApplyState>,
        known: RaftLocalState,
    ) -> Result<()> {
        // BEGIN SOLUTION 3B.restart
        if dead {
            // Its apply state goes with the last of its data.
            return if applied.is_some() { self.bury_again(kv, region) } else { Ok(()) };
        }
        let new = applied.is_some_and(|state| state.applied_index == INIT_INDEX);
        if new { self.first_raft_state(region, known) } else { Ok(()) }
        // END SOLUTION
    }

    /// The log's side of a split that a crash has cut in two.
    fn first_raft_state(&self, region: &Region, known: RaftLocalState) -> Result<()> {
        let promised = known.hard_state.unwrap_or_default();
        let storage = peer_storage::born(self.log.clone(), region.clone(), promised);
        let op = LogOp::State { region: region.id, state: *storage.raft_state() };
        self.log.commit(&LogBatch { ops: vec![op], sync: true })
    }

    /// The log's and the data's side of a death that a crash has cut in two. A raft state without a log is not the dead one's: it
    /// is what a younger peer without data has promised.
    fn bury_again(&self, kv: &Engine, region: &Region) -> Result<()> {
        let found = self.log.state(region.id)?.unwrap_or_default();
        if found.last_index >= INIT_INDEX {
            self.log
                .commit(&LogBatch { ops: vec![LogOp::Clear { region: region.id }], sync: true })?;
        }
        cleanup::destroy(kv, region)
    }

    fn open_peer(&mut self, kv: &Engine, id: u64) -> Result<()> {
        let view = kv.snapshot()?;
        let lost = |what: &str| Error::Corrupt(format!("region {id}: {what}"));
        let local = peer_storage::load_region(&view, id)?.ok_or_else(|| lost("it is gone"))?;
        let region = local.region.ok_or_else(|| lost("its state names no region"))?;
        let own = |peer: &&proto::metapb::Peer| peer.store_id == self.config.store_id;
        let me = *region.peers.iter().find(own).ok_or_else(|| lost("it has no peer here"))?;
        let Opened { storage, apply_state } =
            peer_storage::open(&view, self.log.clone(), region.clone())?;
        drop(view);
        let truncated = apply_state.truncated_state.unwrap_or_default().index;
        let life = self.new_life();
        let node = self.node(me.id, apply_state.applied_index, storage)?;
        let peer = Peer::new(node, me, apply_state.applied_index, self.hint_ticks());
        let apply = Apply::new(region.clone(), apply_state, self.admin());
        let mut replica = Replica::new(peer, apply, life, self.now);
        // What the last life was about to remove, if it did not come to it.
        replica.gc_waits = Some(truncated).filter(|&index| index > INIT_INDEX);
        // To be measured.
        replica.grown = self.config.split_bytes;
        self.map.enter(region);
        self.replicas.insert(id, replica);
        self.busy.insert(id);
        Ok(())
    }

    /// A consensus node of this store. What may be promised in its region was promised before the store began, or by the
    /// peer that still has its place.
    pub(super) fn node(
        &self,
        id: u64,
        applied: u64,
        storage: peer_storage::PeerStorage,
    ) -> Result<N> {
        let seed = self.config.raft.seed ^ id.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let before = self.replicas.get(&storage.region().id);
        let promised = before.is_some_and(|before| before.peer.status().leader_id != NOBODY);
        let age = if promised { 0 } else { self.ticks };
        let config = raftcore::Config { id, applied, seed, age, ..self.config.raft.clone() };
        Ok((self.make)(config, storage)?)
    }

    pub(super) fn hint_ticks(&self) -> u64 {
        3 * self.config.raft.heartbeat_tick
    }

    pub(super) fn admin(&self) -> RegionAdmin {
        RegionAdmin { store_id: self.config.store_id }
    }
}

/// Whose disk is it? A new one is given to this store, with the first regions if the cluster begins here: the log's side
/// first, then the data's side with the identity in it, so that a disk with an identity is complete.
fn identify(kv: &Engine, log: &dyn LogStore, config: &Config) -> Result<()> {
    let view = kv.snapshot()?;
    let ident: Option<StoreIdent> = load(&view, &keys::STORE_IDENT_KEY, "the store's identity")?;
    drop(view);
    if let Some(ident) = ident {
        if ident.store_id != config.store_id {
            return Err(Error::WrongStore { found: ident.store_id, wanted: config.store_id });
        }
        if ident.cluster_id != config.cluster_id {
            let (here, wanted) = (ident.cluster_id, config.cluster_id);
            return Err(Error::Config(format!(
                "this disk belongs to cluster {here}, and was opened for cluster {wanted}"
            )));
        }
        return Ok(());
    }
    let mut batch = WriteBatch::new();
    for region in &config.first_regions {
        if region.peers.iter().any(|peer| peer.store_id == config.store_id) {
            peer_storage::create(log, region, &mut batch)?;
        }
    }
    let (cluster_id, store_id) = (config.cluster_id, config.store_id);
    let ident = StoreIdent { cluster_id, store_id, ..Default::default() };
    batch.put(CF_DEFAULT, keys::STORE_IDENT_KEY, ident.encode_to_vec());
    Ok(kv.write(&batch, Durability::Immediate)?)
}
