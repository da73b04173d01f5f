//! Changes of members, and what an applied change means for the peer.
//!
//! An entry is *applied* in two steps. First it is executed into the batch that gathers for the data's next commit, and
//! [`Apply`] knows the region as the entry leaves it; those who only wrote are answered, unless somebody before them in
//! the log is not. When that batch is committed (synced, if a region has changed: R3), the peer learns of it: readers are
//! let in, the region, the members, the parts of a split. In between the peer is what it was, like one whose disk is slow;
//! what it proposes meanwhile is checked again when it is applied.

use bytes::Bytes;
use proto::eraftpb::{ConfChange, HardState};
use proto::metapb::{Peer as Member, Region};
use proto::raft_cmdpb::RaftRequestHeader;
use proto::raft_serverpb::PeerState;
use raftkv::apply::{Apply, ApplyResult, Compacted};
use raftkv::log_store::LogOp;
use raftkv::peer::{Peer, Write};
use raftkv::peer_storage::{self, INIT_INDEX, first_apply_state, put_region};
use raftkv::{Refusal, Result};

use super::admin::{self, Changed};
use super::replica::Replica;
use super::route::refusal_of;
use super::{Job, MultiStore, ToScheduler};
use crate::failpoints;
use crate::membership::MembershipNode;

impl<N: MembershipNode> MultiStore<N> {
    /// Applies what consensus has handed out, into the data that gathers.
    pub(super) fn apply_committed(&mut self, region: u64) -> Result<()> {
        for task in std::mem::take(&mut self.round.apply) {
            let here = self.replicas.get_mut(&region).filter(|replica| !replica.removed);
            let Some(replica) = here else { break };
            let mut result = replica.apply.apply(task, &mut self.data)?;
            self.unsynced.add(result.written, self.now);
            self.unsynced_regions.insert(region);
            let life = replica.life;
            let changes = |outcome: &Changed| !matches!(outcome, Changed::Compacted(_));
            if result.outcomes.iter().any(changes) {
                // R3: nobody hears of it before it is durable.
                self.resting.synced = true;
                replica.changing += 1;
                // On another store the parts of a split may have leaders before they have one here.
                replica.peer.node_mut().suspend_lease();
            }
            if result.outcomes.is_empty() && replica.unanswered == 0 {
                // A majority has these entries: their writers need not wait for the data. Behind a change they must, since
                // an entry that is refused for its sake tells of the change; and behind them all others, since whoever
                // waits before an entry that is answered has lost its place.
                replica.peer.answer(std::mem::take(&mut result.entries), &mut self.round);
            } else {
                replica.unanswered += 1;
            }
            for outcome in &result.outcomes {
                self.foresee(region, outcome);
            }
            self.resting.applied.push((region, life, result));
        }
        Ok(())
    }

    /// What must be in the very batch that holds a change.
    fn foresee(&mut self, region: u64, outcome: &Changed) {
        let own = |peer: &&Member| peer.store_id == self.config.store_id;
        match outcome {
            Changed::Compacted(_) => {}
            Changed::Members { region: after, .. } => {
                let removed = !after.peers.iter().any(|peer| own(&peer));
                if let Some(replica) = self.replicas.get_mut(&region) {
                    replica.removed |= removed;
                }
            }
            Changed::Split { regions } => {
                failpoints::reached("apply_before_split");
                for part in regions.iter().filter(|part| part.id != region) {
                    let Some(me) = part.peers.iter().find(own) else { continue };
                    if self.is_still_born(part.id, me.id) {
                        // It stays dead, whatever the split has written, and whenever the power goes.
                        let dead = self.remembers(part);
                        put_region(&mut self.data, &dead, PeerState::Tombstone);
                    }
                }
            }
        }
    }

    /// The data of this is committed: its peer learns of it.
    pub(super) fn applied(
        &mut self,
        region: u64,
        life: u64,
        mut result: ApplyResult<Changed>,
    ) -> Result<()> {
        // Not another peer that was born in its place meanwhile.
        let here = self.replicas.get_mut(&region).filter(|replica| replica.life == life);
        let Some(replica) = here else { return Ok(()) };
        replica.unanswered -= u32::from(!result.entries.is_empty());
        replica.grown += result.written;
        replica.written += result.written;
        replica.size += result.written;
        for observer in &mut self.observers {
            observer.applied(region, result.applied_index, result.written);
        }
        let outcomes = std::mem::take(&mut result.outcomes);
        // Consensus learns of its members before it learns that they are applied. And a read that waits for this index was
        // asked of the region as it was: it must not be let in to what is left of it.
        let mut changed = false;
        for outcome in &outcomes {
            match outcome {
                Changed::Compacted(_) => continue,
                Changed::Members { change, region: after } => {
                    Self::tell_node(replica, change)?;
                    replica.peer.set_region(after.clone(), &mut self.round);
                }
                Changed::Split { regions } => {
                    if let Some(kept) = regions.iter().find(|part| part.id == region) {
                        replica.peer.set_region(kept.clone(), &mut self.round);
                    }
                }
            }
            changed = true;
        }
        replica.changing -= u32::from(changed);
        if changed && replica.changing == 0 {
            replica.peer.node_mut().resume_lease();
        }
        replica.peer.on_applied(result, &mut self.round);
        let doomed = replica.doomed && replica.changing == 0;
        for outcome in outcomes {
            self.on_changed(region, outcome)?;
        }
        if doomed {
            self.destroy(region, None);
        }
        self.busy.insert(region);
        Ok(())
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
            Changed::Split { regions } => {
                self.on_split(region, regions)?;
                failpoints::reached("apply_after_split");
                Ok(())
            }
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

    /// The members of a region are others, durably. (Its peer and its consensus node know already.)
    ///
    /// You will need the map, and `heartbeat_in`: the scheduler and its clients learn of it from the next heartbeat. If this
    /// store's peer is no member any more, its life is over: `self.destroy`.
    fn on_members(&mut self, region: Region) {
        // BEGIN SOLUTION 3B.conf_change
        let id = region.id;
        let own = region.peers.iter().any(|peer| peer.store_id == self.config.store_id);
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        tracing::info!(region = id, epoch = ?region.region_epoch, "members changed");
        replica.heartbeat_in = 0;
        self.map.enter(region);
        if !own {
            self.destroy(id, None);
        }
        // END SOLUTION
    }

    /// A region is several now, durably: the one with the old id has shrunk (its peer knows already), and the peer of each of
    /// the others is born.
    ///
    /// You will need the map (in which order do you enter them, so that no two ever overlap?), and `self.born` for those
    /// that are new. If this store leads the old region, it should lead the new ones as well, at once: its clients are
    /// there. Nobody else knows them yet, so that campaigning is all it takes.
    fn on_split(&mut self, old: u64, regions: Vec<Region>) -> Result<()> {
        // BEGIN SOLUTION 3B.split_ready
        let Some(replica) = self.replicas.get_mut(&old) else { return Ok(()) };
        let leads = replica.leads();
        let share = replica.size / regions.len().max(1) as u64;
        (replica.size, replica.grown, replica.splitting) = (share, 0, None);
        replica.heartbeat_in = 0;
        if let Some(kept) = regions.iter().find(|region| region.id == old) {
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
    /// in the log), `self.after_data` and `self.born` for its first raft state, and `Replica::new`. The data's side is
    /// durable. If the one without data was asked for a vote, the new one keeps the question: the answer may have been on its way.
    fn born(&mut self, region: &Region, size: u64) -> Result<bool> {
        // BEGIN SOLUTION 3B.split_ready
        let own = |peer: &&proto::metapb::Peer| peer.store_id == self.config.store_id;
        let Some(me) = region.peers.iter().find(own).copied() else { return Ok(false) };
        if self.is_still_born(region.id, me.id) {
            return Ok(self.still_born(region, me.id));
        }
        let promised = match self.replicas.get(&region.id) {
            Some(blank) => *blank.peer.node().storage().raft_state(),
            None => self.log.state(region.id)?.unwrap_or_default(),
        };
        let asked = self.replicas.get_mut(&region.id).and_then(|blank| blank.asked.take());
        let promised: HardState = promised.hard_state.unwrap_or_default();
        let storage = peer_storage::born(self.log.clone(), region.clone(), promised);
        let state = *storage.raft_state();
        self.after_data.ops.push(LogOp::State { region: region.id, state });
        self.after_data.sync = true;
        let node = self.node(me.id, INIT_INDEX, storage)?;
        self.close_peer(region.id);
        self.tombstones.remove(&region.id);
        let peer = Peer::new(node, me, INIT_INDEX, self.hint_ticks());
        let apply = Apply::new(region.clone(), first_apply_state(), self.admin());
        let life = self.new_life();
        let mut replica = Replica::new(peer, apply, life, self.now);
        replica.size = size;
        replica.asked = asked;
        self.born.push((region.id, life, 0));
        self.replicas.insert(region.id, replica);
        self.map.enter(region.clone());
        self.busy.insert(region.id);
        Ok(true)
        // END SOLUTION
    }

    /// Whether the peer that a split would give us was removed before the split came here: another one has its place, or
    /// it died.
    fn is_still_born(&self, region: u64, peer: u64) -> bool {
        match self.replicas.get(&region) {
            Some(blank) => blank.me.id > peer,
            None => self.died_here(region, peer),
        }
    }

    /// What a tombstone says of a region that was split off after our peer of it had died.
    fn remembers(&self, region: &Region) -> Region {
        let conf_ver = |region: &Region| region.region_epoch.map_or(0, |epoch| epoch.conf_ver);
        let before = self.tombstones.get(&region.id);
        before.filter(|dead| conf_ver(dead) > conf_ver(region)).unwrap_or(region).clone()
    }

    /// What the split would have given to a dead peer is removed.
    fn still_born(&mut self, region: &Region, peer: u64) -> bool {
        let remembered = self.remembers(region);
        put_region(&mut self.data, &remembered, PeerState::Tombstone);
        self.resting.synced = true;
        self.tombstones.insert(region.id, remembered);
        self.burying.insert(region.id);
        self.resting.jobs.push(Job::Destroy(region.clone()));
        tracing::info!(region = region.id, peer, "split off, and was removed before");
        false
    }
}
