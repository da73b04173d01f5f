//! The storage of project 1: the engine, and nothing between.

use proto::kvrpcpb::Context;

use super::{EngineReader, Modify, Storage};
use crate::Result;
use crate::engine::{Durability, Engine, WriteBatch};

/// A [`Storage`] on one disk.
///
/// A write commits with an fsync before its future completes, and it blocks its thread while it does:
/// a shortcut, since there is no other place to wait at. The server puts a writer thread in front of
/// it (`server::GroupCommit`) that merges the writes which wait into one commit.
pub struct StandaloneStorage {
    engine: Engine,
}

impl StandaloneStorage {
    /// A storage on an open engine.
    pub fn new(engine: Engine) -> Self {
        StandaloneStorage { engine }
    }
}

impl Storage for StandaloneStorage {
    type Reader = EngineReader;

    /// Commits the whole batch at once, and durably.
    ///
    /// You will need [`WriteBatch`] and [`Engine::write`]. Think about which [`Durability`] keeps the
    /// promise that what was acknowledged survives a crash. There are no regions yet, so `context` has
    /// nothing to say here.
    async fn write(&self, context: &Context, batch: Vec<Modify>) -> Result<()> {
        // BEGIN SOLUTION 1.write
        let _ = context; // it names a region, and there are none yet
        let mut writes = WriteBatch::new();
        for modify in batch {
            match modify {
                Modify::Put { cf, key, value } => writes.put(cf, key, value),
                Modify::Delete { cf, key } => writes.delete(cf, key),
                Modify::DeleteRange { cf, range } => writes.delete_range(cf, range),
            }
        }
        // Immediate: the caller will tell a client that this is safe.
        self.engine.write(&writes, Durability::Immediate)
        // END SOLUTION
    }

    /// A reader of this moment.
    ///
    /// You will need [`Engine::snapshot`]: whoever reads twice through one reader must see one state.
    async fn reader(&self, context: &Context) -> Result<EngineReader> {
        // BEGIN SOLUTION 1.read
        let _ = context; // it names a region, and there are none yet
        Ok(EngineReader::new(self.engine.snapshot()?))
        // END SOLUTION
    }
}
