//! Snapshots that come and go: what the store keeps about each.

use std::collections::BTreeMap;
use std::mem;

use bytes::Bytes;
use proto::eraftpb::MessageType;
use proto::raft_serverpb::{PeerState, RaftApplyState, RaftMessage, RaftTruncatedState};
use standalone::engine::CF_DEFAULT;

use super::{Effect, JobDone, RegionJob, SnapStream, Store};
use crate::log_store::LogBatch;
use crate::node::RaftNode as _;
use crate::peer::Restore;
use crate::snapshot::{Admission, Incoming, Install, Received, label};
use crate::{Result, keys};

/// Snapshots under way.
#[derive(Default)]
pub(super) struct Transfers {
    incoming: Option<Incoming>,
    /// Bytes that lie staged for a snapshot that consensus has accepted.
    staged: u64,
    /// The installation that runs, or waits for the last parts to be committed, and what goes into the log when it is
    /// done.
    restoring: Option<(Install, LogBatch)>,
    /// It waits.
    restore_waits: bool,
    /// Ticks since a snapshot was sent to a store of which nothing was heard.
    sent: BTreeMap<u64, u64>,
    /// Ticks for which a built snapshot was held.
    held: u64,
}

impl Store {
    /// A part of a snapshot has come, with the message that it belongs to. Whoever received it has checked who sent it.
    ///
    /// # Errors
    /// The store is broken.
    pub fn snapshot_part(&mut self, message: RaftMessage, part: &Bytes) -> Result<()> {
        let snapshot = message.message.as_ref().and_then(|message| message.snapshot.as_ref());
        let kind = message.message.as_ref().map(proto::eraftpb::Message::msg_type);
        let Some((metadata, data)) = snapshot.and_then(label) else { return Ok(()) };
        let region = data.region.unwrap_or_default();
        let for_us = message.to_peer.is_some_and(|to| to.id == self.peer.me().id);
        if kind != Some(MessageType::MsgSnapshot) || !for_us || self.peer.is_installing() {
            return Ok(());
        }
        if metadata.index <= self.peer.status().committed {
            // Of no use, but its sender waits for a word. Consensus knows which; once is enough.
            let first = part.get(..4) == Some(&[0; 4]);
            return if first { self.peer.step_snapshot(message) } else { Ok(()) };
        }
        if region.id != message.region_id || self.gate.admit(&region, &metadata) != Admission::Now {
            return Ok(());
        }
        let at = (metadata.index, metadata.term);
        let incoming = self.transfers.incoming.take();
        let mut incoming = match incoming {
            Some(known) if known.at() > at => {
                // A late part of an older one.
                self.transfers.incoming = Some(known);
                return Ok(());
            }
            Some(known) if known.at() == at => known,
            other => {
                if other.is_some() {
                    self.forget_parts();
                }
                let Some(new) = Incoming::new(message.clone()) else { return Ok(()) };
                new
            }
        };
        match incoming.accept(message, part, &mut self.data) {
            Received::Waiting | Received::Damaged => self.transfers.incoming = Some(incoming),
            Received::Contradictory => self.forget_parts(),
            Received::Complete(message) => {
                self.transfers.staged = incoming.bytes();
                self.peer.step_snapshot(*message)?;
                if !self.peer.node().has_snapshot() {
                    // Consensus had no use for it.
                    self.forget_parts();
                }
            }
        }
        self.unsynced.add(part.len() as u64, self.now);
        Ok(())
    }

    fn forget_parts(&mut self) {
        self.data.delete_range(CF_DEFAULT, keys::snapshot_parts(self.peer.region().id));
        self.transfers.staged = 0;
    }

    /// Asks for the slow work of a round.
    pub(super) fn begin_transfers(&mut self, restore: Option<Restore>, build: bool) {
        if build {
            let (region, part_bytes) = (self.peer.region().id, self.config.part_bytes);
            self.outbox.push(Effect::Region(Box::new(RegionJob::Build { region, part_bytes })));
        }
        if let Some(Restore { install, then, .. }) = restore {
            let (bytes, at_once) = (self.transfers.staged, self.config.install_at_once);
            let install = Install { at_once, bytes, ..install };
            self.transfers.staged = 0;
            self.transfers.restoring = Some((install, then));
            self.transfers.restore_waits = true;
        }
        // The worker looks for the parts in the data, and finds what is committed.
        if self.committing.is_none()
            && mem::take(&mut self.transfers.restore_waits)
            && let Some((install, _)) = &self.transfers.restoring
        {
            self.outbox.push(Effect::Region(Box::new(RegionJob::Install(install.clone()))));
        }
    }

    /// The region worker has done a job.
    ///
    /// # Errors
    /// The store is broken.
    pub fn region_done(&mut self, done: JobDone) -> Result<()> {
        match done {
            JobDone::Built(source) => {
                if let Err(error) = &source {
                    tracing::warn!(%error, "could not build a snapshot");
                }
                self.transfers.held = 0;
                self.peer.node_mut().storage_mut().built(source.ok());
                Ok(())
            }
            JobDone::Installed(result) => {
                result?;
                self.installed();
                Ok(())
            }
        }
    }

    /// The data is there, durably: apply goes on from it, and the log's file is told.
    fn installed(&mut self) {
        let Some((install, then)) = self.transfers.restoring.take() else { return };
        let Some((metadata, data)) = label(&install.snapshot) else { return };
        let (index, term) = (metadata.index, metadata.term);
        let apply_state = RaftApplyState {
            applied_index: index,
            truncated_state: Some(RaftTruncatedState { index, term }),
            commit_index: index,
            commit_term: term,
        };
        let region = data.region.unwrap_or_default();
        tracing::info!(region = region.id, index, term, state = ?PeerState::Normal, "snapshot installed");
        self.apply.reset(region, apply_state);
        (self.durable_applied, self.gc_waits) = (index, None);
        self.unsynced.clear();
        let ready = self.peer.on_installed(index, &mut self.round);
        self.write_log(then, ready);
    }

    /// Consensus sends a snapshot: its parts go on a connection of their own.
    pub(super) fn stream(&mut self, message: RaftMessage) {
        let Some(to) = message.to_peer.map(|peer| peer.store_id) else { return };
        let snapshot = message.message.as_ref().and_then(|message| message.snapshot.as_ref());
        let metadata = snapshot.and_then(|snapshot| snapshot.metadata.as_ref());
        let index = metadata.map_or(0, |metadata| metadata.index);
        match self.peer.node().storage().source(index) {
            Some(source) => {
                self.transfers.sent.insert(to, 0);
                self.transfers.held = 0;
                self.outbox.push(Effect::Stream(Box::new(SnapStream { message, source })));
            }
            // It was let go in the meantime. Consensus will ask again.
            None => self.peer.snapshot_sent(to, false),
        }
    }

    /// The transport has brought a snapshot to this store, or has lost it.
    pub fn snapshot_sent(&mut self, to: u64, arrived: bool) {
        self.transfers.sent.remove(&to);
        self.peer.snapshot_sent(to, arrived);
    }

    /// Gives up on what takes too long.
    pub(super) fn tick_transfers(&mut self) {
        let patience = self.config.snapshot_patience;
        for (to, mut ticks) in mem::take(&mut self.transfers.sent) {
            ticks += 1;
            if ticks < patience {
                self.transfers.sent.insert(to, ticks);
            } else {
                // If it has arrived after all, its receiver has said so, and this changes nothing.
                self.peer.snapshot_sent(to, false);
            }
        }
        if self.peer.node().storage().holds_snapshot() && self.transfers.sent.is_empty() {
            self.transfers.held += 1;
            if self.transfers.held >= patience {
                self.peer.node_mut().storage_mut().release_snapshot();
            }
        }
    }
}
