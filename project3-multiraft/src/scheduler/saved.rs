//! What is on disk, and under which keys.
//!
//! | key | value |
//! |---|---|
//! | `cluster_id` | drawn at the first start |
//! | `bootstrapped` | the first store's id |
//! | `id_bound` | no id from here on was given out |
//! | `tso_bound` | no timestamp from this millisecond on was given out |
//! | `gc_safe_point` | the safe point |
//! | `max_replicas` | as `PutClusterConfig` has set it |
//! | `hold/NAME` | the end (seconds since 1970) and the safe point of a service's hold |
//! | `store/ID` | a `metapb.Store` |
//! | `region/ID` | a `metapb.Region` |
//!
//! Numbers are eight bytes, big-endian.

use bytes::Bytes;
use prost::Message as _;
use proto::metapb;

pub(super) const CLUSTER_ID: &[u8] = b"cluster_id";
pub(super) const BOOTSTRAPPED: &[u8] = b"bootstrapped";
pub(super) const ID_BOUND: &[u8] = b"id_bound";
pub(super) const TSO_BOUND: &[u8] = b"tso_bound";
pub(super) const GC_SAFE_POINT: &[u8] = b"gc_safe_point";
pub(super) const MAX_REPLICAS: &[u8] = b"max_replicas";
const HOLD: &[u8] = b"hold/";
const STORE: &[u8] = b"store/";
const REGION: &[u8] = b"region/";

/// Bytes on the scheduler's disk that are not what it wrote.
#[derive(Debug, thiserror::Error)]
#[error(
    "the scheduler's data is damaged: {key} does not hold {expected}; restore it, or start with an empty directory"
)]
pub struct Corrupt {
    key: String,
    expected: &'static str,
}

/// Everything that was saved, decoded.
#[derive(Debug, Default)]
pub(super) struct Saved {
    pub(super) cluster_id: u64,
    pub(super) bootstrapped: bool,
    pub(super) id_bound: u64,
    pub(super) tso_bound: u64,
    pub(super) gc_safe_point: u64,
    pub(super) max_replicas: u64,
    pub(super) holds: Vec<(Bytes, u64, u64)>,
    pub(super) stores: Vec<metapb::Store>,
    pub(super) regions: Vec<metapb::Region>,
}

impl Saved {
    /// # Errors
    /// [`Corrupt`] at the first value that does not decode.
    pub(super) fn read(pairs: impl IntoIterator<Item = (Vec<u8>, Bytes)>) -> Result<Self, Corrupt> {
        let mut saved = Saved::default();
        for (key, value) in pairs {
            let corrupt = |expected| Corrupt { key: key.escape_ascii().to_string(), expected };
            let number = |bytes: &[u8]| {
                <[u8; 8]>::try_from(bytes).map(u64::from_be_bytes).map_err(|_| corrupt("a number"))
            };
            if let Some(name) = key.strip_prefix(HOLD) {
                let (end, point) = value.split_at_checked(8).ok_or_else(|| corrupt("a hold"))?;
                saved.holds.push((Bytes::copy_from_slice(name), number(end)?, number(point)?));
            } else if key.starts_with(STORE) {
                let store = metapb::Store::decode(value).map_err(|_| corrupt("a store"))?;
                saved.stores.push(store);
            } else if key.starts_with(REGION) {
                let region = metapb::Region::decode(value).map_err(|_| corrupt("a region"))?;
                saved.regions.push(region);
            } else {
                let field = match &key[..] {
                    CLUSTER_ID => &mut saved.cluster_id,
                    ID_BOUND => &mut saved.id_bound,
                    TSO_BOUND => &mut saved.tso_bound,
                    GC_SAFE_POINT => &mut saved.gc_safe_point,
                    MAX_REPLICAS => &mut saved.max_replicas,
                    BOOTSTRAPPED => {
                        saved.bootstrapped = true;
                        continue;
                    }
                    _ => return Err(corrupt("anything that this version knows")),
                };
                *field = number(&value)?;
            }
        }
        Ok(saved)
    }
}

pub(super) fn number(value: u64) -> Vec<u8> {
    value.to_be_bytes().to_vec()
}

pub(super) fn hold(end: u64, safe_point: u64) -> Vec<u8> {
    [end.to_be_bytes(), safe_point.to_be_bytes()].concat()
}

pub(super) fn hold_key(name: &[u8]) -> Vec<u8> {
    [HOLD, name].concat()
}

pub(super) fn store_key(id: u64) -> Vec<u8> {
    [STORE, &id.to_be_bytes()].concat()
}

pub(super) fn region_key(id: u64) -> Vec<u8> {
    [REGION, &id.to_be_bytes()].concat()
}
