//! Peers that must go: their own removal is applied, somebody who knows better says so, or another was put in their place.
//!
//! ```text
//!   1. kv    tombstone, durably          from now on this peer id is dead here, whatever arrives
//!   2. log   cleared                     never before 1: the log holds the vote
//!   3. kv    the data, in pieces; with the last of it the apply state, durably
//! ```
//!
//! Each begins when the one before it is durable. A crash behind 1 leaves a tombstone with an apply state: at the next start
//! the rest is done again. Until 3 is over nobody is born in the region, or the clearing would meet a new peer's log.

use proto::metapb::{Region, RegionEpoch};
use proto::raft_serverpb::PeerState;
use raftkv::log_store::LogOp;
use raftkv::peer_storage::put_region;

use super::{Job, MultiStore};
use crate::membership::MembershipNode;

impl<N: MembershipNode> MultiStore<N> {
    /// This peer's life is over. `told` is the epoch of who said so, if that was not the log.
    ///
    /// You will need `self.close_peer` (it answers whoever waits), `remembered`, `put_region` with a tombstone into
    /// `self.data`, and [`Job::Destroy`]. What must be durable before what? What rests on the data's next commit goes into
    /// `self.resting`: changes of the log, jobs, and whether it must be synced at all. One whose snapshot is being
    /// installed goes when that is done: the installation would write over its tombstone. And one whose region is changing
    /// goes when that is durable: only then does it know what it leaves behind. For both there is `doomed`.
    pub(super) fn destroy(&mut self, region: u64, told: Option<RegionEpoch>) {
        // BEGIN SOLUTION 3B.destroy
        let Some(replica) = self.replicas.get_mut(&region) else { return };
        if replica.peer.is_installing() || replica.changing > 0 {
            replica.doomed = true;
            return;
        }
        let dead = replica.region().clone();
        let tombstone = remembered(&dead, replica.me, told);
        tracing::info!(region, peer = replica.me.id, epoch = ?tombstone.region_epoch, "destroyed");
        self.close_peer(region);
        put_region(&mut self.data, &tombstone, PeerState::Tombstone);
        self.resting.synced = true;
        self.tombstones.insert(region, tombstone);
        self.resting.log.ops.push(LogOp::Clear { region });
        self.resting.log.sync = true;
        self.burying.insert(region);
        self.resting.jobs.push(Job::Destroy(dead));
        // END SOLUTION
    }

    /// Takes a peer out of the store, and answers all that waits for it.
    pub(super) fn close_peer(&mut self, region: u64) {
        let Some(mut replica) = self.replicas.remove(&region) else { return };
        replica.peer.close(&mut self.round);
        while let Some((_, request)) = replica.desk.pop() {
            self.refuse(raftkv::region::region_not_found(region), request);
        }
        self.map.remove(region);
        self.claims.remove(&region);
        self.unsynced_regions.remove(&region);
        self.busy.remove(&region);
    }

    /// The data of a dead peer is gone.
    pub(super) fn buried(&mut self, region: u64) {
        self.burying.remove(&region);
    }
}

/// Whether a tombstone knows who was a member at its epoch, and so may tell others that they are none. One whose peer died
/// because somebody said so, from a configuration that it never saw, does not: who is a member there may have been added
/// after all that it has seen.
pub(super) fn knows_members(tombstone: &Region) -> bool {
    tombstone.peers.len() > 1
}

/// What a tombstone remembers: the region as it was last known, the dead peer among its members, and the newest epoch that
/// anybody has told of (as far as the members go). At an epoch that it was only told of it knows of no other member.
pub(super) fn remembered(
    region: &Region,
    me: proto::metapb::Peer,
    told: Option<RegionEpoch>,
) -> Region {
    let mut tombstone = region.clone();
    if let Some(told) = told {
        // Not the version: a peer without data has no range, and must not seem to have one.
        let epoch = tombstone.region_epoch.get_or_insert_default();
        if told.conf_ver > epoch.conf_ver {
            epoch.conf_ver = told.conf_ver;
            tombstone.peers.clear();
        }
    }
    tombstone.peers.retain(|peer| peer.store_id != me.store_id);
    tombstone.peers.push(me);
    tombstone
}
