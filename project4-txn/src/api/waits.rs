//! The handlers that may have to wait: for a lock, or for a timestamp.

use proto::errorpb::{self, StaleCommand};
use proto::kvrpcpb::{KeyError, PessimisticLockRequest, PessimisticLockResponse};
use standalone::Storage;

use super::{TxnApi, check_keys, context};
use crate::commands::{self, Decided, Locking};
use crate::lock_wait::Wait;
use crate::timer::{Sleep, before};
use crate::{Error, Result};

/// The longest wait for a lock, in milliseconds, and the one that a request gets which names none: official
/// clients give a call two seconds.
const MAX_LOCK_WAIT_MS: u64 = 1_000;

/// How long a request is held while the region's `max_ts` cannot be relied on, in milliseconds.
const SYNC_HOLD_MS: u64 = 1_000;

/// What one attempt to lock came to.
enum Attempt {
    Locked(Box<PessimisticLockResponse>),
    Wait(Wait, Error),
}

impl<S: Storage> TxnApi<S> {
    /// Locks keys for a pessimistic transaction, and waits for those who hold them. A waiter that is woken asks
    /// again from the start: all its keys, or none.
    ///
    /// # Errors
    /// `errors`: `locked` when its patience is over (at once, if it has none), `deadlock` with the ring if the
    /// wait would never end; else see [`commands::pessimistic_lock`]. The storage's.
    pub async fn kv_pessimistic_lock(
        &self,
        request: PessimisticLockRequest,
    ) -> Result<PessimisticLockResponse> {
        check_keys(request.mutations.iter().map(|mutation| &mutation.key))?;
        self.check_age(request.start_version)?;
        let context = context(request.context.as_ref());
        let mut patience: Option<Sleep> = None;
        loop {
            let keys = request.mutations.iter().map(|mutation| &mutation.key);
            let attempt = self.execute(&context, keys, |reader| self.attempt(reader, &request));
            let (wait, locked) = match attempt.await? {
                Attempt::Locked(response) => return Ok(*response),
                Attempt::Wait(wait, locked) => (wait, locked),
            };
            let sleep = patience.get_or_insert_with(|| {
                let wanted = u64::try_from(request.wait_timeout).unwrap_or_default();
                let millis = if wanted == 0 { MAX_LOCK_WAIT_MS } else { wanted };
                self.timer.sleep(millis.min(MAX_LOCK_WAIT_MS))
            });
            if !before(wait, sleep).await {
                return Err(locked);
            }
        }
    }

    /// One attempt. Who has to wait takes a place in the table while the latches are still held.
    fn attempt(
        &self,
        reader: &crate::mvcc::MvccReader,
        request: &PessimisticLockRequest,
    ) -> Result<Decided<Attempt>> {
        let decided = commands::pessimistic_lock(reader, request)?;
        let attempt = match decided.response {
            Locking::Done(response) => Attempt::Locked(response),
            Locking::Wait { key, lock } => {
                let locked = KeyError { locked: Some(lock.to_info(&key)), ..Default::default() };
                // Negative: the client would rather know at once.
                if request.wait_timeout < 0 {
                    return Err(locked.into());
                }
                let txn = request.start_version.into();
                Attempt::Wait(self.waits.wait(txn, lock.start_ts, &key)?, locked.into())
            }
        };
        Ok(Decided::new(decided.modifies, attempt))
    }

    /// Holds a request until the region's `max_ts` can be relied on.
    ///
    /// # Errors
    /// `StaleCommand`, after a second: the client asks PD, and comes again. (`MaxTimestampNotSynced` would go
    /// straight to its user.)
    pub(super) async fn wait_until_synced(&self, region: u64) -> Result<()> {
        if self.concurrency.is_synced(region) {
            return Ok(());
        }
        let mut sleep = self.timer.sleep(SYNC_HOLD_MS);
        if before(self.concurrency.synced(region), &mut sleep).await {
            return Ok(());
        }
        Err(later(format!("region {region} has a new leader, which waits for a timestamp")))
    }
}

/// An error after which the client asks PD, and comes again: `StaleCommand`.
pub(super) fn later(message: String) -> Error {
    let error =
        errorpb::Error { message, stale_command: Some(StaleCommand {}), ..Default::default() };
    Error::Storage(standalone::Error::Region(Box::new(error)))
}
