//! What PD must not forget.

use std::sync::Arc;

use proto::kvrpcpb::Context;

use crate::engine::CF_DEFAULT;
use crate::keys::PD_PREFIX;
use crate::storage::StorageReader;
use crate::{Error, Modify, Result, Storage};

/// A number that outlives a restart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// Drawn when the data directory was new.
    ClusterId,
    /// [`Tso`](super::Tso)'s bound.
    TsoBound,
    /// Garbage collection's safe point.
    GcSafePoint,
}

impl Entry {
    fn key(self) -> Vec<u8> {
        let name: &[u8] = match self {
            Entry::ClusterId => b"cluster_id",
            Entry::TsoBound => b"tso_bound",
            Entry::GcSafePoint => b"gc_safe_point",
        };
        [&[PD_PREFIX], name].concat()
    }
}

/// Numbers in the storage, under a prefix of their own. Saved is durable.
pub struct Ledger<S> {
    storage: Arc<S>,
}

impl<S: Storage> Ledger<S> {
    /// A ledger in this storage.
    pub fn new(storage: Arc<S>) -> Self {
        Ledger { storage }
    }

    /// The number; 0 if it was never saved.
    ///
    /// # Errors
    /// What the storage says, and [`Error::Corrupt`] when what lies there is no number.
    pub async fn load(&self, entry: Entry) -> Result<u64> {
        let reader = self.storage.reader(&Context::default()).await?;
        let Some(bytes) = reader.get_cf(CF_DEFAULT, &entry.key())? else { return Ok(0) };
        let bytes = <[u8; 8]>::try_from(&bytes[..]).map_err(|_| Error::Corrupt {
            file: "that was open".into(),
            what: format!("{entry:?} has {} bytes instead of 8", bytes.len()),
        })?;
        Ok(u64::from_be_bytes(bytes))
    }

    /// Saves a number; it is durable on return.
    ///
    /// # Errors
    /// What the storage says.
    pub async fn save(&self, entry: Entry, number: u64) -> Result<()> {
        let value = number.to_be_bytes().to_vec();
        let put = Modify::Put { cf: CF_DEFAULT, key: entry.key(), value };
        self.storage.write(&Context::default(), vec![put]).await
    }

    /// The cluster's id; `fresh` becomes it when there is none yet. A client keeps the id that it
    /// met first, so that one which outlives a server in memory learns that it now talks to another
    /// cluster.
    ///
    /// # Errors
    /// As [`Ledger::load`] and [`Ledger::save`].
    pub async fn cluster_id(&self, fresh: u64) -> Result<u64> {
        let known = self.load(Entry::ClusterId).await?;
        if known != 0 {
            return Ok(known);
        }
        self.save(Entry::ClusterId, fresh).await?;
        Ok(fresh)
    }
}
