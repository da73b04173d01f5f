//! A store opens its disk: whose is it, and what did its last life leave?

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message as _;
use proto::raft_serverpb::{PeerState, StoreIdent};
use standalone::engine::{CF_DEFAULT, Durability, Engine, WriteBatch};

use super::desk::Desk;
use super::snapshots::Transfers;
use super::{Config, Store, Unsynced};
use crate::apply::{Apply, CompactLog};
use crate::error::Error;
use crate::log_store::LogStore;
use crate::node::Node;
use crate::peer::{Micros, Peer, Round};
use crate::peer_storage::{self, INIT_INDEX, Opened, load, load_region};
use crate::region::{FIRST_REGION, first_region};
use crate::snapshot::{self, OneRegion};
use crate::{Result, keys};

impl Store {
    /// Opens a store on its data engine and its logs: for the first time, or again after a stop or a crash.
    ///
    /// # Errors
    /// [`Error::Config`], [`Error::WrongStore`], [`Error::Corrupt`], and the disk's.
    pub fn open(kv: Engine, log: Arc<dyn LogStore>, config: Config, now: Micros) -> Result<Store> {
        if !config.members.contains(&config.store_id) || config.store_id == 0 {
            let (id, members) = (config.store_id, &config.members);
            return Err(Error::Config(format!("store {id} is not among the members {members:?}")));
        }
        let disk = identify(&kv, &*log, &config)?;
        snapshot::resume(&kv, FIRST_REGION)?;

        let view = kv.snapshot()?;
        let lost = || Error::Corrupt("the region is missing".into());
        let local = load_region(&view, FIRST_REGION)?.ok_or_else(lost)?;
        if local.state() != PeerState::Normal {
            return Err(Error::Corrupt(format!("the region's peer is {:?}", local.state())));
        }
        let region = local.region.ok_or_else(lost)?;
        let mut known_disks = BTreeMap::new();
        for &store in &config.members {
            if let Some(bytes) = view.get(CF_DEFAULT, &keys::known_disk_key(store))? {
                known_disks.insert(store, number(&bytes)?);
            }
        }
        let joined = view.get(CF_DEFAULT, &keys::known_disk_key(0))?.is_some();
        let Opened { storage, apply_state } =
            peer_storage::open(&view, log.clone(), region.clone())?;
        drop(view);

        let own = |peer: &&proto::metapb::Peer| peer.store_id == config.store_id;
        let me = *region.peers.iter().find(own).ok_or_else(lost)?;
        let applied = apply_state.applied_index;
        let truncated = apply_state.truncated_state.unwrap_or_default().index;
        let raft = raftcore::Config { id: me.id, applied, ..config.raft.clone() };
        let hint_ticks = 3 * raft.heartbeat_tick;
        let node = Node::new(raft, storage)?;
        let unsynced = Unsynced::new(config.store_id, config.flush_every, config.flush_bytes);
        Ok(Store {
            peer: Peer::new(node, me, applied, hint_ticks),
            apply: Apply::new(region, apply_state, CompactLog),
            gate: Box::new(OneRegion(FIRST_REGION)),
            config,
            observers: Vec::new(),
            told: None,
            desk: Desk::default(),
            round: Round::default(),
            data: WriteBatch::new(),
            resting: super::Resting::default(),
            unanswered: 0,
            committing: None,
            outbox: Vec::new(),
            began: now,
            now,
            writing: std::collections::VecDeque::new(),
            next_write: 0,
            unsynced,
            durable_applied: applied,
            // What the last life was about to remove, if it did not come to it.
            gc_waits: Some(truncated).filter(|&index| index > INIT_INDEX),
            gc_proposed: None,
            disk,
            known_disks,
            joined,
            transfers: Transfers::default(),
        })
    }
}

/// Whose disk is it? A new one is given to this store: the log's side first, then the data's side with the identity
/// in it, so that a disk with an identity is complete. Returns the disk's number.
fn identify(kv: &Engine, log: &dyn LogStore, config: &Config) -> Result<u64> {
    let view = kv.snapshot()?;
    let ident: Option<StoreIdent> = load(&view, &keys::STORE_IDENT_KEY, "the store's identity")?;
    let group = group_id(&config.members);
    if let Some(ident) = ident {
        if ident.store_id != config.store_id {
            return Err(Error::WrongStore { found: ident.store_id, wanted: config.store_id });
        }
        if ident.cluster_id != group {
            return Err(Error::Config(
                "this disk belongs to a group with other members: give --peers as at its first start"
                    .into(),
            ));
        }
        let own = view.get(CF_DEFAULT, &keys::known_disk_key(config.store_id))?;
        return number(&own.unwrap_or_default());
    }
    drop(view);
    let mut batch = WriteBatch::new();
    peer_storage::create(log, &first_region(config.members.iter().copied()), &mut batch)?;
    let ident = StoreIdent { cluster_id: group, store_id: config.store_id, ..Default::default() };
    batch.put(CF_DEFAULT, keys::STORE_IDENT_KEY, ident.encode_to_vec());
    let disk = config.new_disk;
    batch.put(CF_DEFAULT, keys::known_disk_key(config.store_id), disk.to_be_bytes());
    kv.write(&batch, Durability::Immediate)?;
    Ok(disk)
}

/// A number that two different lists of members hardly share (FNV-1a): who they are is what makes them a group.
pub fn group_id(members: &[u64]) -> u64 {
    let mut sorted = members.to_vec();
    sorted.sort_unstable();
    let bytes = sorted.iter().flat_map(|store| store.to_be_bytes());
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn number(bytes: &[u8]) -> Result<u64> {
    let bytes = bytes.try_into();
    let bytes = bytes.map_err(|_| Error::Corrupt("a disk's number has not eight bytes".into()))?;
    Ok(u64::from_be_bytes(bytes))
}
