//! balance-leader: a leader does the work of its region, so every store should lead about as many.
//!
//! A transfer is cheap (no data moves), and it is worth it if the two stores differ by two or more: then the source is not
//! the poorer one afterwards.

use super::board::Board;
use super::proposal::{Change, Kind, Proposal};

/// One transfer, or none if leadership is even enough.
///
/// - Sources: the stores [`Board::in_service`], the one with the most [`Board::leaders`] first. If nothing can be
///   transferred off the first, the next is tried.
/// - A region must be [`Board::is_movable`].
/// - The target: of the stores in service that hold a voter which could lead
///   ([`RegionInfo::heirs`](super::region::RegionInfo::heirs)), the one with the fewest leaders.
/// - Worth it: the source leads at least two regions more than the target.
pub fn balance_leader(board: &Board<'_>) -> Option<Proposal> {
    // BEGIN SOLUTION 3C.balance_leader
    let mut stores = board.in_service();
    stores.sort_by_cached_key(|&store| board.leaders(store));
    let fewest = board.leaders(*stores.first()?);
    for &source in stores.iter().rev() {
        let most = board.leaders(source);
        if most - fewest < 2 {
            return None;
        }
        let Some(shelf) = board.regions.shelf(source) else { continue };
        for region in board.shuffled(&shelf.leaders).filter(|region| board.is_movable(region)) {
            let poorer = region.heirs().filter(|&store| most - board.leaders(store) >= 2);
            let fit = poorer.filter(|store| stores.contains(store));
            if let Some(target) = fit.min_by_key(|&store| (board.leaders(store), store)) {
                return Some(Proposal {
                    region: region.id(),
                    kind: Kind::Leader,
                    why: "balance-leader",
                    changes: vec![Change::Transfer { to: target }],
                });
            }
        }
    }
    None
    // END SOLUTION
}
