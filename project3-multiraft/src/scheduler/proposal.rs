//! What a scheduler says: not steps, but what it wants changed. How that is done safely is decided in one place.

use super::region::{RegionInfo, is_voter};
use super::step::Step;

/// What sort of plan, the less urgent first. A more urgent one takes a less urgent one's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Balance of leaders.
    Leader,
    /// Balance of peers.
    Region,
    /// Peers are missing, lost, or too many.
    Replica,
    /// A person or a tool has asked for it.
    Admin,
}

impl Kind {
    /// As `GetOperator` tells it.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Leader => "leader",
            Kind::Region => "region",
            Kind::Replica => "replica",
            Kind::Admin => "admin",
        }
    }
}

/// One thing to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// The peer on one store is built anew on another.
    Move {
        /// Where it is.
        from: u64,
        /// Where it shall be.
        to: u64,
    },
    /// One peer more.
    Add {
        /// Where.
        to: u64,
    },
    /// One peer less.
    Remove {
        /// Where it is.
        from: u64,
    },
    /// A learner that was left over gets its vote.
    Promote {
        /// Where it is.
        store: u64,
    },
    /// Another leader.
    Transfer {
        /// Where it is.
        to: u64,
    },
}

/// A wish for one region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
    /// Which.
    pub region: u64,
    /// What sort of plan.
    pub kind: Kind,
    /// What it is good for, for people: `balance-region`, `replace-down-replica`.
    pub why: &'static str,
    /// What to change, in this order.
    pub changes: Vec<Change>,
}

impl Proposal {
    /// The steps, new peers with ids from `ids`. Every change by itself keeps the group safe:
    ///
    /// - a move adds before it removes, as a learner first, which costs the group nothing while it has no data;
    /// - a leader is not removed: it hands over first, to the new peer or to another that could lead.
    pub fn steps(&self, region: &RegionInfo, mut ids: impl FnMut() -> u64) -> Vec<Step> {
        let mut steps = Vec::new();
        let mut leader = region.leader_store();
        for change in &self.changes {
            match *change {
                Change::Add { to } | Change::Move { to, .. } => {
                    let peer = ids();
                    steps.push(Step::AddLearner { store: to, peer });
                    steps.push(Step::PromoteLearner { store: to, peer });
                    if let Change::Move { from, .. } = *change {
                        if leader == from {
                            steps.push(Step::TransferLeader { to });
                            leader = to;
                        }
                        steps.push(Step::RemovePeer { store: from });
                    }
                }
                Change::Remove { from } => {
                    let heir = region.heirs().find(|&store| store != from);
                    if let Some(to) = heir.filter(|_| leader == from) {
                        steps.push(Step::TransferLeader { to });
                        leader = to;
                    }
                    steps.push(Step::RemovePeer { store: from });
                }
                Change::Promote { store } => {
                    let learner = region.peer_on(store).filter(|peer| !is_voter(peer));
                    steps.extend(learner.map(|peer| Step::PromoteLearner { store, peer: peer.id }));
                }
                Change::Transfer { to } => {
                    steps.push(Step::TransferLeader { to });
                    leader = to;
                }
            }
        }
        steps
    }
}
