//! Changes of members, and what an applied change means for the peer.
//!
//! The entry is executed, its effect is in the round's batch. Now this store must become what it says, and nothing of
//! that may leave the store before the batch is durable (R3). So here state changes, and messages do not go: a peer
//! whose region has changed is left alone until the next round.

use bytes::Bytes;
use proto::eraftpb::{ConfChange, HardState};
use proto::metapb::Region;
use proto::raft_cmdpb::RaftRequestHeader;
use proto::raft_serverpb::PeerState;
use raftkv::apply::{Apply, Compacted};
use raftkv::log_store::LogOp;
use raftkv::peer::{Peer, Write};
use raftkv::peer_storage::{self, INIT_INDEX, first_apply_state, put_region};
use raftkv::{Refusal, Result};

use super::admin::{self, Changed};
use super::replica::Replica;
use super::route::refusal_of;
use super::{Job, MultiStore, ToScheduler};
use crate::membership::MembershipNode;

impl<N: MembershipNode> MultiStore<N> {
    /// Applies what consensus has handed out, into the round's one batch of data. Returns whether this peer must be left
    /// alone for the rest of the round.
    pub(super) fn apply_committed(&mut self, region: u64) -> Result<bool> {
        let mut changed = false;
        for task in std::mem::take(&mut self.round.apply) {
            let Some(replica) = self.replicas.get_mut(&region) else { break };
            let mut result = replica.apply.apply(task, &mut self.data)?;
            self.unsynced += result.written;
            self.unsynced_regions.insert(region);
            replica.grown += result.written;
            replica.written += result.written;
            replica.size += result.written;
            for observer in &mut self.observers {
                observer.applied(region, result.applied_index, result.written);
            }
            let outcomes = std::mem::take(&mut result.outcomes);
            // Consensus learns of its members before it learns that they are applied.
            for outcome in &outcomes {
                if let Changed::Members { change, .. } = outcome {
                    Self::tell_node(replica, change)?;
                }
            }
            replica.peer.on_applied(result, &mut self.round);
            for outcome in outcomes {
                changed |= !matches!(outcome, Changed::Compacted(_));
                self.on_changed(region, outcome)?;
            }
        }
        Ok(changed)
    }

    fn tell_node(replica: &mut Replica<N>, change: &ConfChange) -> Result<()> {
        let plain = ConfChange { context: Bytes::new(), ..change.clone() };
        match replica.peer.node_mut().apply_conf_change(&plain) {
            Ok(_) => Ok(()),
            Err(crate::membership::Error::Raft(error)) => Err(error.into()),
            Err(error) => Err(raftkv::Error::Corrupt(format!(
                "region {}: consensus refuses a change that was applied: {error}",
                replica.region().id
            ))),
        }
    }

    fn on_changed(&mut self, region: u64, outcome: Changed) -> Result<()> {
        match outcome {
            Changed::Compacted(Compacted(truncated)) => {
                if let Some(replica) = self.replicas.get_mut(&region) {
                    replica.peer.on_compacted(truncated);
                    replica.gc_waits = Some(truncated.index);
                }
                Ok(())
            }
            Changed::Members { region: after, .. } => {
                self.on_members(after);
                Ok(())
            }
            Changed::Split { regions } => self.on_split(region, regions),
        }
    }

    /// A change of members becomes an entry of its own kind.
    ///
    /// You will need `admin::conf_change`, `node_mut().propose_conf_change`, `refusal_of` for its errors, and `Peer::expect`:
    /// under which index and term will the fate of this entry be known?
    pub(super) fn change_members(
        &mut self,
        header: RaftRequestHeader,
        write: Write,
    ) -> Option<(Refusal, Write)> {
        // BEGIN SOLUTION 3B.conf_change
        let replica = self.replicas.get_mut(&header.region_id)?;
        let admin = write.request.admin_request.as_ref();
        let request = admin.and_then(|admin| admin.change_peer).unwrap_or_default();
        let change = admin::conf_change(&write.request, &request);
        if let Err(error) = replica.peer.node_mut().propose_conf_change(&change) {
            return Some((refusal_of(error), write));
        }
        let status = replica.peer.status();
        replica.peer.expect((status.last_index, status.term), write.callback, write.deadline);
        None
        // END SOLUTION
    }

    /// The members of a region are others. (Its consensus node knows already.)
    ///
    /// You will need `Peer::set_region`, the map, and `self.must_sync`: who may hear of it before it is durable? If this
    /// store's peer is no member any more, its life is over: `self.destroy`.
    fn on_members(&mut self, region: Region) {
        // BEGIN SOLUTION 3B.conf_change
        let id = region.id;
        // R3.
        self.must_sync = true;
        let own = region.peers.iter().any(|peer| peer.store_id == self.config.store_id);
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        tracing::info!(region = id, epoch = ?region.region_epoch, "members changed");
        replica.peer.set_region(region.clone(), &mut self.round);
        replica.heartbeat_in = 0;
        self.map.enter(region);
        if !own {
            self.destroy(id, None);
        }
        // END SOLUTION
    }

    /// A region is several now: the peer of the one with the old id shrinks, and each of the others is born.
    ///
    /// You will need `Peer::set_region`, the map (in which order do you enter them, so that no two ever overlap?), and
    /// `self.born` for those that are new. If this store leads the old region, it should lead the new ones as well, at
    /// once: its clients are there. Nobody else knows them yet, so that campaigning is all it takes.
    fn on_split(&mut self, old: u64, regions: Vec<Region>) -> Result<()> {
        // BEGIN SOLUTION 3B.split_ready
        self.must_sync = true;
        let Some(replica) = self.replicas.get_mut(&old) else { return Ok(()) };
        let leads = replica.leads();
        let share = replica.size / regions.len().max(1) as u64;
        (replica.size, replica.grown, replica.splitting) = (share, 0, None);
        replica.heartbeat_in = 0;
        if let Some(kept) = regions.iter().find(|region| region.id == old) {
            replica.peer.set_region(kept.clone(), &mut self.round);
            self.map.enter(kept.clone());
        }
        for region in regions.iter().filter(|region| region.id != old) {
            tracing::info!(from = old, region = region.id, "split");
            if !self.born(region, share)? {
                continue;
            }
            if leads {
                self.campaign(region.id)?;
            }
        }
        if leads {
            let regions = regions.clone();
            let report = proto::pdpb::ReportBatchSplitRequest { regions, ..Default::default() };
            self.to_scheduler.push(ToScheduler::ReportSplit(report));
        }
        Ok(())
        // END SOLUTION
    }

    /// The peer of a region that a split has made. False: it had died here before it was born, and stays dead.
    ///
    /// You will need `peer_storage::born` with what an uninitialised peer may have promised (in memory, if it lives; else
    /// in the log), `self.after_data` and `self.born` for its first raft state, and `Replica::new`. The data's side is in the
    /// batch. If the one without data was asked for a vote, the new one keeps the question: the answer may have been on its way.
    fn born(&mut self, region: &Region, size: u64) -> Result<bool> {
        // BEGIN SOLUTION 3B.split_ready
        let own = |peer: &&proto::metapb::Peer| peer.store_id == self.config.store_id;
        let Some(me) = region.peers.iter().find(own).copied() else { return Ok(false) };
        let promised = match self.replicas.get(&region.id) {
            Some(blank) if blank.me.id > me.id => return Ok(self.still_born(region, me.id)),
            Some(blank) => *blank.peer.node().storage().raft_state(),
            None if self.died_here(region.id, me.id) => return Ok(self.still_born(region, me.id)),
            None => self.log.state(region.id)?.unwrap_or_default(),
        };
        let asked = self.replicas.get_mut(&region.id).and_then(|blank| blank.asked.take());
        self.close_peer(region.id);
        self.tombstones.remove(&region.id);
        let promised: HardState = promised.hard_state.unwrap_or_default();
        let storage = peer_storage::born(self.log.clone(), region.clone(), promised);
        let state = *storage.raft_state();
        self.after_data.ops.push(LogOp::State { region: region.id, state });
        self.after_data.sync = true;
        let node = self.node(me.id, INIT_INDEX, storage)?;
        let peer = Peer::new(node, me, INIT_INDEX, self.hint_ticks());
        let apply = Apply::new(region.clone(), first_apply_state(), self.admin());
        let life = self.new_life();
        let mut replica = Replica::new(peer, apply, life);
        replica.size = size;
        replica.asked = asked;
        self.born.push((region.id, life, 0));
        self.replicas.insert(region.id, replica);
        self.map.enter(region.clone());
        self.busy.insert(region.id);
        Ok(true)
        // END SOLUTION
    }

    /// The peer that a split would give us was removed before the split came here: what it would have is removed, too.
    fn still_born(&mut self, region: &Region, peer: u64) -> bool {
        let before = self.tombstones.get(&region.id);
        let conf_ver = |region: &Region| region.region_epoch.map_or(0, |epoch| epoch.conf_ver);
        let newer = before.is_some_and(|dead| conf_ver(dead) > conf_ver(region));
        let remembered = before.filter(|_| newer).unwrap_or(region).clone();
        put_region(&mut self.data, &remembered, PeerState::Tombstone);
        self.tombstones.insert(region.id, remembered);
        self.burying.insert(region.id);
        self.job(Job::Destroy(region.clone()));
        tracing::info!(region = region.id, peer, "split off, and was removed before");
        false
    }
}
