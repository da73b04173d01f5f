//! Which regions are on this store, and where they lie.
//!
//! Only regions whose peer has data are here. They never overlap: that is what makes "the region of this key" a
//! question with one answer, and what a snapshot is measured against before it is let in.

use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Included, Unbounded};

use proto::metapb::Region;

/// The regions of a store, by id and by range.
///
/// - No two overlap.
/// - `starts` has exactly one entry for each region: its start key.
#[derive(Debug, Default)]
pub struct RegionMap {
    regions: BTreeMap<u64, Region>,
    starts: BTreeMap<Vec<u8>, u64>,
}

/// Whether `[start, end)` and the region's range have a key in common; an empty end means no end.
pub fn overlaps(region: &Region, start: &[u8], end: &[u8]) -> bool {
    let before = |a: &[u8], b: &[u8]| b.is_empty() || a < b;
    before(start, &region.end_key) && before(&region.start_key, end)
}

impl RegionMap {
    /// The region is here, with this range. One that changes its range is entered again.
    pub fn enter(&mut self, region: Region) {
        self.remove(region.id);
        self.starts.insert(region.start_key.to_vec(), region.id);
        self.regions.insert(region.id, region);
    }

    /// The region is not here any more.
    pub fn remove(&mut self, region: u64) {
        if let Some(old) = self.regions.remove(&region)
            && self.starts.get(&old.start_key[..]) == Some(&region)
        {
            self.starts.remove(&old.start_key[..]);
        }
    }

    /// A region by its id.
    pub fn get(&self, region: u64) -> Option<&Region> {
        self.regions.get(&region)
    }

    /// The region that has this position.
    pub fn at(&self, position: &[u8]) -> Option<&Region> {
        let (_, region) =
            self.starts.range::<[u8], _>((Unbounded, Included(position))).next_back()?;
        self.regions
            .get(region)
            .filter(|region| overlaps(region, position, &[position, &[0]].concat()))
    }

    /// The region that begins where this one ends.
    pub fn after(&self, region: &Region) -> Option<&Region> {
        if region.end_key.is_empty() {
            return None;
        }
        self.regions.get(self.starts.get(&region.end_key[..])?)
    }

    /// The regions that have a key of `[start, end)`, but for the one with the id `except`.
    pub fn overlapping(&self, start: &[u8], end: &[u8], except: u64) -> Vec<u64> {
        let before = self.starts.range::<[u8], _>((Unbounded, Excluded(start))).next_back();
        let within = self.starts.range::<[u8], _>((Included(start), Unbounded));
        let near = before.into_iter().chain(within).map(|(_, id)| *id);
        near.take_while(|id| {
            let begins = &self.regions[id].start_key[..];
            end.is_empty() || begins < end
        })
        .filter(|id| *id != except && overlaps(&self.regions[id], start, end))
        .collect()
    }

    /// All of them, by id.
    pub fn iter(&self) -> impl Iterator<Item = &Region> {
        self.regions.values()
    }
}
