//! Removing data, in pieces: a region may be large, and the engine has one writer.

use proto::metapb::Region;
use raftkv::region::data_spans;
use raftkv::{Result, keys};
use standalone::engine::{CF_DEFAULT, DATA_CFS, Direction, Durability, Engine, WriteBatch};

/// Keys that one transaction removes, at most.
const PIECE: u64 = 4096;

/// Removes all that a dead peer has left in the data engine but its tombstone. The last piece is durable, and takes the
/// apply state with it: as long as that is there, this must be done again.
///
/// # Errors
/// The disk's.
pub fn destroy(kv: &Engine, region: &Region) -> Result<()> {
    sweep(kv, region)?;
    let mut last = WriteBatch::new();
    last.delete(CF_DEFAULT, keys::apply_state_key(region.id));
    last.delete(CF_DEFAULT, keys::snapshot_raft_state_key(region.id));
    last.delete_range(CF_DEFAULT, keys::snapshot_parts(region.id));
    Ok(kv.write(&last, Durability::Immediate)?)
}

/// Removes the data in the region's range. A region without members was never here, and has no range.
///
/// # Errors
/// The disk's.
pub fn sweep(kv: &Engine, region: &Region) -> Result<()> {
    if region.region_epoch.is_none_or(|epoch| epoch.version == 0) {
        return Ok(());
    }
    while piece(kv, region)? {}
    Ok(())
}

fn piece(kv: &Engine, region: &Region) -> Result<bool> {
    let view = kv.snapshot()?;
    let (mut batch, mut left) = (WriteBatch::new(), PIECE);
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
    if batch.is_empty() {
        return Ok(false);
    }
    kv.write(&batch, Durability::None)?;
    Ok(true)
}
