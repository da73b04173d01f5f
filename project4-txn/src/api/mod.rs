//! The transactional calls, over any storage.
//!
//! A command decides; here is what stands round it. A *write* goes
//!
//! ```text
//! latches of its keys  ->  reader  ->  command  ->  storage, in the reader's term  ->  wake who waits  ->  answer
//! ```
//!
//! and a *read*
//!
//! ```text
//! raise max_ts  ->  locks in memory  ->  reader  ->  command  ->  answer
//! ```
//!
//! The order is the point. A reader that was opened before the latches were held may show a key without the lock
//! that the last holder of the latch has just written: two transactions would both find the key free. So the
//! latches come first, *all* keys' latches, and they are held until the storage has the changes.
//!
//! The term goes with the write for the same reason as in a compare-and-swap (`standalone::storage`): what was
//! decided from one leader's data must not be written under another.
//!
//! # Errors
//!
//! A handler returns `Result`; [`respond`] turns it into the response that the client gets. What is left is this
//! machine's trouble, for a gRPC status.

mod finish;
mod reads;
mod respond;
mod waits;
mod writes;

use std::sync::Arc;

use proto::kvrpcpb::{Context, KeyError};
use standalone::engine::CF_LOCK;
use standalone::keys::TAIL_START;
use standalone::latches::Latches;
use standalone::raw::{MAX_KEY_LEN, MAX_VALUE_LEN};
use standalone::{Modify, Storage, StorageReader};

pub use finish::{Asking, Elsewhere};
pub use respond::{Response, respond};

use crate::commands::Decided;
use crate::concurrency::Concurrency;
use crate::lock_wait::LockWaits;
use crate::mvcc::{MvccReader, Reading, key};
use crate::timer::Timer;
use crate::{Error, Result, TimeStamp};
use finish::Finishing;

/// The handlers of a store. Clones share everything.
pub struct TxnApi<S> {
    storage: Arc<S>,
    latches: Latches,
    concurrency: Concurrency,
    waits: LockWaits,
    timer: Arc<dyn Timer>,
    finishing: Finishing,
    elsewhere: Option<Arc<dyn Elsewhere>>,
}

impl<S> Clone for TxnApi<S> {
    fn clone(&self) -> Self {
        TxnApi {
            storage: self.storage.clone(),
            latches: self.latches.clone(),
            concurrency: self.concurrency.clone(),
            waits: self.waits.clone(),
            timer: self.timer.clone(),
            finishing: self.finishing.clone(),
            elsewhere: self.elsewhere.clone(),
        }
    }
}

impl<S: Storage> TxnApi<S> {
    /// Handlers over `storage`. All handlers of one store must share `latches` and `concurrency`; whoever
    /// watches leadership tells the latter.
    pub fn new(
        storage: Arc<S>,
        latches: Latches,
        concurrency: Concurrency,
        timer: Arc<dyn Timer>,
    ) -> Self {
        TxnApi {
            storage,
            latches,
            concurrency,
            waits: LockWaits::new(),
            timer,
            finishing: Finishing::default(),
            elsewhere: None,
        }
    }

    /// The same, where keys may lie in other regions. Without, all keys are taken to be here.
    #[must_use]
    pub fn with_elsewhere(self, elsewhere: Arc<dyn Elsewhere>) -> Self {
        TxnApi { elsewhere: Some(elsewhere), ..self }
    }

    /// Runs a command that may write: `decide` with the latches of all `keys` held, then writes what it decided.
    ///
    /// You will need [`key::lock_key`] (a latch has the name of the lock that it guards), [`Latches::acquire`], [`Storage::reader`], [`MvccReader::new`], [`StorageReader::term`],
    /// [`Storage::write`], and `locks_of` and `wake` for those who wait. What must have happened before the reader is opened? Until when are the
    /// latches held? Which names does Rust drop at once?
    ///
    /// # Errors
    /// The command's; nothing is written then. And the storage's: unless they are definite, it may have happened.
    async fn execute<R: Send>(
        &self,
        context: &Context,
        keys: impl IntoIterator<Item = impl AsRef<[u8]>>,
        decide: impl FnOnce(&MvccReader) -> Result<Decided<R>> + Send,
    ) -> Result<R> {
        // BEGIN SOLUTION 4B.execute
        let latched: Vec<Vec<u8>> = keys.into_iter().map(|k| key::lock_key(k.as_ref())).collect();
        // Before the reader: what it shows must still be true when we write.
        let _latches = self.latches.acquire(latched.iter().map(Vec::as_slice)).await;
        let reader = self.storage.reader(context).await?;
        let decided = decide(&MvccReader::new(&reader))?;
        if !decided.modifies.is_empty() {
            let context = Context { term: reader.term(), ..context.clone() };
            drop(reader);
            let woken = locks_of(&decided.modifies);
            self.storage.write(&context, decided.modifies).await?;
            self.wake(&woken);
        }
        Ok(decided.response)
        // END SOLUTION
    }

    /// The locks of these engine keys have changed: whoever waits for them may look again.
    fn wake(&self, locks: &[Vec<u8>]) {
        for engine_key in locks {
            if let Ok(key) = key::key_of_lock(engine_key) {
                self.concurrency.settle(&key);
                self.waits.released(&key);
            }
        }
    }

    /// Refuses to lock for a transaction that is older than the collected garbage: the rollback record that would
    /// have told it that it is dead may be gone.
    ///
    /// # Errors
    /// `abort`.
    fn check_age(&self, start_version: u64) -> Result<()> {
        let safe_point = self.concurrency.safe_point();
        if start_version > safe_point.get() {
            return Ok(());
        }
        let abort =
            format!("transaction {start_version} is older than the GC safe point {safe_point}");
        Err(KeyError { abort, ..Default::default() }.into())
    }

    /// How many requests wait for locks.
    pub fn waiting(&self) -> usize {
        self.waits.len()
    }
}

/// The engine keys of the locks that a batch changes.
fn locks_of(batch: &[Modify]) -> Vec<Vec<u8>> {
    batch
        .iter()
        .filter_map(|modify| match modify {
            Modify::Put { cf: CF_LOCK, key, .. } | Modify::Delete { cf: CF_LOCK, key } => {
                Some(key.clone())
            }
            _ => None,
        })
        .collect()
}

/// The context of a request; absent means all defaults, as everywhere in protobuf.
fn context(context: Option<&Context>) -> Context {
    context.cloned().unwrap_or_default()
}

/// A read at `version`, past the locks that the client knows about.
fn reading(context: &Context, version: u64) -> Reading {
    let bypass = context.resolved_locks.iter().map(|&ts| TimeStamp::new(ts)).collect();
    Reading { ts: version.into(), bypass }
}

/// Refuses a key that is too long, or whose position lies in the tail region, which holds no data.
///
/// # Errors
/// `KeyTooLarge` or `Refused`, of `standalone`.
fn check_key(key: &[u8]) -> Result<()> {
    if key.len() > MAX_KEY_LEN {
        let refused = standalone::Error::KeyTooLarge { len: key.len(), limit: MAX_KEY_LEN };
        return Err(refused.into());
    }
    // The tail begins at the encoding of eight ff bytes.
    if key.len() >= 8 && key::lock_key(key)[1..] >= TAIL_START[..] {
        let text =
            "keys from eight ff bytes on are reserved for the empty last region: use a lower key";
        return Err(standalone::Error::Refused(text.into()).into());
    }
    Ok(())
}

fn check_keys(keys: impl IntoIterator<Item = impl AsRef<[u8]>>) -> Result<()> {
    keys.into_iter().try_for_each(|key| check_key(key.as_ref()))
}

/// Refuses a value that is too long.
fn check_value(value: &[u8]) -> Result<()> {
    if value.len() > MAX_VALUE_LEN {
        let refused = standalone::Error::ValueTooLarge { len: value.len(), limit: MAX_VALUE_LEN };
        return Err(refused.into());
    }
    Ok(())
}

/// Whether an error leaves open if the write happened.
fn is_indefinite(error: &Error) -> bool {
    matches!(error, Error::Storage(error) if !error.is_definite())
}
