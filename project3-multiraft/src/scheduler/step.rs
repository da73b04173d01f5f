//! The steps that an operator is made of: each is one order to one leader, and one look at a heartbeat tells whether it
//! is done.
//!
//! The scheduler never learns that an order *arrived*. It gives it, looks at what the region looks like the next time
//! it is heard of, and gives it again. So a step must be harmless when it is given twice, and "done" must be a property of
//! the region, not of a message.

use std::fmt;

use proto::eraftpb::ConfChangeType;
use proto::metapb::{Peer, PeerRole};
use proto::pdpb::{ChangePeer, RegionHeartbeatResponse, TransferLeader};

use super::region::{RegionInfo, is_voter};

/// One step. Stores are what steps are about; a peer's id is there to tell it from an earlier peer on the same store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// A new peer that gets the log and has no vote yet.
    AddLearner {
        /// Where.
        store: u64,
        /// Its id.
        peer: u64,
    },
    /// A new peer that votes at once. Cheaper by a step, and for as long as it has no data the group is one failure
    /// nearer to a standstill.
    AddPeer {
        /// Where.
        store: u64,
        /// Its id.
        peer: u64,
    },
    /// The learner gets its vote.
    PromoteLearner {
        /// Where.
        store: u64,
        /// Its id.
        peer: u64,
    },
    /// Another peer leads.
    TransferLeader {
        /// Where the new leader is.
        to: u64,
    },
    /// The peer on this store goes.
    RemovePeer {
        /// Where.
        store: u64,
    },
}

impl Step {
    /// Whether the region looks as it should after this step. A new peer must be there *and* have caught up: a peer
    /// that is still pending counts for nothing.
    pub fn is_done(&self, region: &RegionInfo) -> bool {
        // BEGIN SOLUTION 3C.steps
        match *self {
            Step::AddLearner { store, peer } => {
                region.peer_on(store).is_some_and(|p| p.id == peer) && !region.is_pending(peer)
            }
            Step::AddPeer { store, peer } | Step::PromoteLearner { store, peer } => {
                let there = region.peer_on(store).is_some_and(|p| p.id == peer && is_voter(p));
                there && !region.is_pending(peer)
            }
            Step::TransferLeader { to } => region.leader_store() == to,
            Step::RemovePeer { store } => region.peer_on(store).is_none(),
        }
        // END SOLUTION
    }

    /// Whether the region's peers show this step's mark, caught up or not: how an operator tells its own changes of
    /// the epoch from those of others. A transfer leaves none.
    pub fn has_changed_peers(&self, region: &RegionInfo) -> bool {
        match *self {
            Step::AddLearner { store, peer } => region.peer_on(store).is_some_and(|p| p.id == peer),
            Step::AddPeer { store, peer } | Step::PromoteLearner { store, peer } => {
                region.peer_on(store).is_some_and(|p| p.id == peer && is_voter(p))
            }
            Step::TransferLeader { .. } => false,
            Step::RemovePeer { store } => region.peer_on(store).is_none(),
        }
    }

    /// Why this step cannot be taken by the region as it is; none if it can.
    pub fn obstacle(&self, region: &RegionInfo) -> Option<&'static str> {
        match *self {
            Step::AddLearner { store, peer } | Step::AddPeer { store, peer } => {
                let other = region.peer_on(store).is_some_and(|p| p.id != peer);
                other.then_some("the store has another peer of the region")
            }
            Step::PromoteLearner { store, peer } => {
                let gone = region.peer_on(store).is_none_or(|p| p.id != peer);
                gone.then_some("the learner is gone")
            }
            Step::TransferLeader { to } => {
                let unfit = !region.heirs().any(|store| store == to);
                unfit.then_some("the new leader is no voter that is up to date")
            }
            Step::RemovePeer { store } => {
                let leads = region.leader_store() == store;
                leads.then_some("the peer to be removed leads")
            }
        }
    }

    /// The order that makes the region's leader take this step. It carries the region's id and epoch and its leader, so
    /// that whoever is not meant, or is not as we think, ignores it.
    pub fn order(&self, region: &RegionInfo) -> RegionHeartbeatResponse {
        let (change_peer, transfer_leader) = self.wish(region);
        RegionHeartbeatResponse {
            region_id: region.id(),
            region_epoch: region.region.region_epoch,
            target_peer: region.leader,
            change_peer,
            transfer_leader,
            ..Default::default()
        }
    }

    /// What the order asks for: a peer to add, promote or remove, or a leader. A learner is added with its role and
    /// `AddLearnerNode`; `AddNode` adds a voter, or makes one of a learner; who is removed or shall lead is named as the
    /// region has it.
    fn wish(&self, region: &RegionInfo) -> (Option<ChangePeer>, Option<TransferLeader>) {
        // BEGIN SOLUTION 3C.steps
        let change = |peer, kind: ConfChangeType| {
            (Some(ChangePeer { peer: Some(peer), change_type: kind.into() }), None)
        };
        match *self {
            Step::AddLearner { store, peer } => {
                let peer = Peer { id: peer, store_id: store, role: PeerRole::Learner.into() };
                change(peer, ConfChangeType::AddLearnerNode)
            }
            Step::AddPeer { store, peer } | Step::PromoteLearner { store, peer } => {
                let peer = Peer { id: peer, store_id: store, ..Default::default() };
                change(peer, ConfChangeType::AddNode)
            }
            Step::RemovePeer { store } => {
                let peer = region.peer_on(store).copied().unwrap_or_default();
                change(peer, ConfChangeType::RemoveNode)
            }
            Step::TransferLeader { to } => {
                let peer = region.peer_on(to).copied();
                (None, Some(TransferLeader { peer, peers: Vec::new() }))
            }
        }
        // END SOLUTION
    }
}

/// `add learner 7 on s2`, `transfer to s3`.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Step::AddLearner { store, peer } => write!(f, "add learner {peer} on s{store}"),
            Step::AddPeer { store, peer } => write!(f, "add peer {peer} on s{store}"),
            Step::PromoteLearner { store, peer } => write!(f, "promote {peer} on s{store}"),
            Step::TransferLeader { to } => write!(f, "transfer to s{to}"),
            Step::RemovePeer { store } => write!(f, "remove from s{store}"),
        }
    }
}
