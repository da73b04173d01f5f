//! What leaders tell the scheduler, and what it wants done.
//!
//! A leader tells how its region is: at once when it begins to lead or the region changes, since clients learn of it from the
//! scheduler only; and every now and then otherwise. The answer may be an *operator*: change a member, hand over, split.
//! An operator is made for the region as the scheduler knew it. One that comes too late is refused by the epoch; one that
//! is lost is sent again, with the next heartbeat. So nothing is remembered here.
//!
//! A region that has grown is measured by the region worker. If it is too large, the scheduler is asked for ids, and with
//! them the split is proposed.

use bytes::Bytes;
use proto::metapb::{Region, RegionEpoch};
use proto::pdpb;
use proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, BatchSplitRequest, ChangePeerRequest, RaftRequestHeader,
    SplitRequest, TransferLeaderRequest,
};

use super::split_check::Measured;
use super::{Job, MultiStore, ToScheduler, keys};
use crate::membership::MembershipNode;

/// Ticks after which a split that was asked for and did not happen is asked for again.
const SPLIT_PATIENCE: u64 = 100;

/// Seconds of silence after which a member is reported as down.
const DOWN_SECONDS: u64 = 10;

impl<N: MembershipNode> MultiStore<N> {
    /// Tells the scheduler, if it is time.
    pub(super) fn tick_heartbeat(&mut self, region: u64) {
        let every = self.config.heartbeat_ticks;
        let Some(replica) = self.replicas.get_mut(&region) else { return };
        if !replica.is_initialised() || !replica.leads() {
            replica.heartbeat_in = 0;
            return;
        }
        if replica.heartbeat_in > 0 {
            replica.heartbeat_in -= 1;
            return;
        }
        replica.heartbeat_in = every;
        let now = self.now;
        let status = replica.peer.status();
        let members = replica.peer.node().members();
        let here = replica.region().clone();
        let of = |id: u64| here.peers.iter().find(|peer| peer.id == id).copied();
        // Who lacks what the log has no more: it waits for a snapshot. (Under load everybody is a few entries behind, and
        // a scheduler that took them for pending would never move anything.)
        let cut = replica.peer.node().storage().truncated().index;
        let behind = members.iter().filter(|member| member.match_index < cut);
        let pending_peers = behind.filter_map(|member| of(member.id)).collect();
        let others = here.peers.iter().filter(|peer| peer.id != replica.me.id);
        let mut down_peers = Vec::new();
        for peer in others {
            let heard = *replica.heard.entry(peer.id).or_insert(now);
            let down_seconds = now.saturating_sub(heard) / 1_000_000;
            if down_seconds >= DOWN_SECONDS && !replica.sleep.asleep() {
                down_peers.push(pdpb::PeerStats { peer: Some(*peer), down_seconds });
            }
        }
        let heartbeat = pdpb::RegionHeartbeatRequest {
            leader: of(replica.me.id),
            region: Some(here.clone()),
            down_peers,
            pending_peers,
            bytes_written: std::mem::take(&mut replica.written),
            approximate_size: replica.size,
            term: status.term,
            ..Default::default()
        };
        self.to_scheduler.push(ToScheduler::Region(heartbeat));
    }

    /// The scheduler wants something done about a region that this store leads, as it thinks.
    ///
    /// You will need `self.header` (it knows whether the region is here, and as the scheduler saw it), `self.command`, and
    /// `self.ask_for_split` for a split: with the scheduler's keys if it names any, else where the middle is.
    pub fn operator(&mut self, operator: pdpb::RegionHeartbeatResponse) {
        // BEGIN SOLUTION 3B.operator
        self.wake(operator.region_id);
        let Some(header) = self.header(operator.region_id, operator.region_epoch) else { return };
        if let Some(change) = operator.change_peer {
            let change = ChangePeerRequest { change_type: change.change_type, peer: change.peer };
            let admin = AdminRequest {
                cmd_type: AdminCmdType::ChangePeer.into(),
                change_peer: Some(change),
                ..Default::default()
            };
            self.command(header, admin);
        }
        if let Some(transfer) = operator.transfer_leader {
            let request = TransferLeaderRequest { peer: transfer.peer, peers: transfer.peers };
            let admin = AdminRequest {
                cmd_type: AdminCmdType::TransferLeader.into(),
                transfer_leader: Some(request),
                ..Default::default()
            };
            self.command(header, admin);
        }
        if let Some(split) = operator.split_region {
            if split.keys.is_empty() {
                self.measure(operator.region_id, 0);
            } else {
                self.ask_for_split(operator.region_id, split.keys);
            }
        }
        // END SOLUTION
    }

    /// The header of a command of the scheduler's; `None` if it was made for a region that is not here, or not any more.
    fn header(&self, region: u64, epoch: Option<RegionEpoch>) -> Option<RaftRequestHeader> {
        let replica = self.replicas.get(&region)?;
        let here = replica.region().region_epoch;
        (replica.leads() && epoch == here).then(|| RaftRequestHeader {
            region_id: region,
            peer: Some(replica.me),
            region_epoch: epoch,
            ..Default::default()
        })
    }

    /// Wants a region cut at these positions: asks the scheduler for ids.
    pub fn ask_for_split(&mut self, region: u64, at: Vec<Bytes>) {
        let Some(replica) = self.replicas.get_mut(&region) else { return };
        let here = replica.region().clone();
        let inside =
            |key: &Bytes| *key > here.start_key && (here.end_key.is_empty() || *key < here.end_key);
        let mut at: Vec<Bytes> =
            at.into_iter().filter(|key| inside(key) && keys::is_boundary(key)).collect();
        at.sort();
        at.dedup();
        if at.is_empty() || !replica.leads() {
            return;
        }
        replica.splitting = Some(0);
        let split_count = u32::try_from(at.len()).unwrap_or(u32::MAX);
        replica.split_at = at;
        self.to_scheduler.push(ToScheduler::AskSplit(pdpb::AskBatchSplitRequest {
            region: Some(here),
            split_count,
            ..Default::default()
        }));
    }

    /// The scheduler has given ids for a split that was asked for in this region, as it was then.
    pub fn split_ids(&mut self, asked: &Region, ids: Vec<pdpb::SplitId>) {
        let Some(header) = self.header(asked.id, asked.region_epoch) else { return };
        let Some(replica) = self.replicas.get_mut(&asked.id) else { return };
        let at = std::mem::take(&mut replica.split_at);
        if at.is_empty() || at.len() != ids.len() {
            return;
        }
        let requests = at.into_iter().zip(ids).map(|(split_key, ids)| SplitRequest {
            split_key,
            new_region_id: ids.new_region_id,
            new_peer_ids: ids.new_peer_ids,
            ..Default::default()
        });
        let splits = BatchSplitRequest { requests: requests.collect(), right_derive: true };
        let admin = AdminRequest {
            cmd_type: AdminCmdType::BatchSplit.into(),
            splits: Some(splits),
            ..Default::default()
        };
        self.command(header, admin);
    }

    /// Measures a region that may have grown too large.
    pub(super) fn tick_split(&mut self, region: u64) {
        let Some(replica) = self.replicas.get_mut(&region) else { return };
        if let Some(ticks) = &mut replica.splitting {
            *ticks += 1;
            if *ticks < SPLIT_PATIENCE {
                return;
            }
            replica.splitting = None;
        }
        // A scan costs time; so it is not made before the region can have grown by a part of the limit.
        let grown = replica.grown >= (self.config.split_bytes / 16).max(1);
        if replica.leads() && grown && replica.size.max(replica.grown) >= self.config.split_bytes {
            self.measure(region, self.config.split_bytes);
        }
    }

    fn measure(&mut self, region: u64, split_bytes: u64) {
        let Some(replica) = self.replicas.get_mut(&region) else { return };
        replica.splitting = Some(0);
        replica.grown = 0;
        let region = replica.region().clone();
        self.resting.jobs.push(Job::SplitCheck { region, split_bytes });
        self.busy.insert(0);
    }

    /// The region worker has measured a region.
    pub(super) fn measured(&mut self, region: &Region, measured: Measured) {
        let Some(replica) = self.replicas.get_mut(&region.id) else { return };
        replica.splitting = None;
        if replica.region().region_epoch != region.region_epoch {
            return;
        }
        replica.size = measured.size;
        if let Some(middle) = measured.middle {
            self.ask_for_split(region.id, vec![middle.into()]);
        }
        self.busy.insert(region.id);
    }
}
