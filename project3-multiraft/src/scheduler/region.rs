//! One region, as its leader has told it.

use proto::metapb::{self, Peer, PeerRole, RegionEpoch};
use proto::pdpb::{PeerStats, RegionHeartbeatRequest};
use standalone::keys::TAIL_START;

/// A region, and what its leader said about it.
#[derive(Debug, Clone, PartialEq)]
pub struct RegionInfo {
    /// The region.
    pub region: metapb::Region,
    /// Who leads it; none is known until it was heard from in this life of the scheduler.
    pub leader: Option<Peer>,
    /// The leader's term; 0: unknown.
    pub term: u64,
    /// Peers that do not answer their leader.
    pub down: Vec<PeerStats>,
    /// Peers that are far behind.
    pub pending: Vec<Peer>,
    /// In bytes, at least 1: an empty region counts, so that empty ones are spread, too.
    pub size: u64,
}

impl RegionInfo {
    /// A region that nobody has reported yet.
    pub fn unheard(region: metapb::Region) -> Self {
        RegionInfo { region, leader: None, term: 0, down: Vec::new(), pending: Vec::new(), size: 1 }
    }

    /// What a heartbeat says; none if it lacks a region, an epoch, or a leader that is one of the peers, or if its
    /// range is no range.
    pub fn from_heartbeat(request: RegionHeartbeatRequest) -> Option<Self> {
        let (region, leader) = (request.region?, request.leader?);
        let range = region.end_key.is_empty() || region.start_key < region.end_key;
        let sound = region.id != 0 && region.region_epoch.is_some() && range;
        let led = region.peers.iter().any(|peer| peer.id == leader.id);
        (sound && led).then_some(RegionInfo {
            region,
            leader: Some(leader),
            term: request.term,
            down: request.down_peers,
            pending: request.pending_peers,
            size: request.approximate_size.max(1),
        })
    }

    /// Its id.
    pub fn id(&self) -> u64 {
        self.region.id
    }

    /// Its epoch.
    pub fn epoch(&self) -> RegionEpoch {
        self.region.region_epoch.unwrap_or_default()
    }

    /// The peer on a store.
    pub fn peer_on(&self, store: u64) -> Option<&Peer> {
        self.region.peers.iter().find(|peer| peer.store_id == store)
    }

    /// The store of the leader; 0 when nobody is known to lead.
    pub fn leader_store(&self) -> u64 {
        self.leader.map_or(0, |leader| leader.store_id)
    }

    /// Whether a peer is reported as far behind.
    pub fn is_pending(&self, peer: u64) -> bool {
        self.pending.iter().any(|pending| pending.id == peer)
    }

    /// Whether a peer is reported as silent.
    pub fn is_down(&self, peer: u64) -> bool {
        self.down.iter().any(|down| down.peer.is_some_and(|down| down.id == peer))
    }

    /// The stores with a voter that could lead: not silent, not far behind.
    pub fn heirs(&self) -> impl Iterator<Item = u64> {
        let fit =
            |peer: &&Peer| is_voter(peer) && !self.is_pending(peer.id) && !self.is_down(peer.id);
        self.region.peers.iter().filter(fit).map(|peer| peer.store_id)
    }

    /// Whether this is the tail, which never holds data (see [`standalone::keys`]).
    pub fn is_tail(&self) -> bool {
        self.region.start_key == TAIL_START[..]
    }

    /// Whether `key` lies in its range.
    pub fn contains(&self, key: &[u8]) -> bool {
        self.region.start_key <= key
            && (self.region.end_key.is_empty() || key < self.region.end_key)
    }
}

/// Whether a peer votes.
pub fn is_voter(peer: &Peer) -> bool {
    peer.role() != PeerRole::Learner
}
