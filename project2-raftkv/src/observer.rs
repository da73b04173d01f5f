//! Who wants to know what becomes of a peer: the solo PD (who leads?), and in later projects the scheduler and the
//! transaction layer.

use proto::metapb::{Peer, Region};

/// A peer as it is after a round.
#[derive(Debug, Clone, PartialEq)]
pub struct PeerView {
    /// The region.
    pub region: Region,
    /// The peer.
    pub me: Peer,
    /// The leader, if the peer is sure of it.
    pub leader: Option<Peer>,
    /// Whether it is this peer.
    pub is_leader: bool,
    /// The term.
    pub term: u64,
}

/// Is told. It runs in the store's loop, before anything of the round leaves it, so it must neither wait nor ask back.
pub trait PeerObserver: Send {
    /// Role, term, leader or region have changed.
    fn changed(&mut self, view: &PeerView);

    /// Entries up to `index` were applied, and wrote so many bytes of keys and values.
    fn applied(&mut self, region: u64, index: u64, written: u64) {
        let _ = (region, index, written);
    }
}
