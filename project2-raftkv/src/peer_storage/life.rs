//! Birth, restart and death of a peer's storage: what is written in which order, and what that leaves after a crash.
//!
//! | step | order | a crash between leaves |
//! |---|---|---|
//! | create | log state, then kv {region, apply state, ...} | a log state that was never used: create again |
//! | install | kv (with a copy of the log state), then log | a copy that is ahead: it replaces the log's |
//! | destroy | kv tombstone, then log cleared, then data | a tombstone: destroy again |
//!
//! Never the log first when something dies: its file holds the vote, and a peer that forgets a vote can give it twice.

use std::sync::Arc;

use prost::Message;
use proto::eraftpb::HardState;
use proto::metapb::Region;
use proto::raft_serverpb::{
    PeerState, RaftApplyState, RaftLocalState, RaftTruncatedState, RegionLocalState,
};
use raftcore::Storage as _;
use standalone::engine::{CF_DEFAULT, DATA_CFS, Snapshot, WriteBatch};

use super::{EntryCache, PeerStorage, SnapshotSlot};
use crate::error::Error;
use crate::log_store::{LogBatch, LogOp, LogStore};
use crate::region::data_spans;
use crate::{Result, keys};

/// Every log of a first region starts behind this entry, which nobody ever proposed (TiKV's `RAFT_INIT_LOG_INDEX`).
/// A peer that is added later starts at 0, and so can get there only by a snapshot: it needs the data.
pub const INIT_INDEX: u64 = 5;

/// The term of that entry.
pub const INIT_TERM: u64 = 5;

/// A peer's storage as it was found, or made.
pub struct Opened {
    /// The log.
    pub storage: PeerStorage,
    /// How far the data is.
    pub apply_state: RaftApplyState,
}

/// Writes the state of a new peer of the first region: into `kv`, which the caller commits durably *after* the log
/// state that is committed here. Doing it again, before anything else happened, changes nothing.
///
/// # Errors
/// The disk's; [`Error::Corrupt`] if this log was used before: then the other file was lost.
pub fn create(log: &dyn LogStore, region: &Region, kv: &mut WriteBatch) -> Result<()> {
    let hard_state = HardState { term: INIT_TERM, vote: 0, commit: INIT_INDEX };
    let state = RaftLocalState { hard_state: Some(hard_state), last_index: INIT_INDEX };
    if let Some(found) = log.state(region.id)?
        && found != state
    {
        return Err(Error::Corrupt("there is a log, but the data is gone".into()));
    }
    let op = LogOp::State { region: region.id, state };
    log.commit(&LogBatch { ops: vec![op], sync: true })?;
    put_first(kv, region);
    Ok(())
}

/// How far the data of a new region is.
pub fn first_apply_state() -> RaftApplyState {
    RaftApplyState {
        applied_index: INIT_INDEX,
        truncated_state: Some(RaftTruncatedState { index: INIT_INDEX, term: INIT_TERM }),
        commit_index: INIT_INDEX,
        commit_term: INIT_TERM,
    }
}

/// The data's side of a new region's peer: the region, and how far its data is.
pub fn put_first(kv: &mut WriteBatch, region: &Region) {
    kv.put(CF_DEFAULT, keys::apply_state_key(region.id), first_apply_state().encode_to_vec());
    put_region(kv, region, PeerState::Normal);
}

/// The log of a peer whose region is new, and has come from another one: it starts like every first region's. What a
/// peer without data has promised for it here (`promised`) is kept; else a vote could be given twice. The caller
/// writes `raft_state()` to the log, after [`put_first`] is durable.
pub fn born(log: Arc<dyn LogStore>, region: Region, promised: HardState) -> PeerStorage {
    let first = HardState { term: INIT_TERM, vote: 0, commit: INIT_INDEX };
    let kept = if promised.term >= INIT_TERM { promised } else { first };
    let hard_state = HardState { commit: INIT_INDEX, ..kept };
    PeerStorage {
        region,
        log,
        last_term: INIT_TERM,
        truncated: RaftTruncatedState { index: INIT_INDEX, term: INIT_TERM },
        state: RaftLocalState { hard_state: Some(hard_state), last_index: INIT_INDEX },
        cache: EntryCache::default(),
        snapshots: SnapshotSlot::default().into(),
    }
}

/// Notes a region and the state of its peer.
pub fn put_region(kv: &mut WriteBatch, region: &Region, state: PeerState) {
    let local = RegionLocalState { state: state.into(), region: Some(region.clone()) };
    kv.put(CF_DEFAULT, keys::region_state_key(region.id), local.encode_to_vec());
}

/// What this store knows about a region; `None` if it never had a peer of it.
///
/// # Errors
/// The disk's, and damage.
pub fn load_region(kv: &Snapshot, region: u64) -> Result<Option<RegionLocalState>> {
    load(kv, &keys::region_state_key(region), "the region state")
}

/// Opens what an earlier life left of a normal peer, and brings its two files together: see the module above.
///
/// You will need `load` for what the data engine knows, and [`LogStore::state`]. In which order do you look at the
/// copy that a snapshot leaves, and at the commit indexes? And which combination of the two files can no crash leave?
///
/// # Errors
/// The disk's; [`Error::Corrupt`] for what no crash can have left.
pub fn open(kv: &Snapshot, log: Arc<dyn LogStore>, region: Region) -> Result<Opened> {
    // BEGIN SOLUTION 2B.restart
    let lost = |what: &str| Error::Corrupt(format!("region {}: {what}", region.id));
    let apply_state: RaftApplyState =
        load(kv, &keys::apply_state_key(region.id), "the apply state")?
            .ok_or_else(|| lost("the apply state is missing"))?;
    let truncated = apply_state.truncated_state.unwrap_or_default();
    let copy: Option<RaftLocalState> =
        load(kv, &keys::snapshot_raft_state_key(region.id), "the copy of the raft state")?;

    let mut state = log.state(region.id)?.ok_or_else(|| lost("its log is missing"))?;
    if let Some(copy) = copy
        && commit(&copy) > commit(&state)
    {
        // The snapshot was installed, and the crash came before the log knew. Term and vote are the newer ones,
        // since both were handed out together.
        let ops = vec![
            LogOp::Clear { region: region.id },
            LogOp::State { region: region.id, state: copy },
        ];
        log.commit(&LogBatch { ops, sync: true })?;
        state = copy;
    }
    // R1: only what was durable here was applied.
    if apply_state.applied_index > state.last_index || truncated.index > state.last_index {
        return Err(lost("its data is ahead of its log"));
    }
    // R2: what was applied was committed, whether or not the log's file was told.
    let mut hard_state = state.hard_state.unwrap_or_default();
    hard_state.commit = hard_state.commit.max(apply_state.commit_index);
    state.hard_state = Some(hard_state);

    let mut storage = PeerStorage {
        region,
        log,
        last_term: truncated.term,
        truncated,
        state,
        cache: EntryCache::default(),
        snapshots: SnapshotSlot::default().into(),
    };
    storage.last_term = storage.term_on_disk(storage.state.last_index)?;
    Ok(Opened { storage, apply_state })
    // END SOLUTION
}

/// The storage of a peer that was told of a region by a message, and has nothing of it: an empty log. What an earlier
/// life promised as such a peer (its term, its vote) is in the log's file, and is kept.
///
/// # Errors
/// The disk's.
pub fn blank(log: Arc<dyn LogStore>, region: u64) -> Result<PeerStorage> {
    let found = log.state(region)?.unwrap_or_default();
    let promised = found.hard_state.unwrap_or_default();
    let hard_state = HardState { commit: 0, ..promised };
    Ok(PeerStorage {
        region: Region { id: region, ..Default::default() },
        log,
        last_term: 0,
        truncated: RaftTruncatedState::default(),
        state: RaftLocalState { hard_state: Some(hard_state), last_index: 0 },
        cache: EntryCache::default(),
        snapshots: SnapshotSlot::default().into(),
    })
}

fn commit(state: &RaftLocalState) -> u64 {
    state.hard_state.map_or(0, |hard| hard.commit)
}

impl PeerStorage {
    /// The term of an entry that is durable, or of the truncated one.
    fn term_on_disk(&self, index: u64) -> Result<u64> {
        if index == self.truncated.index {
            return Ok(self.truncated.term);
        }
        let found = self.log.entries(self.region.id, index, index + 1, 0)?;
        let missing = || Error::Corrupt(format!("entry {index} is missing"));
        found.first().map(|entry| entry.term).ok_or_else(missing)
    }

    /// The term of an entry of the log.
    ///
    /// # Errors
    /// As `raftcore::Storage::term`.
    pub fn term_of(&self, index: u64) -> Result<u64, raftcore::StorageError> {
        self.term(index)
    }
}

/// What has to be written to destroy a peer, in this order: the first batch durably; then the log's; then the second,
/// in pieces if it is large. Until the last is done the tombstone says that it must be done again.
pub fn destroy(region: &Region) -> (WriteBatch, LogBatch, WriteBatch) {
    let mut tombstone = WriteBatch::new();
    put_region(&mut tombstone, region, PeerState::Tombstone);
    let log = LogBatch { ops: vec![LogOp::Clear { region: region.id }], sync: true };
    let mut data = WriteBatch::new();
    for cf in DATA_CFS {
        for span in data_spans(region) {
            data.delete_range(cf, span);
        }
    }
    data.delete(CF_DEFAULT, keys::apply_state_key(region.id));
    data.delete(CF_DEFAULT, keys::snapshot_raft_state_key(region.id));
    (tombstone, log, data)
}

/// A message that lies at `key`.
///
/// # Errors
/// The disk's, and damage.
pub fn load<M: Message + Default>(kv: &Snapshot, key: &[u8], what: &str) -> Result<Option<M>> {
    let Some(bytes) = kv.get(CF_DEFAULT, key)? else { return Ok(None) };
    let damaged = |e: prost::DecodeError| Error::Corrupt(format!("{what}: {e}"));
    Ok(Some(M::decode(&bytes[..]).map_err(damaged)?))
}
