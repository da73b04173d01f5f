//! Scatter: spread some regions now, as after a bulk split, without waiting for the stores to get uneven.
//!
//! Balance looks at all regions of a store; scatter looks at the regions of one *group* only. It counts where it has put
//! the group's peers and leaders so far, and puts the next ones where there are fewest.

use std::collections::BTreeMap;

use super::board::Board;
use super::proposal::{Change, Kind, Proposal};
use super::region::RegionInfo;

/// Where the regions of one group were put.
#[derive(Debug, Default)]
pub struct Group {
    peers: BTreeMap<u64, u64>,
    leaders: BTreeMap<u64, u64>,
}

impl Group {
    /// Finds places for a region's peers and its leader, and remembers them.
    pub fn place(&mut self, board: &Board<'_>, region: &RegionInfo) -> Proposal {
        let targets = board.targets();
        let mut changes = Vec::new();
        let mut stores: Vec<u64> = region.region.peers.iter().map(|peer| peer.store_id).collect();
        for at in 0..stores.len() {
            let from = stores[at];
            let had = self.peers.get(&from).copied().unwrap_or(0);
            let free = targets.iter().copied().filter(|store| !stores.contains(store));
            let count = |store: &u64| self.peers.get(store).copied().unwrap_or(0);
            if let Some(to) = free.min_by_key(count).filter(|to| count(to) < had) {
                changes.push(Change::Move { from, to });
                stores[at] = to;
            }
            *self.peers.entry(stores[at]).or_default() += 1;
        }
        let count = |store: &u64| self.leaders.get(store).copied().unwrap_or(0);
        if let Some(leader) = stores.iter().copied().min_by_key(count) {
            *self.leaders.entry(leader).or_default() += 1;
            if leader != region.leader_store() {
                changes.push(Change::Transfer { to: leader });
            }
        }
        Proposal { region: region.id(), kind: Kind::Admin, why: "scatter-region", changes }
    }
}
