//! Snapshots on their way out: asked for by consensus, built elsewhere, kept for a while.
//!
//! Consensus asks with a plain call and cannot wait, so the first answer is "not yet". The slot remembers that
//! somebody wants one; the store has it built by the region worker, and the next question finds it here. One that is
//! older than the start of the log is of no use (its receiver would still lack entries) and is built anew.

use std::sync::Arc;

use proto::eraftpb::Snapshot;
use raftcore::StorageError;

use super::PeerStorage;
use crate::snapshot::SnapSource;

/// The snapshot of one peer.
#[derive(Debug, Default)]
pub enum SnapshotSlot {
    /// None, and nobody wants one.
    #[default]
    Empty,
    /// Somebody asked.
    Wanted,
    /// The region worker is at it.
    Building,
    /// Here it is. Holding it holds old pages of the database, so it is dropped after a while.
    Built(Arc<SnapSource>),
}

impl SnapshotSlot {
    pub(super) fn ask(&mut self, at_least: u64, _to: u64) -> Result<Snapshot, StorageError> {
        match self {
            SnapshotSlot::Built(source) if source.index() >= at_least => {
                return Ok(source.snapshot().clone());
            }
            SnapshotSlot::Wanted | SnapshotSlot::Building => {}
            SnapshotSlot::Empty | SnapshotSlot::Built(_) => *self = SnapshotSlot::Wanted,
        }
        Err(StorageError::SnapshotTemporarilyUnavailable)
    }
}

impl PeerStorage {
    /// True once after consensus has asked for a snapshot that is not there: it is being built from now on.
    pub fn begin_build(&mut self) -> bool {
        let slot = self.snapshots.get_mut();
        let wanted = matches!(slot, SnapshotSlot::Wanted);
        if wanted {
            *slot = SnapshotSlot::Building;
        }
        wanted
    }

    /// The snapshot that was being built is there, or could not be made: then the next question starts anew.
    pub fn built(&mut self, source: Option<Arc<SnapSource>>) {
        *self.snapshots.get_mut() = source.map_or(SnapshotSlot::Empty, SnapshotSlot::Built);
    }

    /// The built snapshot of this index, to be streamed.
    pub fn source(&self, index: u64) -> Option<Arc<SnapSource>> {
        match &*self.snapshots.borrow() {
            SnapshotSlot::Built(source) if source.index() == index => Some(source.clone()),
            _ => None,
        }
    }

    /// Lets a built snapshot go.
    pub fn release_snapshot(&mut self) {
        let slot = self.snapshots.get_mut();
        if matches!(slot, SnapshotSlot::Built(_)) {
            *slot = SnapshotSlot::Empty;
        }
    }

    /// Whether there is a built snapshot.
    pub fn holds_snapshot(&self) -> bool {
        matches!(&*self.snapshots.borrow(), SnapshotSlot::Built(_))
    }
}
