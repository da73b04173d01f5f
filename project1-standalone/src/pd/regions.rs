//! The region check in front of a storage that has no regions.

use std::sync::Arc;

use proto::errorpb::{self, EpochNotMatch, KeyNotInRegion, RegionNotFound};
use proto::kvrpcpb::Context;
use proto::metapb::Region;

use crate::engine::{CfName, Direction};
use crate::keys::{self, KeyRange, RAW_PREFIX};
use crate::storage::{DynCursor, StorageReader};
use crate::{Error, Modify, Result, Storage};

/// The region of a client that names none (id 0): one that was given the store's address by hand
/// and knows no PD.
const DEFAULT_REGION: u64 = 1;

/// A [`Storage`] that honours the context: it serves a request only for a region that it has, at
/// that region's epoch, and only within the region's range.
///
/// - Keys outside the range are refused (the client went by a wrong map), ranges are cut to it: a
///   client sends the bounds of its whole scan to each region in turn.
/// - A refused batch did not happen: all keys are checked before the storage behind sees any.
///
/// The regions never change here, so that a check at the door is enough. In a cluster a region may
/// be split between the door and the write, and the check moves to where the order of writes is
/// decided.
pub struct SoloRegions<S> {
    storage: Arc<S>,
    regions: Vec<Region>,
}

impl<S: Storage> SoloRegions<S> {
    /// These regions in front of `storage`.
    pub fn new(storage: Arc<S>, regions: Vec<Region>) -> Self {
        SoloRegions { storage, regions }
    }

    /// The region that a request is for.
    fn admit(&self, context: &Context) -> Result<&Region> {
        let id = if context.region_id == 0 { DEFAULT_REGION } else { context.region_id };
        let Some(region) = self.regions.iter().find(|region| region.id == id) else {
            return Err(region_error(
                format!("region {id} is not on this store: ask PD again"),
                |error| error.region_not_found = Some(RegionNotFound { region_id: id }),
            ));
        };
        if context.region_id != 0 && context.region_epoch != region.region_epoch {
            // All regions, and never none: a client retries without a pause after an empty list.
            return Err(region_error(
                format!("region {id} has another epoch: ask PD again"),
                |error| {
                    let current_regions = self.regions.clone();
                    error.epoch_not_match = Some(EpochNotMatch { current_regions });
                },
            ));
        }
        Ok(region)
    }
}

impl<S: Storage> Storage for SoloRegions<S> {
    type Reader = RegionReader<S::Reader>;

    async fn write(&self, context: &Context, mut batch: Vec<Modify>) -> Result<()> {
        let region = self.admit(context)?;
        for modify in &mut batch {
            match modify {
                Modify::Put { key, .. } | Modify::Delete { key, .. } => check_key(region, key)?,
                Modify::DeleteRange { range, .. } => *range = clamp(region, range),
            }
        }
        // The context was for us: what is behind has no regions, and merges equal contexts.
        self.storage.write(&Context::default(), batch).await
    }

    async fn reader(&self, context: &Context) -> Result<RegionReader<S::Reader>> {
        let region = self.admit(context)?.clone();
        let reader = self.storage.reader(&Context::default()).await?;
        Ok(RegionReader { reader, region })
    }
}

/// Reads one region.
pub struct RegionReader<R> {
    reader: R,
    region: Region,
}

impl<R: StorageReader> StorageReader for RegionReader<R> {
    fn get_cf(&self, cf: CfName, key: &[u8]) -> Result<Option<Vec<u8>>> {
        check_key(&self.region, key)?;
        self.reader.get_cf(cf, key)
    }

    fn iter_cf(&self, cf: CfName, range: KeyRange, direction: Direction) -> Result<DynCursor> {
        self.reader.iter_cf(cf, clamp(&self.region, &range), direction)
    }

    fn term(&self) -> u64 {
        self.reader.term()
    }
}

/// The engine keys of a region, of the kind that `key` is: behind each letter the same positions.
fn span(region: &Region, key: &[u8]) -> KeyRange {
    let mut span = keys::raw_range(&region.start_key, &region.end_key);
    let letter = key.first().copied().unwrap_or(RAW_PREFIX);
    span.start[0] = letter;
    // Without an end the span ends with its letter.
    span.end[0] = if region.end_key.is_empty() { letter.saturating_add(1) } else { letter };
    span
}

fn check_key(region: &Region, key: &[u8]) -> Result<()> {
    if span(region, key).contains(key) {
        return Ok(());
    }
    let outside = KeyNotInRegion {
        key: keys::user_key(key).to_vec().into(),
        region_id: region.id,
        start_key: region.start_key.clone(),
        end_key: region.end_key.clone(),
    };
    Err(region_error(format!("the key is not in region {}: ask PD again", region.id), |error| {
        error.key_not_in_region = Some(outside);
    }))
}

/// What of `range` is in the region.
fn clamp(region: &Region, range: &KeyRange) -> KeyRange {
    let span = span(region, &range.start);
    KeyRange { start: span.start.max(range.start.clone()), end: span.end.min(range.end.clone()) }
}

fn region_error(message: String, fill: impl FnOnce(&mut errorpb::Error)) -> Error {
    let mut error = errorpb::Error { message, ..Default::default() };
    fill(&mut error);
    Error::Region(Box::new(error))
}
