//! One peer of a store, and what the store keeps beside it.

use std::collections::BTreeMap;

use bytes::Bytes;
use proto::metapb::{self, Region};
use proto::raft_serverpb::RaftMessage;
use raftkv::apply::{Applied, Apply};
use raftkv::callback::Waiter;
use raftkv::log_store::LogBatch;
use raftkv::observer::PeerView;
use raftkv::peer::{Micros, Peer};
use raftkv::snapshot::{Incoming, Install};
use raftkv::store::desk::Desk;

use super::admin::RegionAdmin;
use super::sleep::Sleep;
use crate::membership::MembershipNode;

/// Snapshots of one region under way.
#[derive(Default)]
pub(super) struct Transfers {
    pub incoming: Option<Incoming>,
    /// Bytes that lie staged for a snapshot that was offered to consensus.
    pub staged: u64,
    /// A snapshot was offered to consensus: its next Ready says whether it wants it.
    pub offered: bool,
    /// The installation that runs, the region as it was before, and what goes into the log when it is done.
    pub restoring: Option<(Install, Region, LogBatch)>,
    /// Ticks since a snapshot was sent to a store of which nothing was heard.
    pub sent: BTreeMap<u64, u64>,
    /// Ticks for which a built snapshot was held.
    pub held: u64,
}

/// A peer with its apply, and the notes of its store.
pub(super) struct Replica<N: MembershipNode> {
    pub peer: Peer<N>,
    pub apply: Apply<RegionAdmin>,
    pub me: metapb::Peer,
    /// When this life began. Its node counts from there.
    pub began: Micros,
    /// Unique in the store's life: a peer that dies and one that is born in its place share neither.
    pub life: u64,
    /// The range that the latest first word claimed for a region of which nothing is here yet.
    pub claimed: (Vec<u8>, Vec<u8>),
    /// The store whose message gave birth to it; 0: a split did, or the disk.
    pub born_by: u64,
    /// The last request to vote that came to a peer without data. If a split makes it whole before its answer is durable,
    /// it is asked again.
    pub asked: Option<RaftMessage>,
    /// Requests that are held.
    pub desk: Desk,
    pub transfers: Transfers,
    /// How far the data is durable by itself. The log is never cut behind it.
    pub durable_applied: u64,
    /// The log may be cut up to here, once the data is synced.
    pub gc_waits: Option<u64>,
    /// A command to cut the log that is on its way.
    pub gc_proposed: Option<Waiter<Applied>>,
    /// Changes of the region that are applied, and on their way to the disk: until they are there the peer does not know
    /// of them. Meanwhile it takes no snapshot and does not die, for both would speak of the region as it was.
    pub changing: u32,
    /// How many results are applied and not answered yet. Nothing behind them is answered before.
    pub unanswered: u32,
    /// Its own removal is applied: nothing that comes after it in the log is its business any more.
    pub removed: bool,
    /// It is obsolete, and goes when its snapshot is installed, or its change is durable.
    pub doomed: bool,
    /// About how large the region is, in bytes: deltas of apply, corrected by scans.
    pub size: u64,
    /// Bytes written since the last scan, or since the last heartbeat.
    pub grown: u64,
    pub written: u64,
    /// A split is being prepared: ticks since.
    pub splitting: Option<u64>,
    /// Where to cut, as soon as there are ids.
    pub split_at: Vec<Bytes>,
    pub told: Option<PeerView>,
    /// Ticks until the next heartbeat.
    pub heartbeat_in: u64,
    /// When a leader last heard each member.
    pub heard: BTreeMap<u64, Micros>,
    pub sleep: Sleep,
}

impl<N: MembershipNode> Replica<N> {
    pub fn new(peer: Peer<N>, apply: Apply<RegionAdmin>, life: u64, began: Micros) -> Self {
        let (me, durable_applied) = (peer.me(), peer.applied());
        Replica {
            peer,
            apply,
            me,
            began,
            life,
            claimed: Default::default(),
            born_by: 0,
            asked: None,
            desk: Desk::default(),
            transfers: Transfers::default(),
            durable_applied,
            gc_waits: None,
            gc_proposed: None,
            changing: 0,
            unanswered: 0,
            removed: false,
            doomed: false,
            size: 0,
            grown: 0,
            written: 0,
            splitting: None,
            split_at: Vec::new(),
            told: None,
            heartbeat_in: 0,
            heard: BTreeMap::new(),
            sleep: Sleep::default(),
        }
    }

    /// The region as the last applied entry left it; without members as long as nothing is here.
    pub fn region(&self) -> &Region {
        self.peer.region()
    }

    /// Whether this peer has data: it knows its region.
    pub fn is_initialised(&self) -> bool {
        !self.region().peers.is_empty()
    }

    pub fn leads(&self) -> bool {
        self.peer.status().is_leader()
    }

    /// Whether a store's peer is a member as far as this peer knows.
    pub fn is_member(&self, peer: &metapb::Peer) -> bool {
        self.region().peers.iter().any(|member| member.id == peer.id)
    }

    pub fn conf_ver(&self) -> u64 {
        self.region().region_epoch.map_or(0, |epoch| epoch.conf_ver)
    }
}
