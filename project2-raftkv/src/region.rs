//! What a region is to this store: which keys, and whether a request that names it is up to date.
//!
//! [`data_spans`] is the one function that says where a region's data lies; snapshots, sizes, destruction and
//! (later) the search for split keys all use it, so that none of them forgets a letter.

use bytes::Bytes;
use proto::errorpb::{self, EpochNotMatch, KeyNotInRegion, MismatchPeerId, NotLeader};
use proto::errorpb::{RegionNotFound, StaleCommand};
use proto::metapb::{Peer, Region, RegionEpoch};
use standalone::keys::{KeyRange, PD_PREFIX, RAW_PREFIX, TAIL_START};

use crate::error::Refusal;

/// The region with which a store of this project begins, and ends.
pub const FIRST_REGION: u64 = 1;

/// The empty region after it (`standalone::keys` says why it is there). No peer of its own: the first region's
/// answers for it, and it is always empty.
pub const TAIL_REGION: u64 = 2;

/// The engine prefix of transactional data.
const TXN_PREFIX: u8 = b'x';

/// The region that members agree on before the first entry of any log. The peers' ids are those of their stores.
pub fn first_region(stores: impl IntoIterator<Item = u64>) -> Region {
    let peer = |store| Peer { id: store, store_id: store, ..Default::default() };
    Region {
        id: FIRST_REGION,
        start_key: Bytes::default(),
        end_key: TAIL_START.to_vec().into(),
        region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
        peers: stores.into_iter().map(peer).collect(),
    }
}

/// The tail beside `first`: the same peers, and the rest of the keys.
pub fn tail_of(first: &Region) -> Region {
    Region {
        id: TAIL_REGION,
        start_key: first.end_key.clone(),
        end_key: Bytes::default(),
        ..first.clone()
    }
}

/// The engine keys of a region's data, in every column family: one span for each letter.
///
/// What the solo PD remembers (`p`) has no position in anybody's map; it goes with the region that has the first
/// keys, or a snapshot would lose it.
pub fn data_spans(region: &Region) -> Vec<KeyRange> {
    let span = |letter: u8| {
        let start = [&[letter], &region.start_key[..]].concat();
        let end = match &region.end_key[..] {
            [] => vec![letter + 1],
            end => [&[letter], end].concat(),
        };
        KeyRange { start, end }
    };
    let mut spans = vec![span(RAW_PREFIX), span(TXN_PREFIX)];
    if region.start_key.is_empty() {
        spans.insert(0, KeyRange { start: vec![PD_PREFIX], end: vec![PD_PREFIX + 1] });
    }
    spans
}

/// Whether an engine key is data of this region.
pub fn contains(region: &Region, engine_key: &[u8]) -> bool {
    data_spans(region).iter().any(|span| span.contains(engine_key))
}

/// What of a range of engine keys is in the region; empty if nothing is. A range lies within one letter.
pub fn clamp(region: &Region, range: &KeyRange) -> KeyRange {
    let within = |span: &KeyRange| KeyRange {
        start: span.start.clone().max(range.start.clone()),
        end: span.end.clone().min(range.end.clone()),
    };
    let nothing = || KeyRange { start: range.start.clone(), end: range.start.clone() };
    data_spans(region).iter().map(within).find(|cut| !cut.is_empty()).unwrap_or_else(nothing)
}

/// Refuses a request that was made for another shape of the region: its range. Who the members are changes nothing for
/// who reads and writes. Requests that name no epoch are not checked: their sender has no map.
///
/// # Errors
/// `EpochNotMatch`, never empty: clients retry without a pause after an empty list.
pub fn check_epoch(region: &Region, named: Option<&RegionEpoch>) -> Result<(), Refusal> {
    let Some(named) = named else { return Ok(()) };
    if region.region_epoch.is_some_and(|here| here.version == named.version) {
        return Ok(());
    }
    Err(epoch_not_match(region))
}

/// `EpochNotMatch`, with the region as it is.
pub fn epoch_not_match(region: &Region) -> Refusal {
    let current_regions = vec![region.clone()];
    refuse(format!("region {} has another epoch: ask PD again", region.id), |error| {
        error.epoch_not_match = Some(EpochNotMatch { current_regions });
    })
}

/// Refuses a key that is not in the region.
///
/// # Errors
/// `KeyNotInRegion`.
pub fn check_key(region: &Region, engine_key: &[u8]) -> Result<(), Refusal> {
    if contains(region, engine_key) {
        return Ok(());
    }
    Err(position_not_in_region(region, engine_key.get(1..).unwrap_or_default()))
}

/// `KeyNotInRegion`, for a position in PD's order.
pub fn position_not_in_region(region: &Region, position: &[u8]) -> Refusal {
    let outside = KeyNotInRegion {
        key: position.to_vec().into(),
        region_id: region.id,
        start_key: region.start_key.clone(),
        end_key: region.end_key.clone(),
    };
    refuse(format!("the key is not in region {}: ask PD again", region.id), |error| {
        error.key_not_in_region = Some(outside);
    })
}

/// `NotLeader`, with a hint only if it is certain: clients follow it without a pause.
pub fn not_leader(region: u64, leader: Option<Peer>) -> Refusal {
    refuse(format!("region {region} is led by another peer"), |error| {
        error.not_leader = Some(NotLeader { region_id: region, leader });
    })
}

/// `StaleCommand`: the request has not happened and never will.
pub fn stale_command(why: &str) -> Refusal {
    refuse(why.to_owned(), |error| error.stale_command = Some(StaleCommand {}))
}

/// `RegionNotFound`.
pub fn region_not_found(region: u64) -> Refusal {
    refuse(format!("region {region} is not on this store: ask PD again"), |error| {
        error.region_not_found = Some(RegionNotFound { region_id: region });
    })
}

/// `MismatchPeerId`.
pub fn mismatched_peer(asked: u64, here: u64) -> Refusal {
    refuse(format!("peer {asked} is not here, peer {here} is: ask PD again"), |error| {
        error.mismatch_peer_id =
            Some(MismatchPeerId { request_peer_id: asked, store_peer_id: here });
    })
}

fn refuse(message: String, fill: impl FnOnce(&mut errorpb::Error)) -> Refusal {
    let mut error = errorpb::Error { message, ..Default::default() };
    fill(&mut error);
    Refusal::Region(Box::new(error))
}
