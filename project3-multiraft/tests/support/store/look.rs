//! What a store says about its insides.

use std::collections::BTreeSet;

use multiraft::membership::Node;
use multiraft::raftstore::Store;
use proto::metapb::Region;
use raftcore::Role as RaftRole;
use raftkv::node::RaftNode as _;
use raftkv::peer::Peer;
use raftkv::region::data_spans;
use sim::cluster::digest::{StateDigest, entry_digest};
use sim::cluster::protocol::{EntryView, Inspected, Look, Member, RegionView, Role};
use standalone::engine::{DATA_CFS, Direction, Engine};

pub fn inspect(store: &Store, kv: &Engine, look: &Look, shown: &mut BTreeSet<u64>) -> Inspected {
    let here: BTreeSet<u64> = store.peers().map(|(region, _)| region).collect();
    let removed = shown.difference(&here).copied().collect();
    let views = store.peers().filter_map(|(region, peer)| view(region, peer, kv, look));
    let regions = views.collect();
    *shown = here;
    Inspected { regions, removed }
}

fn view(region_id: u64, peer: &Peer<Node>, kv: &Engine, look: &Look) -> Option<RegionView> {
    let (status, region, node) = (peer.status(), peer.region(), peer.node());
    let log = &node.raft().log;
    if node.raw().has_snapshot() || peer.is_installing() {
        // Its log is a snapshot already, its data is not: neither is worth a word until both are.
        return None;
    }
    let initialised = !region.peers.is_empty();
    let truncated = node.storage().truncated();
    let truncated = (truncated.index, truncated.term);
    let asked = look.logs.iter().find(|(id, _)| *id == region_id).map_or(0, |(_, from)| *from);
    let from = asked.max(truncated.0 + 1);
    let entries = log.entries(from, u64::MAX).ok().flatten().unwrap_or_default();
    let before = from.min(status.last_index + 1) - 1;
    let conf = node.raft().conf_state();
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
        before: log.term(before).ok().flatten().unwrap_or(0),
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
