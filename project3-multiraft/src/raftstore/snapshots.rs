//! Snapshots that come and go, and whether there is room for one.
//!
//! A snapshot brings a region with its range. If another region with data lies there, it must not be let in: two peers
//! would write to one range, and whoever dies first takes the other's data along. Most often it is the parent, whose split
//! has not been applied here yet; a moment later there will be room, or the peer is there already. So "later" is the
//! answer, and the sender tries again. If the one that is in the way is stale, it is asked to find out.

use std::sync::Arc;

use bytes::Bytes;
use proto::eraftpb::{MessageType, SnapshotMetadata};
use proto::metapb::Region;
use proto::raft_serverpb::{RaftApplyState, RaftMessage, RaftTruncatedState};
use raftkv::peer::Restore;
use raftkv::snapshot::{Admission, Incoming, Install, Received, SnapSource, label};
use raftkv::store::SnapStream;
use raftkv::{Result, keys};
use standalone::engine::CF_DEFAULT;

use super::effect::{Job, JobDone};
use super::map::overlaps;
use super::{Effect, MultiStore};
use crate::membership::MembershipNode;

impl<N: MembershipNode> MultiStore<N> {
    /// Whether the region that a snapshot brings may take its place on this store.
    ///
    /// You will need the map (who lies there, but for the region itself?), `self.claims` (what other snapshots are about to
    /// take), and the region's members: a snapshot that does not know our peer is of no use to it.
    fn gate(&mut self, region: &Region, _: &SnapshotMetadata) -> Admission {
        // BEGIN SOLUTION 3B.gate
        let Some(replica) = self.replicas.get(&region.id) else { return Admission::Later };
        if !replica_is_member(region, replica.me.id) {
            return Admission::Later;
        }
        let there = self.map.overlapping(&region.start_key, &region.end_key, region.id);
        let claimed = self
            .claims
            .iter()
            .any(|(other, (start, end))| *other != region.id && overlaps(region, start, end));
        if there.is_empty() && !claimed { Admission::Now } else { Admission::Later }
        // END SOLUTION
    }

    /// A part of a snapshot has come, with the message that it belongs to. Whoever received it has checked who sent it.
    ///
    /// # Errors
    /// The store is broken.
    pub fn snapshot_part(&mut self, message: RaftMessage, part: &Bytes) -> Result<()> {
        self.heard_store(message.from_peer.map_or(0, |from| from.store_id));
        let snapshot = message.message.as_ref().and_then(|message| message.snapshot.as_ref());
        let kind = message.message.as_ref().map(proto::eraftpb::Message::msg_type);
        let Some((metadata, data)) = snapshot.and_then(label) else { return Ok(()) };
        let region = data.region.unwrap_or_default();
        if kind != Some(MessageType::MsgSnapshot) || region.id != message.region_id {
            return Ok(());
        }
        let Some(message) = self.admit(message)? else { return Ok(()) };
        let id = region.id;
        let Some(replica) = self.replicas.get_mut(&id) else { return Ok(()) };
        if replica.peer.is_installing() || replica.transfers.offered || replica.changing > 0 {
            return Ok(());
        }
        self.busy.insert(id);
        if metadata.index <= replica.peer.status().committed {
            // Of no use, but its sender waits for a word. Consensus knows which; once is enough.
            let first = part.get(..4) == Some(&[0; 4]);
            return if first { replica.peer.step_snapshot(message) } else { Ok(()) };
        }
        if self.gate(&region, &metadata) != Admission::Now {
            return Ok(());
        }
        let Some(replica) = self.replicas.get_mut(&id) else { return Ok(()) };
        let at = (metadata.index, metadata.term);
        let mut incoming = match replica.transfers.incoming.take() {
            Some(known) if known.at() > at => {
                // A late part of an older one.
                replica.transfers.incoming = Some(known);
                return Ok(());
            }
            Some(known) if known.at() == at => known,
            _ => {
                // Whatever an earlier attempt, or an earlier life, has left.
                self.data.delete_range(CF_DEFAULT, keys::snapshot_parts(id));
                let Some(new) = Incoming::new(message.clone()) else { return Ok(()) };
                new
            }
        };
        match incoming.accept(message, part, &mut self.data) {
            Received::Waiting | Received::Damaged => replica.transfers.incoming = Some(incoming),
            Received::Contradictory => self.forget_parts(id),
            Received::Complete(message) => {
                replica.transfers.staged = incoming.bytes();
                replica.transfers.offered = true;
                let range = (region.start_key.to_vec(), region.end_key.to_vec());
                self.claims.insert(id, range);
                replica.peer.step_snapshot(*message)?;
            }
        }
        self.unsynced.add(part.len() as u64, self.now);
        Ok(())
    }

    fn forget_parts(&mut self, region: u64) {
        self.data.delete_range(CF_DEFAULT, keys::snapshot_parts(region));
        if let Some(replica) = self.replicas.get_mut(&region) {
            replica.transfers.staged = 0;
        }
    }

    /// Consensus has had its say about a snapshot that was offered to it.
    pub(super) fn begin_transfers(&mut self, region: u64, restore: Option<Restore>, build: bool) {
        let Some(replica) = self.replicas.get_mut(&region) else { return };
        let offered = std::mem::take(&mut replica.transfers.offered);
        if build {
            self.resting.jobs.push(Job::Build { region, part_bytes: self.config.part_bytes });
        }
        if let Some(Restore { install, then, .. }) = restore {
            let (bytes, at_once) = (replica.transfers.staged, self.config.install_at_once);
            let install = Install { at_once, bytes, ..install };
            replica.transfers.staged = 0;
            // Not the peer's word: its storage has the new one already.
            let before = self.map.get(region).cloned().unwrap_or_default();
            replica.transfers.restoring = Some((install.clone(), before, then));
            // Behind the parts, and behind what was applied before.
            self.resting.jobs.push(Job::Install(install));
        } else if offered {
            self.claims.remove(&region);
            self.forget_parts(region);
        }
    }

    /// The region worker has done a job.
    ///
    /// # Errors
    /// The store is broken.
    pub fn job_done(&mut self, done: JobDone) -> Result<()> {
        match done {
            JobDone::Built(region, source) => {
                if let Err(error) = &source {
                    tracing::warn!(region, %error, "could not build a snapshot");
                }
                if let Some(replica) = self.replicas.get_mut(&region) {
                    replica.transfers.held = 0;
                    // It was begun before the region changed: who is new in it could do nothing with it.
                    let epoch = replica.region().region_epoch;
                    let of_now = |source: &Arc<SnapSource>| {
                        label(source.snapshot()).is_some_and(|(_, data)| {
                            data.region.is_some_and(|region| region.region_epoch == epoch)
                        })
                    };
                    let source = source.ok().filter(of_now);
                    replica.peer.node_mut().storage_mut().built(source);
                    self.busy.insert(region);
                }
                Ok(())
            }
            JobDone::Installed(region, result) => {
                result?;
                self.installed(region);
                Ok(())
            }
            JobDone::Destroyed(region, result) => {
                result?;
                self.buried(region);
                Ok(())
            }
            JobDone::Swept(result) => result,
            JobDone::Measured(region, measured) => {
                self.measured(&region, measured?);
                Ok(())
            }
        }
    }

    /// The data is there, durably: apply goes on from it, the log's file is told, and the region has its place.
    fn installed(&mut self, id: u64) {
        let Some(replica) = self.replicas.get_mut(&id) else { return };
        let Some((install, before, then)) = replica.transfers.restoring.take() else { return };
        let Some((metadata, data)) = label(&install.snapshot) else { return };
        let (index, term) = (metadata.index, metadata.term);
        let apply_state = RaftApplyState {
            applied_index: index,
            truncated_state: Some(RaftTruncatedState { index, term }),
            commit_index: index,
            commit_term: term,
        };
        let region = data.region.unwrap_or_default();
        tracing::info!(region = id, index, term, "snapshot installed");
        replica.apply.reset(region.clone(), apply_state);
        (replica.durable_applied, replica.gc_waits) = (index, None);
        replica.grown = self.config.split_bytes;
        let ready = replica.peer.on_installed(index, &mut self.round);
        let (life, doomed) = (replica.life, replica.doomed);
        self.claims.remove(&id);
        self.tombstones.remove(&id);
        self.map.enter(region.clone());
        self.unsynced_regions.remove(&id);
        self.busy.insert(id);
        self.write_log(then, ready.map(|ready| (id, life, ready)).into_iter().collect());
        self.sweep_around(&before, &region);
        if doomed {
            self.destroy(id, None);
        }
    }

    /// What a region leaves behind by becoming smaller under a snapshot: its parts' data, which no peer here has.
    fn sweep_around(&mut self, before: &Region, after: &Region) {
        if before.peers.is_empty() {
            return;
        }
        let left = (before.start_key.clone(), after.start_key.clone());
        let right = (after.end_key.clone(), before.end_key.clone());
        for (start_key, end_key) in [left, right] {
            let nothing =
                start_key == end_key || (start_key.is_empty() && start_key == after.end_key);
            let free = self.map.overlapping(&start_key, &end_key, 0).is_empty();
            if !nothing && free {
                self.resting.jobs.push(Job::Sweep(Region { start_key, end_key, ..before.clone() }));
            }
        }
    }

    /// Consensus sends a snapshot: its parts go on a connection of their own.
    pub(super) fn stream(&mut self, message: RaftMessage) {
        let Some(to) = message.to_peer.map(|peer| peer.store_id) else { return };
        let snapshot = message.message.as_ref().and_then(|message| message.snapshot.as_ref());
        let metadata = snapshot.and_then(|snapshot| snapshot.metadata.as_ref());
        let index = metadata.map_or(0, |metadata| metadata.index);
        let Some(replica) = self.replicas.get_mut(&message.region_id) else { return };
        match replica.peer.node().storage().source(index) {
            Some(source) => {
                replica.transfers.sent.insert(to, 0);
                replica.transfers.held = 0;
                self.outbox.push(Effect::Stream(Box::new(SnapStream { message, source })));
            }
            // It was let go in the meantime. Consensus will ask again.
            None => replica.peer.snapshot_sent(to, false),
        }
    }

    /// The transport has brought this region's snapshot to that store, or has lost it.
    pub fn snapshot_sent(&mut self, region: u64, to: u64, arrived: bool) {
        if let Some(replica) = self.replicas.get_mut(&region) {
            replica.transfers.sent.remove(&to);
            replica.peer.snapshot_sent(to, arrived);
            self.busy.insert(region);
        }
    }

    /// The transport has lost whatever snapshots it had for that store.
    pub fn snapshots_lost(&mut self, to: u64) {
        let sent = |r: &super::Replica<N>| r.transfers.sent.contains_key(&to);
        let regions = self.replicas.iter().filter(|(_, replica)| sent(replica));
        let regions: Vec<u64> = regions.map(|(region, _)| *region).collect();
        for region in regions {
            self.snapshot_sent(region, to, false);
        }
    }

    /// Gives up on what takes too long.
    pub(super) fn tick_transfers(&mut self, region: u64) {
        let patience = self.config.snapshot_patience;
        let Some(replica) = self.replicas.get_mut(&region) else { return };
        for (to, mut ticks) in std::mem::take(&mut replica.transfers.sent) {
            ticks += 1;
            if ticks < patience {
                replica.transfers.sent.insert(to, ticks);
            } else {
                // If it has arrived after all, its receiver has said so, and this changes nothing.
                replica.peer.snapshot_sent(to, false);
            }
        }
        if replica.peer.node().storage().holds_snapshot() && replica.transfers.sent.is_empty() {
            replica.transfers.held += 1;
            if replica.transfers.held >= patience {
                replica.peer.node_mut().storage_mut().release_snapshot();
            }
        }
    }
}

fn replica_is_member(region: &Region, peer: u64) -> bool {
    region.peers.iter().any(|member| member.id == peer)
}
