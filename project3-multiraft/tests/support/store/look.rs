//! What a store says about its insides.

use std::collections::BTreeSet;

use multiraft::membership::{MembershipNode, Node};
use multiraft::raftstore::MultiStore;
use proto::eraftpb::Entry;
use proto::metapb::Region;
use raftcore::Role as RaftRole;
use raftkv::peer::Peer;
use raftkv::peer_storage::PeerStorage;
use raftkv::region::data_spans;
use sim::cluster::digest::{StateDigest, entry_digest};
use sim::cluster::protocol::{EntryView, Inspected, Look, Member, RegionView, Role};
use standalone::engine::{DATA_CFS, Direction, Engine};

/// A node whose log can be looked at. Ours is one; in `grader/oracle` raft-rs is another.
pub trait Shown: MembershipNode + Sized {
    /// A node on this log.
    fn make(config: raftcore::Config, log: PeerStorage) -> raftcore::Result<Self>;

    /// Its log from this index on, durable or not.
    fn entries_from(&self, index: u64) -> Vec<Entry>;

    /// The term of an entry; 0 if it is not there.
    fn term_of(&self, index: u64) -> u64;

    /// Whether a snapshot was restored, and no Ready has told so.
    fn has_snapshot(&self) -> bool;
}

impl Shown for Node {
    fn make(config: raftcore::Config, log: PeerStorage) -> raftcore::Result<Self> {
        Node::new(config, log)
    }

    fn entries_from(&self, index: u64) -> Vec<Entry> {
        self.raft().log.entries(index, u64::MAX).ok().flatten().unwrap_or_default()
    }

    fn term_of(&self, index: u64) -> u64 {
        self.raft().log.term(index).ok().flatten().unwrap_or(0)
    }

    fn has_snapshot(&self) -> bool {
        self.raw().has_snapshot()
    }
}

pub fn inspect<N: Shown>(
    store: &MultiStore<N>,
    kv: &Engine,
    look: &Look,
    shown: &mut BTreeSet<u64>,
) -> Inspected {
    let here: BTreeSet<u64> = store.peers().map(|(region, _)| region).collect();
    let removed = shown.difference(&here).copied().collect();
    let views = store.peers().filter_map(|(region, peer)| view(region, peer, kv, look));
    let regions = views.collect();
    *shown = here;
    Inspected { regions, removed }
}

fn view<N: Shown>(region_id: u64, peer: &Peer<N>, kv: &Engine, look: &Look) -> Option<RegionView> {
    let (status, region, node) = (peer.status(), peer.region(), peer.node());
    if node.has_snapshot() || peer.is_installing() {
        // Its log is a snapshot already, its data is not: neither is worth a word until both are.
        return None;
    }
    let initialised = !region.peers.is_empty();
    let truncated = node.storage().truncated();
    let truncated = (truncated.index, truncated.term);
    let asked = look.logs.iter().find(|(id, _)| *id == region_id).map_or(0, |(_, from)| *from);
    let from = asked.max(truncated.0 + 1);
    let entries = node.entries_from(from);
    let before = from.min(status.last_index + 1) - 1;
    let conf = node.conf_state();
    let member = |id: &u64| {
        let store = region.peers.iter().find(|peer| peer.id == *id).map_or(0, |p| p.store_id);
        Member { peer: *id, store }
    };
    let epoch = region.region_epoch.unwrap_or_default();
    let range = (region.start_key.to_vec().into(), region.end_key.to_vec().into());
    Some(RegionView {
        region: region_id,
        peer: peer.me().id,
        role: match status.role {
            RaftRole::Follower => Role::Follower,
            RaftRole::PreCandidate => Role::PreCandidate,
            RaftRole::Candidate => Role::Candidate,
            RaftRole::Leader => Role::Leader,
        },
        term: status.term,
        vote: status.vote,
        leader: status.leader_id,
        commit: status.committed,
        applied: peer.applied(),
        persisted: peer.persisted(),
        truncated,
        last: status.last_index,
        before: node.term_of(before),
        entries: entries
            .iter()
            .map(|entry| EntryView {
                index: entry.index,
                term: entry.term,
                digest: entry_digest(entry.entry_type, &entry.data, &entry.context),
            })
            .collect(),
        range: initialised.then_some(range),
        epoch: (epoch.conf_ver, epoch.version),
        voters: conf.voters.iter().map(member).collect(),
        outgoing: Vec::new(),
        learners: conf.learners.iter().map(member).collect(),
        digest: (look.digest && initialised).then(|| digest(region, kv)),
    })
}

fn digest(region: &Region, kv: &Engine) -> u64 {
    let mut digest = StateDigest::default();
    let Ok(view) = kv.snapshot() else { return 0 };
    for cf in DATA_CFS {
        for span in data_spans(region) {
            let Ok(mut cursor) = view.cursor(cf, span, Direction::Forward) else { return 0 };
            while cursor.advance().unwrap_or(false) {
                digest.add(cf, cursor.key(), cursor.value());
            }
        }
    }
    digest.finish()
}
