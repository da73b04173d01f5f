//! A region as a test wants it to be reported.

use proto::metapb::{self, Peer, PeerRole, RegionEpoch};
use proto::pdpb::{PeerStats, RegionHeartbeatRequest};

use super::world::{TAIL, TAIL_START};

/// The id of a region's peer on a store, in these tests.
pub fn peer_id(region: u64, store: u64) -> u64 {
    (1 << 40) + region * 1_000 + store
}

/// A region as a leader reports it, made in one line.
#[derive(Debug, Clone)]
#[expect(missing_docs, reason = "as in `pdpb.RegionHeartbeatRequest`")]
pub struct Shape {
    pub id: u64,
    pub start: Vec<u8>,
    pub end: Vec<u8>,
    pub version: u64,
    pub conf_ver: u64,
    pub peers: Vec<Peer>,
    /// By its store; 0: the first peer's.
    pub leader: u64,
    pub term: u64,
    pub size: u64,
    /// By store.
    pub pending: Vec<u64>,
    /// By store.
    pub down: Vec<u64>,
}

impl Shape {
    /// A region with this range at epoch 1:1, without peers.
    pub fn new(id: u64, start: &str, end: &str) -> Self {
        Shape {
            id,
            start: start.as_bytes().to_vec(),
            end: end.as_bytes().to_vec(),
            version: 1,
            conf_ver: 1,
            peers: Vec::new(),
            leader: 0,
            term: 5,
            size: 10,
            pending: Vec::new(),
            down: Vec::new(),
        }
    }

    /// The tail.
    pub fn tail(stores: &[u64]) -> Self {
        Shape { start: TAIL_START.to_vec(), size: 1, ..Shape::new(TAIL, "", "").at(2, 1) }
            .on(stores)
    }

    /// With voters on these stores; the first leads.
    #[must_use]
    pub fn on(mut self, stores: &[u64]) -> Self {
        let peer =
            |&store_id| Peer { id: peer_id(self.id, store_id), store_id, ..Default::default() };
        self.peers = stores.iter().map(peer).collect();
        self
    }

    /// At this version and `conf_ver`.
    #[must_use]
    pub fn at(self, version: u64, conf_ver: u64) -> Self {
        Shape { version, conf_ver, ..self }
    }

    /// With this leader, by its store.
    #[must_use]
    pub fn led_from(self, leader: u64) -> Self {
        Shape { leader, ..self }
    }

    /// Of this size, in mebibytes.
    #[must_use]
    pub fn of(self, size: u64) -> Self {
        Shape { size, ..self }
    }

    /// With a learner more.
    #[must_use]
    pub fn with_learner(mut self, store_id: u64, id: u64) -> Self {
        self.peers.push(Peer { id, store_id, role: PeerRole::Learner.into() });
        self
    }

    /// With a peer there that is far behind.
    #[must_use]
    pub fn pending_on(mut self, store: u64) -> Self {
        self.pending.push(store);
        self
    }

    /// The peer on a store.
    pub fn peer_on(&self, store: u64) -> Option<Peer> {
        self.peers.iter().find(|peer| peer.store_id == store).copied()
    }

    /// The leader's store.
    pub fn leader_store(&self) -> u64 {
        if self.leader != 0 {
            return self.leader;
        }
        self.peers.first().map_or(0, |peer| peer.store_id)
    }

    /// As metadata.
    pub fn region(&self) -> metapb::Region {
        metapb::Region {
            id: self.id,
            start_key: self.start.clone().into(),
            end_key: self.end.clone().into(),
            region_epoch: Some(RegionEpoch { conf_ver: self.conf_ver, version: self.version }),
            peers: self.peers.clone(),
        }
    }

    /// As a report.
    pub fn beat(&self) -> RegionHeartbeatRequest {
        let down = |store: &u64| PeerStats { peer: self.peer_on(*store), down_seconds: 60 };
        RegionHeartbeatRequest {
            region: Some(self.region()),
            leader: self.peer_on(self.leader_store()),
            term: self.term,
            approximate_size: self.size,
            pending_peers: self.pending.iter().filter_map(|&store| self.peer_on(store)).collect(),
            down_peers: self.down.iter().map(down).collect(),
            ..Default::default()
        }
    }
}

/// `r7 ["a", "b") at 3:2 on s1 s2 s3, led from s1`.
impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (start, end) = (self.start.escape_ascii(), self.end.escape_ascii());
        write!(
            f,
            "r{} [\"{start}\", \"{end}\") at {}:{} on",
            self.id, self.version, self.conf_ver
        )?;
        for peer in &self.peers {
            let role = if peer.role() == PeerRole::Learner { " (learner)" } else { "" };
            write!(f, " s{}{role}", peer.store_id)?;
        }
        write!(f, ", led from s{}", self.leader_store())
    }
}
