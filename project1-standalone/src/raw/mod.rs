//! The raw API: TiKV's key-value calls without transactions.
//!
//! Each handler is a plain `async` function: request in, response out, a [`Storage`] behind it. All of
//! them go the same way:
//!
//! 1. refuse what is wrong with the request itself (an unknown column family, a key or a value over
//!    the limit), before anything is read or written;
//! 2. turn the user's keys into engine keys ([`keys`]);
//! 3. read through one reader, so that one request sees one moment, or write one batch, so that it
//!    happens as a whole;
//! 4. fill the response.
//!
//! # Errors
//!
//! A handler returns `Result`, and says `?` wherever something goes wrong. What the client must be
//! told *inside* the response is put there by [`respond`]: a wrong region in `region_error`, a bad
//! request in `error` (or in the first pair's `error`, in the calls that have no such field). Only
//! local damage stays an `Err`, which the server turns into a gRPC status. A status would be wrong for
//! the others: clients take it for a broken line and try again ten times.
//!
//! An absent key is no error at all: it is `not_found`. An empty value is a value.
//!
//! # Expiry
//!
//! Every stored value carries the second at which it expires ([`value`]); a handler never sees an
//! expired one as present. Expired values stay on disk until overwritten or deleted (a shortcut: TiKV
//! drops them in RocksDB's compaction, and redb has none).
//!
//! # Atomicity
//!
//! Writes with `for_cas`, and compare-and-swap itself, hold the latches of their keys, so that they are
//! linearizable with each other. A write without `for_cas` is not: that is TiKV's contract, and the
//! client asks for the one it needs.

mod batch;
mod cas;
mod point;
mod range;
mod respond;
mod scan;
pub mod value;

use std::sync::Arc;

use proto::kvrpcpb::Context;

pub use respond::{Response, respond};

use crate::clock::Clock;
use crate::engine::{CF_LOCK, CF_WRITE, CfName};
use crate::keys::{self, TAIL_START};
use crate::latches::{LatchGuard, Latches};
use crate::storage::StorageReader;
use crate::{Error, Result, Storage};

/// The longest key that we accept, in bytes (8 KiB, TiKV's default).
pub const MAX_KEY_LEN: usize = 8 << 10;

/// The longest value that we accept, in bytes (3 MiB). TiKV's limit is 8 MiB for a whole Raft entry;
/// ours is lower because official clients refuse answers over 4 MiB by default, and a value that can be
/// written but never read is a trap.
pub const MAX_VALUE_LEN: usize = 3 << 20;

/// The largest answer to a scan or a batch get, in bytes (64 MiB): one request must not be able to use
/// up the server's memory.
pub const MAX_ANSWER_LEN: usize = 64 << 20;

/// The raw API's handlers over a storage. Clones share everything.
pub struct RawApi<S> {
    storage: Arc<S>,
    latches: Latches,
    clock: Arc<dyn Clock>,
}

impl<S> Clone for RawApi<S> {
    fn clone(&self) -> Self {
        RawApi {
            storage: self.storage.clone(),
            latches: self.latches.clone(),
            clock: self.clock.clone(),
        }
    }
}

impl<S: Storage> RawApi<S> {
    /// Handlers over `storage`. All handlers of one store must share `latches`.
    pub fn new(storage: Arc<S>, latches: Latches, clock: Arc<dyn Clock>) -> Self {
        RawApi { storage, latches, clock }
    }

    /// The live value of a user's key with the second at which it expires (0: never); `None` when it
    /// is absent or expired.
    fn read_live(
        &self,
        reader: &S::Reader,
        cf: CfName,
        key: &[u8],
    ) -> Result<Option<(Vec<u8>, u64)>> {
        let Some(stored) = reader.get_cf(cf, &keys::raw_key(key))? else { return Ok(None) };
        let (value, expires_at) = value::decode(&stored)?;
        Ok(value::is_live(expires_at, self.clock.now()).then(|| (value.to_vec(), expires_at)))
    }

    /// The bytes to store for a value that lives for `ttl` seconds (0: for ever).
    ///
    /// The expiry becomes a point in time here, before the write: a relative one would mean another
    /// second on each replica that applies it.
    fn stored_value(&self, value: &[u8], ttl: u64) -> Result<Vec<u8>> {
        check_value(value)?;
        let expires_at = if ttl == 0 { 0 } else { self.clock.now().saturating_add(ttl) };
        Ok(value::encode(value, expires_at))
    }

    /// Waits for the latches of `keys` when the client asked to be linearizable with compare-and-swap.
    async fn latch_for_cas(
        &self,
        for_cas: bool,
        cf: CfName,
        keys: impl IntoIterator<Item = &[u8]>,
    ) -> Option<LatchGuard> {
        if !for_cas {
            return None;
        }
        let keys: Vec<Vec<u8>> = keys.into_iter().map(|key| latch_key(cf, key)).collect();
        Some(self.latches.acquire(keys.iter().map(Vec::as_slice)).await)
    }
}

/// The same user key in two column families is two values, hence two latches: the letter of the column family stands in
/// the key. It begins with `r` like all raw keys, and so is never the latch of a transaction, whose keys begin with `x`.
fn latch_key(cf: CfName, key: &[u8]) -> Vec<u8> {
    let mut latch = keys::raw_key(key);
    latch.insert(
        1,
        match cf {
            CF_LOCK => b'l',
            CF_WRITE => b'w',
            _ => b'd',
        },
    );
    latch
}

/// Refuses a key that is too long, or that lies in the tail region, which holds no data.
///
/// # Errors
/// [`Error::KeyTooLarge`] or [`Error::Refused`].
fn check_key(key: &[u8]) -> Result<()> {
    if key.len() > MAX_KEY_LEN {
        return Err(Error::KeyTooLarge { len: key.len(), limit: MAX_KEY_LEN });
    }
    if key >= &TAIL_START[..] {
        return Err(Error::Refused(
            "keys from nine ff bytes on are reserved for the empty last region: use a lower key"
                .into(),
        ));
    }
    Ok(())
}

/// Refuses a value that is too long.
fn check_value(value: &[u8]) -> Result<()> {
    if value.len() > MAX_VALUE_LEN {
        return Err(Error::ValueTooLarge { len: value.len(), limit: MAX_VALUE_LEN });
    }
    Ok(())
}

/// The context of a request; absent means all defaults, as everywhere in protobuf.
fn context(context: Option<&Context>) -> Context {
    context.cloned().unwrap_or_default()
}
