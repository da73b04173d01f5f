//! All regions: by id, by key, by store.
//!
//! The map is what clients find their way by. Its order is that of start keys; a region ends where its own `end_key`
//! says, so that a *hole* is possible: after a split the left half may be heard of before the right one, and until then
//! nobody knows who has the right half's keys. An answer with a hole is honest; an answer with the wrong region is not.
//!
//! # Invariants
//!
//! - No two regions overlap.
//! - `by_id`, `by_start` and `shelves` tell of the same regions.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use bytes::Bytes;

use super::region::RegionInfo;

/// The regions of one store.
#[derive(Debug, Default, Clone)]
pub struct Shelf {
    /// Those that are led from there.
    pub leaders: BTreeSet<u64>,
    /// Those that have a peer there which does not lead, learners included.
    pub followers: BTreeSet<u64>,
    /// Those whose peer there is far behind.
    pub pending: BTreeSet<u64>,
    /// The sum of their sizes, in bytes.
    pub size: u64,
}

impl Shelf {
    /// How many peers the store has.
    pub fn peers(&self) -> usize {
        self.leaders.len() + self.followers.len()
    }
}

/// The map. See the module.
#[derive(Debug, Default)]
pub struct RegionMap {
    by_id: BTreeMap<u64, RegionInfo>,
    by_start: BTreeMap<Bytes, u64>,
    shelves: BTreeMap<u64, Shelf>,
}

impl RegionMap {
    /// The region with this id.
    pub fn get(&self, id: u64) -> Option<&RegionInfo> {
        self.by_id.get(&id)
    }

    /// All regions, in the order of their ids.
    pub fn iter(&self) -> impl Iterator<Item = &RegionInfo> {
        self.by_id.values()
    }

    /// The regions after this id, in the order of their ids.
    pub fn after(&self, id: u64) -> impl Iterator<Item = &RegionInfo> {
        self.by_id.range((Bound::Excluded(id), Bound::Unbounded)).map(|(_, info)| info)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.by_id.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.by_id.is_empty()
    }

    /// What a store has.
    pub fn shelf(&self, store: u64) -> Option<&Shelf> {
        self.shelves.get(&store)
    }

    /// The region that has `key`; none if the key lies in a hole.
    ///
    /// You will need `range(..)` of `by_start`: the last region that starts at or before the key is the only one that
    /// can have it.
    pub fn find(&self, key: &[u8]) -> Option<&RegionInfo> {
        // BEGIN SOLUTION 3C.region_map
        let (_, id) =
            self.by_start.range::<[u8], _>((Bound::Unbounded, Bound::Included(key))).next_back()?;
        self.by_id.get(id).filter(|info| info.contains(key))
        // END SOLUTION
    }

    /// The region just before the one that has `key`: the one that ends where that one starts. None before the first,
    /// and none if there is a hole.
    pub fn before(&self, key: &[u8]) -> Option<&RegionInfo> {
        // BEGIN SOLUTION 3C.region_map
        let start = &self.find(key)?.region.start_key;
        let (_, id) = self.by_start.range::<Bytes, _>(..start).next_back()?;
        self.by_id.get(id).filter(|info| info.region.end_key == start)
        // END SOLUTION
    }

    /// The regions with keys in `[start, end)`, in key order; an empty `end` is no bound. The first one may begin
    /// before `start`.
    pub fn scan(&self, start: &[u8], end: &[u8]) -> Vec<&RegionInfo> {
        // BEGIN SOLUTION 3C.region_map
        let first = self.find(start).map_or(start, |info| &info.region.start_key);
        self.by_start
            .range::<[u8], _>((Bound::Included(first), Bound::Unbounded))
            .map(|(_, id)| &self.by_id[id])
            .take_while(|info| end.is_empty() || info.region.start_key < end)
            .collect()
        // END SOLUTION
    }

    /// The regions whose ranges touch that of `region`, the one with its own id left out.
    pub fn overlaps(&self, region: &RegionInfo) -> Vec<&RegionInfo> {
        let (start, end) = (&region.region.start_key, &region.region.end_key);
        self.scan(start, end).into_iter().filter(|info| info.id() != region.id()).collect()
    }

    /// Puts a region in the place of the one with its id and of all that overlap it, and returns the ids of the latter.
    /// Whether it is newer than they are is the caller's question.
    ///
    /// You will need `overlaps` above, and `remove` and `shelve` below.
    pub fn put(&mut self, info: RegionInfo) -> Vec<u64> {
        // BEGIN SOLUTION 3C.region_map
        let replaced: Vec<u64> = self.overlaps(&info).iter().map(|old| old.id()).collect();
        for id in replaced.iter().copied().chain([info.id()]) {
            self.remove(id);
        }
        self.shelve(&info);
        self.by_start.insert(info.region.start_key.clone(), info.id());
        self.by_id.insert(info.id(), info);
        replaced
        // END SOLUTION
    }

    /// Takes a region out of the map and off all shelves.
    fn remove(&mut self, id: u64) {
        let Some(info) = self.by_id.remove(&id) else { return };
        self.by_start.remove(&info.region.start_key);
        for peer in &info.region.peers {
            let Some(shelf) = self.shelves.get_mut(&peer.store_id) else { continue };
            shelf.leaders.remove(&id);
            shelf.followers.remove(&id);
            shelf.pending.remove(&id);
            shelf.size -= info.size;
        }
    }

    /// Puts a region on the shelves of its stores.
    fn shelve(&mut self, info: &RegionInfo) {
        for peer in &info.region.peers {
            let shelf = self.shelves.entry(peer.store_id).or_default();
            if info.leader_store() == peer.store_id {
                shelf.leaders.insert(info.id());
            } else {
                shelf.followers.insert(info.id());
            }
            if info.is_pending(peer.id) {
                shelf.pending.insert(info.id());
            }
            shelf.size += info.size;
        }
    }
}
