//! What a store tells people about its peers. Nothing decides by it.

use proto::metapb::{Peer, Region};

use super::MultiStore;
use crate::membership::{MemberStatus, MembershipNode};

/// A peer, as it is now.
#[derive(Debug, Clone)]
pub struct PeerReport {
    /// Its region; without members where nothing is here yet.
    pub region: Region,
    /// The peer.
    pub me: Peer,
    /// The member that it takes for the leader.
    pub leader: Option<Peer>,
    /// Whether it leads.
    pub leads: bool,
    /// The term.
    pub term: u64,
    /// Where its log ends.
    pub last_index: u64,
    /// Up to where it is committed, as far as it knows.
    pub committed: u64,
    /// Up to where it is in the data.
    pub applied: u64,
    /// About how large the region is, in bytes.
    pub size: u64,
    /// Whether it sleeps.
    pub asleep: bool,
    /// On a leader: how far each member is, itself included.
    pub members: Vec<MemberStatus>,
}

impl PeerReport {
    /// How many entries a member is behind the end of the leader's log; none where this peer does not lead.
    pub fn lag(&self, peer: u64) -> Option<u64> {
        let member = self.members.iter().find(|member| member.id == peer)?;
        Some(self.last_index.saturating_sub(member.match_index))
    }
}

impl<N: MembershipNode> MultiStore<N> {
    /// All peers, by region. Costs a copy of each: it is made when somebody looks.
    pub fn look(&self) -> Vec<PeerReport> {
        let report = |replica: &super::Replica<N>| {
            let status = replica.peer.status();
            let region = replica.region().clone();
            PeerReport {
                leader: region.peers.iter().find(|peer| peer.id == status.leader_id).copied(),
                region,
                me: replica.me,
                leads: status.is_leader(),
                term: status.term,
                last_index: status.last_index,
                committed: status.committed,
                applied: replica.peer.applied(),
                size: replica.size,
                asleep: replica.sleep.asleep(),
                members: replica.peer.node().members(),
            }
        };
        self.replicas.values().map(report).collect()
    }
}
