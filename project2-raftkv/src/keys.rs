//! Where a store keeps what is not user data: TiKV's local keys.
//!
//! Every local key starts with [`LOCAL_PREFIX`], below all data (`r`, `x`), and names its region, from the first
//! day on: that one region is all there is in this project is no reason to forget it.
//!
//! | key | file | holds |
//! |---|---|---|
//! | `01 01` | kv | [`StoreIdent`](proto::raft_serverpb::StoreIdent): whose disk this is |
//! | `01 02 region 01 index` | raft | the entries of one round, from this index on |
//! | `01 02 region 02` | raft | `RaftLocalState`: term, vote, commit, last index |
//! | `01 02 region 03` | kv | `RaftApplyState`: how far the data has come |
//! | `01 02 region 04` | kv | the copy of `RaftLocalState` that an installed snapshot leaves |
//! | `01 02 region 06 part` | kv | pieces of a snapshot that is on its way in (ours: TiKV has files) |
//! | `01 02 region 07` | kv | an installation in pieces: which snapshot, and how far it has come (ours) |
//! | `01 03 region 01` | kv | `RegionLocalState`: the region, and whether its peer is normal, applying or dead |
//! | `01 06` | raft | the epoch of the journal before it (ours) |
//! | `01 05 store` | kv | the disk that a store was first met with; for store 0, that we were accepted (ours) |
//!
//! Numbers are big-endian, so that byte order is number order.

use standalone::keys::KeyRange;

/// What every local key starts with.
pub const LOCAL_PREFIX: u8 = 0x01;

/// The key of the store's identity.
pub const STORE_IDENT_KEY: [u8; 2] = [LOCAL_PREFIX, 0x01];

/// Where the log's table says which records of its journal count.
pub const JOURNAL_EPOCH_KEY: [u8; 2] = [LOCAL_PREFIX, 0x06];

const RAFT: u8 = 0x02;
const META: u8 = 0x03;
const KNOWN_DISK: u8 = 0x05;

const LOG: u8 = 0x01;
const RAFT_STATE: u8 = 0x02;
const APPLY_STATE: u8 = 0x03;
const SNAPSHOT_RAFT_STATE: u8 = 0x04;
const SNAPSHOT_PART: u8 = 0x06;
const SNAPSHOT_INSTALL: u8 = 0x07;
const REGION_STATE: u8 = 0x01;

fn key(kind: u8, region: u64, suffix: u8) -> Vec<u8> {
    let mut key = vec![LOCAL_PREFIX, kind];
    key.extend(region.to_be_bytes());
    key.push(suffix);
    key
}

fn numbered(region: u64, suffix: u8, number: u64) -> Vec<u8> {
    let mut key = key(RAFT, region, suffix);
    key.extend(number.to_be_bytes());
    key
}

/// Where the entries of a round lie whose first has this index.
pub fn log_key(region: u64, index: u64) -> Vec<u8> {
    numbered(region, LOG, index)
}

/// The index that [`log_key`] put into a key; `None` for a key of another kind.
pub fn log_index(region: u64, log_key: &[u8]) -> Option<u64> {
    let index = log_key.strip_prefix(&key(RAFT, region, LOG)[..])?;
    Some(u64::from_be_bytes(index.try_into().ok()?))
}

/// All rounds whose first index is in `from..to`; `to` of `None` means no bound.
pub fn log_range(region: u64, from: u64, to: Option<u64>) -> KeyRange {
    let end = to.map_or_else(|| key(RAFT, region, LOG + 1), |to| log_key(region, to));
    KeyRange { start: log_key(region, from), end }
}

/// Where a peer's `RaftLocalState` lies.
pub fn raft_state_key(region: u64) -> Vec<u8> {
    key(RAFT, region, RAFT_STATE)
}

/// All that the log's file has of a region.
pub fn raft_range(region: u64) -> KeyRange {
    KeyRange { start: key(RAFT, region, 0), end: key(RAFT, region, 0xff) }
}

/// Where a peer's `RaftApplyState` lies.
pub fn apply_state_key(region: u64) -> Vec<u8> {
    key(RAFT, region, APPLY_STATE)
}

/// Where an installed snapshot leaves its copy of `RaftLocalState`.
pub fn snapshot_raft_state_key(region: u64) -> Vec<u8> {
    key(RAFT, region, SNAPSHOT_RAFT_STATE)
}

/// Where a piece of an incoming snapshot waits.
pub fn snapshot_part_key(region: u64, part: u64) -> Vec<u8> {
    numbered(region, SNAPSHOT_PART, part)
}

/// All pieces of a region's incoming snapshot.
pub fn snapshot_parts(region: u64) -> KeyRange {
    KeyRange { start: key(RAFT, region, SNAPSHOT_PART), end: key(RAFT, region, SNAPSHOT_PART + 1) }
}

/// Where an installation in pieces notes its progress.
pub fn snapshot_install_key(region: u64) -> Vec<u8> {
    key(RAFT, region, SNAPSHOT_INSTALL)
}

/// Where a peer's `RegionLocalState` lies.
pub fn region_state_key(region: u64) -> Vec<u8> {
    key(META, region, REGION_STATE)
}

/// Where it is noted with which disk this store first met another.
pub fn known_disk_key(store: u64) -> Vec<u8> {
    let mut key = vec![LOCAL_PREFIX, KNOWN_DISK];
    key.extend(store.to_be_bytes());
    key
}
