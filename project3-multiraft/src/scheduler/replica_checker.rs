//! The replica checker: every region shall have `max_replicas` voters, on stores that are there to stay.
//!
//! It goes before balance: a region that lacks a peer is one failure nearer to losing data, one on a full store is not.

use super::board::Board;
use super::proposal::{Change, Kind, Proposal};
use super::region::{RegionInfo, is_voter};

/// What is wrong with a region, most urgent first, and what to do about it; none if nothing is, or nothing can be done.
///
/// 1. A *learner* was left over by an operator that ended half-way (the scheduler restarted, say): it is promoted if
///    voters are missing and it has caught up, and removed if they are not, or its store is lost.
/// 2. A peer on a store that is *lost* ([`Board::is_lost`]): moved elsewhere, `replace-down-replica`. If the region has
///    more voters than it should, it is just removed.
/// 3. Voters are *missing*: one is added, `make-up-replica`.
/// 4. There are *too many*: one is removed, `remove-extra-replica`. Rather one on a store that is leaving, then one that
///    is down or pending, then one that does not lead, then the one on the fullest store.
/// 5. A peer on a store that is *leaving* ([`Board::is_leaving`]): moved elsewhere, `replace-offline-replica`.
///
/// New peers go to the first of [`Board::targets`] without a peer of the region. If there is none, nothing is done:
/// removing without adding makes it worse. The tail is looked after like any other region.
///
/// You will need `propose` below.
pub fn check_replicas(board: &Board<'_>, region: &RegionInfo) -> Option<Proposal> {
    // BEGIN SOLUTION 3C.replica_checker
    let propose = |why, change| Some(propose(region, why, change));
    let peers = &region.region.peers;
    let wanted = board.config.max_replicas;
    let voters = peers.iter().filter(|peer| is_voter(peer)).count();
    let target = || board.targets().into_iter().find(|&store| region.peer_on(store).is_none());

    if let Some(learner) = peers.iter().find(|peer| !is_voter(peer)) {
        let store = learner.store_id;
        if voters >= wanted || board.is_lost(store) {
            return propose("remove-orphan-learner", Change::Remove { from: store });
        }
        let caught_up = !region.is_pending(learner.id) && !region.is_down(learner.id);
        return caught_up.then(|| propose("promote-learner", Change::Promote { store })).flatten();
    }
    if let Some(lost) = peers.iter().find(|peer| board.is_lost(peer.store_id)) {
        let from = lost.store_id;
        if voters > wanted {
            return propose("remove-extra-replica", Change::Remove { from });
        }
        return propose("replace-down-replica", Change::Move { from, to: target()? });
    }
    if voters < wanted {
        return propose("make-up-replica", Change::Add { to: target()? });
    }
    if voters > wanted {
        let worst = peers.iter().max_by_key(|peer| {
            let sick = region.is_down(peer.id) || region.is_pending(peer.id);
            let leads = region.leader_store() == peer.store_id;
            (board.is_leaving(peer.store_id), sick, !leads, board.score(peer.store_id))
        })?;
        return propose("remove-extra-replica", Change::Remove { from: worst.store_id });
    }
    let from = peers.iter().find(|peer| board.is_leaving(peer.store_id))?.store_id;
    propose("replace-offline-replica", Change::Move { from, to: target()? })
    // END SOLUTION
}

/// The checker's proposals have one change each.
fn propose(region: &RegionInfo, why: &'static str, change: Change) -> Proposal {
    Proposal { region: region.id(), kind: Kind::Replica, why, changes: vec![change] }
}
