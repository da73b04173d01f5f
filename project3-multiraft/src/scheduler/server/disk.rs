//! The scheduler's disk: pairs of bytes in one redb file.

use std::path::Path;

use bytes::Bytes;
use standalone::Result;
use standalone::engine::{CF_DEFAULT, Direction, Durability, Engine, Options, WriteBatch};
use standalone::keys::KeyRange;

use crate::scheduler::Write;

/// The database's file in the data directory.
const DATABASE: &str = "scheduler.redb";

/// A few thousand small pairs need no more, in bytes.
const CACHE: usize = 16 << 20;

/// Above every key that is saved: those are words.
const END: &[u8] = &[0xff];

/// See the module.
pub struct Disk {
    engine: Engine,
}

impl Disk {
    /// Opens the database in `dir`, which is created if missing.
    ///
    /// # Errors
    /// As [`Engine::open`].
    pub fn open(dir: &Path) -> Result<Self> {
        let options = Options { cfs: vec![CF_DEFAULT], cache_bytes: CACHE, ..Options::default() };
        Ok(Disk { engine: Engine::open(dir, DATABASE, &options)? })
    }

    /// All pairs.
    ///
    /// # Errors
    /// What the engine says.
    pub fn load(&self) -> Result<Vec<(Vec<u8>, Bytes)>> {
        let snapshot = self.engine.snapshot()?;
        let all = KeyRange { start: Vec::new(), end: END.to_vec() };
        let mut cursor = snapshot.cursor(CF_DEFAULT, all, Direction::Forward)?;
        let mut pairs = Vec::new();
        while cursor.advance()? {
            pairs.push((cursor.key().to_vec(), Bytes::copy_from_slice(cursor.value())));
        }
        Ok(pairs)
    }

    /// Saves a batch as a whole. With `sync` it is durable on return, and so is all that was saved before; without, it
    /// may be lost in a power cut.
    ///
    /// # Errors
    /// What the engine says; nobody knows then what is on the disk.
    pub fn save(&self, writes: &[Write], sync: bool) -> Result<()> {
        let mut batch = WriteBatch::new();
        for write in writes {
            match &write.value {
                Some(value) => batch.put(CF_DEFAULT, write.key.clone(), value.to_vec()),
                None => batch.delete(CF_DEFAULT, write.key.clone()),
            }
        }
        let durability = if sync { Durability::Immediate } else { Durability::None };
        self.engine.write(&batch, durability)
    }
}
