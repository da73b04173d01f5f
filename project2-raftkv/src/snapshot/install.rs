//! Installing a snapshot: the old data goes, the new data comes, and nobody ever sees half of it.
//!
//! A small one is a single durable transaction: old data out, parts in, region, apply state, truncated state, and the
//! copy of the raft state. A large one would hold the engine's only writer for seconds, and so comes in pieces:
//!
//! ```text
//!   Applying (durable) -> clear old data -> part 0 in, its staging out -> part 1 ... -> Normal (durable)
//! ```
//!
//! Each arrow is a transaction, and the engine falls back to one of them after a crash. Which one can be told from
//! what is staged: as long as part 0 is there, nothing was loaded, and clearing again is harmless; when it is gone,
//! clearing is done, and loading goes on with the first part that is left. So [`resume`] needs no notes but the label.
//!
//! What must follow, in this order, is the store's: the log's file is told (cleared, and the same raft state), and only
//! then is the leader answered. If the crash comes in between, the copy beside the data is ahead of the log's file, and
//! `peer_storage::open` puts it in its place.

use prost::Message as _;
use proto::eraftpb;
use proto::metapb::Region;
use proto::raft_serverpb::{PeerState, RaftApplyState, RaftLocalState, RaftTruncatedState};
use standalone::engine::{
    CF_DEFAULT, DATA_CFS, Direction, Durability, Engine, Snapshot, WriteBatch,
};

use super::{label, part};
use crate::error::Error;
use crate::peer_storage::{load, put_region};
use crate::region::data_spans;
use crate::{Result, keys};

/// Keys that one transaction removes, at most, when a region is cleared in pieces.
const CLEAR_KEYS: u64 = 16 << 10;

/// A snapshot whose parts are staged and which Raft has accepted: the work that makes it the region's data.
#[derive(Debug, Clone, PartialEq)]
pub struct Install {
    /// The region.
    pub region_id: u64,
    /// The label.
    pub snapshot: eraftpb::Snapshot,
    /// The raft state as it will be in the log's file: commit and last index are those of the snapshot.
    pub raft_state: RaftLocalState,
    /// Up to so many staged bytes go in at once.
    pub at_once: u64,
    /// How many bytes are staged.
    pub bytes: u64,
}

impl Install {
    /// Does it, to the end: the data is durable on return. Run it off the loop.
    ///
    /// You will need [`Install::finish`], and `pieces` for what is too large; the store has made sure that all parts
    /// are staged. The small one takes a single [`Engine::write`].
    ///
    /// # Errors
    /// The disk's, and damage. The store must stop then; the next start resumes.
    pub fn run(&self, kv: &Engine) -> Result<()> {
        // BEGIN SOLUTION 2CB.snap_install
        let (_, data) = label(&self.snapshot).ok_or_else(unlabelled)?;
        let region = data.region.ok_or_else(unlabelled)?;
        let view = kv.snapshot()?;
        let mut batch = WriteBatch::new();
        if self.bytes <= self.at_once && is_small(&view, &region)? {
            for cf in DATA_CFS {
                for span in data_spans(&region) {
                    batch.delete_range(cf, span);
                }
            }
            let mut staged =
                view.cursor(CF_DEFAULT, keys::snapshot_parts(self.region_id), Direction::Forward)?;
            while staged.advance()? {
                load_part(&mut batch, staged.value())?;
            }
        } else {
            drop(view);
            put_region(&mut batch, &region, PeerState::Applying);
            batch.put(
                CF_DEFAULT,
                keys::snapshot_install_key(self.region_id),
                self.snapshot.encode_to_vec(),
            );
            let raft_state = self.raft_state.encode_to_vec();
            batch.put(CF_DEFAULT, keys::snapshot_raft_state_key(self.region_id), raft_state);
            kv.write(&batch, Durability::Immediate)?;
            pieces(kv, &region)?;
            batch = WriteBatch::default();
        }
        self.finish(&mut batch, &region)?;
        Ok(kv.write(&batch, Durability::Immediate)?)
        // END SOLUTION
    }

    /// Adds what makes the installed data valid: the peer is normal, and applied up to the snapshot.
    fn finish(&self, batch: &mut WriteBatch, region: &Region) -> Result<()> {
        let (metadata, _) = label(&self.snapshot).ok_or_else(unlabelled)?;
        let (index, term) = (metadata.index, metadata.term);
        let apply_state = RaftApplyState {
            applied_index: index,
            truncated_state: Some(RaftTruncatedState { index, term }),
            commit_index: index,
            commit_term: term,
        };
        let id = self.region_id;
        batch.delete_range(CF_DEFAULT, keys::snapshot_parts(id));
        batch.delete(CF_DEFAULT, keys::snapshot_install_key(id));
        batch.put(CF_DEFAULT, keys::apply_state_key(id), apply_state.encode_to_vec());
        let raft_state = self.raft_state.encode_to_vec();
        batch.put(CF_DEFAULT, keys::snapshot_raft_state_key(id), raft_state);
        put_region(batch, region, PeerState::Normal);
        Ok(())
    }
}

/// Finishes an installation that a crash cut short, and removes staged parts that nobody will ask for. To be called
/// before a region is opened.
///
/// # Errors
/// The disk's, and damage.
pub fn resume(kv: &Engine, region_id: u64) -> Result<()> {
    let view = kv.snapshot()?;
    let key = keys::snapshot_install_key(region_id);
    let snapshot: Option<eraftpb::Snapshot> = load(&view, &key, "a snapshot's label")?;
    let Some(snapshot) = snapshot else {
        let mut batch = WriteBatch::new();
        let parts = keys::snapshot_parts(region_id);
        if view.cursor(CF_DEFAULT, parts.clone(), Direction::Forward)?.advance()? {
            batch.delete_range(CF_DEFAULT, parts);
        }
        return Ok(kv.write(&batch, Durability::None)?);
    };
    let key = keys::snapshot_raft_state_key(region_id);
    let raft_state: RaftLocalState = load(&view, &key, "a snapshot's raft state")?
        .ok_or_else(|| Error::Corrupt("a snapshot without its raft state".into()))?;
    drop(view);
    let (_, data) = label(&snapshot).ok_or_else(unlabelled)?;
    let region = data.region.ok_or_else(unlabelled)?;
    pieces(kv, &region)?;
    let mut batch = WriteBatch::new();
    let install = Install { region_id, snapshot, raft_state, at_once: 0, bytes: 0 };
    install.finish(&mut batch, &region)?;
    Ok(kv.write(&batch, Durability::Immediate)?)
}

/// Clears and loads, or goes on where it was cut short.
fn pieces(kv: &Engine, region: &Region) -> Result<()> {
    let first = keys::snapshot_part_key(region.id, 0);
    if kv.snapshot()?.get(CF_DEFAULT, &first)?.is_some() {
        while clear_some(kv, region)? {}
    }
    while load_one(kv, region.id)? {}
    Ok(())
}

/// Removes some old data; false when nothing is left.
fn clear_some(kv: &Engine, region: &Region) -> Result<bool> {
    let view = kv.snapshot()?;
    let (mut batch, mut left) = (WriteBatch::new(), CLEAR_KEYS);
    for cf in DATA_CFS {
        for span in data_spans(region) {
            let mut cursor = view.cursor(cf, span, Direction::Forward)?;
            while left > 0 && cursor.advance()? {
                batch.delete(cf, cursor.key().to_vec());
                left -= 1;
            }
        }
    }
    drop(view);
    kv.write(&batch, Durability::None)?;
    Ok(!batch.is_empty())
}

/// Moves the first staged part into the data; false when there is none.
fn load_one(kv: &Engine, region_id: u64) -> Result<bool> {
    let mut batch = WriteBatch::new();
    let view = kv.snapshot()?;
    let mut staged =
        view.cursor(CF_DEFAULT, keys::snapshot_parts(region_id), Direction::Forward)?;
    if !staged.advance()? {
        return Ok(false);
    }
    load_part(&mut batch, staged.value())?;
    batch.delete(CF_DEFAULT, staged.key().to_vec());
    kv.write(&batch, Durability::None)?;
    Ok(true)
}

fn load_part(batch: &mut WriteBatch, body: &[u8]) -> Result<()> {
    let damaged = || Error::Corrupt("a staged part of a snapshot".into());
    let cf = part::cf(body).ok_or_else(damaged)?;
    for (key, value) in part::pairs(body).ok_or_else(damaged)? {
        batch.put(cf, key, value);
    }
    Ok(())
}

fn is_small(view: &Snapshot, region: &Region) -> Result<bool> {
    for cf in DATA_CFS {
        for span in data_spans(region) {
            if !view.measure(cf, span, CLEAR_KEYS)?.complete {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

fn unlabelled() -> Error {
    Error::Corrupt("a snapshot without a label".into())
}
