//! balance-region: from the fullest store to the emptiest.
//!
//! # When it is worth it
//!
//! A move costs a snapshot, so it must not be undone by the next one. After a move of weight `w` the source is `w`
//! lower and the target `w` higher; if they differed by more than `2w` before, the source is still the fuller one, and
//! moving back makes no sense. So the sum of all squares falls with each move, and the cluster comes to rest.
//!
//! # Which regions
//!
//! Only those with exactly `max_replicas` peers: one that has less must not wait for a move to end before it is made
//! whole, and one that has more will lose one soon, perhaps this very one. (TinyKV's text does not say so; its solution
//! and its tests do.)

use super::board::Board;
use super::proposal::{Change, Kind, Proposal};
use super::region::RegionInfo;

/// One move, or none if the cluster is even enough.
///
/// - Sources: [`Board::sources`], the fullest first. If nothing can be moved off the first, the next is tried.
/// - Of a source, first the regions whose peer there is pending (it will need a snapshot anyway), then those that it
///   follows, then those that it leads.
/// - A region must be [`Board::is_movable`] and have exactly `max_replicas` peers. Only the pending ones may have
///   pending peers.
/// - The target: the first of [`Board::targets`] that has no peer of the region.
/// - Worth it: `score(source) - score(target) > 2 * weight(region)`.
///
/// You will need [`Board::shuffled`] to go through a [`Shelf`](super::region_map::Shelf)'s sets.
pub fn balance_region(board: &Board<'_>) -> Option<Proposal> {
    // BEGIN SOLUTION 3C.balance_region
    let targets = board.targets();
    let lowest = board.score(*targets.first()?);
    for source in board.sources() {
        let score = board.score(source);
        // The lightest region weighs 1: nothing here, or on a store with less, is worth it.
        if score - lowest <= 2 {
            return None;
        }
        let Some(shelf) = board.regions.shelf(source) else { continue };
        let fit = |region: &&RegionInfo| {
            score - lowest > 2 * board.weight(region)
                && region.region.peers.len() == board.config.max_replicas
                && board.is_movable(region)
        };
        let pending = board.shuffled(&shelf.pending);
        let healthy = board.shuffled(&shelf.followers).chain(board.shuffled(&shelf.leaders));
        let healthy = healthy.filter(|region| region.pending.is_empty());
        for region in pending.chain(healthy).filter(fit) {
            let target = targets.iter().find(|&&store| region.peer_on(store).is_none());
            let Some(&target) = target else { continue };
            if score - board.score(target) > 2 * board.weight(region) {
                return Some(Proposal {
                    region: region.id(),
                    kind: Kind::Region,
                    why: "balance-region",
                    changes: vec![Change::Move { from: source, to: target }],
                });
            }
        }
    }
    None
    // END SOLUTION
}
