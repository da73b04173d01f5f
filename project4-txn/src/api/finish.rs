//! The end of async-commit transactions whose owners are gone. The fate follows from answers of many regions:
//! [`commands::async_fate`]. Here they are asked, and it is written.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use proto::kvrpcpb::{
    BatchRollbackRequest, CheckSecondaryLocksRequest, CheckSecondaryLocksResponse, CommitRequest,
    Context, LockInfo,
};
use standalone::Storage;

use super::TxnApi;
use super::waits::later;
use crate::Result;
use crate::commands::{self, Fate};
use crate::timer::before;

/// How long other regions may take to answer, in milliseconds: official clients give a call two seconds.
const ELSEWHERE_MS: u64 = 1_000;

/// A future of [`Elsewhere`].
pub type Asking<T> = Pin<Box<dyn Future<Output = Result<T>> + Send>>;

/// What a handler asks about keys that may lie in any region, of whoever leads there. It tries until it succeeds, or is
/// dropped; what it has asked for may then happen all the same.
pub trait Elsewhere: Send + Sync + 'static {
    /// CheckSecondaryLocks of these keys: one answer a region. It may stop at the first that has fewer locks than keys.
    fn check_secondary_locks(
        &self,
        start_version: u64,
        keys: Vec<Vec<u8>>,
    ) -> Asking<Vec<CheckSecondaryLocksResponse>>;

    /// BatchRollback of this key.
    ///
    /// # Errors
    /// What the key says against it.
    fn roll_back(&self, start_version: u64, key: Vec<u8>) -> Asking<()>;
}

/// The transactions that are being finished, by their `start_ts`. Clones share it.
#[derive(Clone, Default)]
pub(super) struct Finishing {
    // A lock because handlers run on several threads; held for one operation of the set.
    now: Arc<Mutex<BTreeSet<u64>>>,
}

/// One of them, until this is dropped.
struct Turn {
    finishing: Finishing,
    start_version: u64,
}

impl Finishing {
    /// `None`: somebody else is at it.
    fn turn(&self, start_version: u64) -> Option<Turn> {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.insert(start_version).then(|| Turn { finishing: self.clone(), start_version })
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let mut now = self.finishing.now.lock().unwrap_or_else(PoisonError::into_inner);
        now.remove(&self.start_version);
    }
}

impl<S: Storage> TxnApi<S> {
    /// Decides about the async-commit transaction of this primary's lock, whose time is over, and writes that at the
    /// primary. It may also come to nothing: somebody was faster, or is at it, or a region does not answer. So the
    /// primary has to be looked at again.
    pub(super) async fn finish(&self, context: &Context, primary: &LockInfo) {
        // However many meet the lock, its keys are asked once. The others hear that it is alive, and come again.
        let Some(_turn) = self.finishing.turn(primary.lock_version) else { return };
        let keys = primary.secondaries.iter().map(|key| key.to_vec()).collect();
        let asking = self.check_everywhere(context, primary.lock_version, keys);
        let Ok(answers) = self.in_time(asking).await else { return };
        let written = match commands::async_fate(primary, &answers) {
            Fate::Committed(commit_ts) => {
                let request = CommitRequest {
                    context: Some(context.clone()),
                    start_version: primary.lock_version,
                    keys: vec![primary.key.clone()],
                    commit_version: commit_ts.get(),
                };
                self.kv_commit(request).await.map(drop)
            }
            Fate::RolledBack => {
                self.roll_back_here(context, primary.lock_version, primary.key.to_vec()).await
            }
        };
        // If it was not, then the primary says why.
        drop(written);
    }

    /// Rolls back a primary that may be elsewhere.
    ///
    /// # Errors
    /// `abort`: it is committed. The storage's, and no answer in time: the client comes again.
    pub(super) async fn roll_back_primary(
        &self,
        context: &Context,
        start_version: u64,
        key: Vec<u8>,
    ) -> Result<()> {
        match &self.elsewhere {
            Some(elsewhere) => self.in_time(elsewhere.roll_back(start_version, key)).await,
            None => self.roll_back_here(context, start_version, key).await,
        }
    }

    async fn roll_back_here(
        &self,
        context: &Context,
        start_version: u64,
        key: Vec<u8>,
    ) -> Result<()> {
        let keys = vec![key.clone().into()];
        let request = BatchRollbackRequest { start_version, keys, ..Default::default() };
        self.execute(context, [key], |reader| commands::batch_rollback(reader, &request)).await?;
        Ok(())
    }

    async fn check_everywhere(
        &self,
        context: &Context,
        start_version: u64,
        keys: Vec<Vec<u8>>,
    ) -> Result<Vec<CheckSecondaryLocksResponse>> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        if let Some(elsewhere) = &self.elsewhere {
            return elsewhere.check_secondary_locks(start_version, keys).await;
        }
        let keys = keys.into_iter().map(Into::into).collect();
        let context = Some(context.clone());
        let request = CheckSecondaryLocksRequest { context, keys, start_version };
        Ok(vec![self.kv_check_secondary_locks(request).await?])
    }

    async fn in_time<T>(&self, asking: impl Future<Output = Result<T>>) -> Result<T> {
        let mut answer = Err(later("another region does not answer".into()));
        let waiting = async { answer = asking.await };
        before(waiting, &mut self.timer.sleep(ELSEWHERE_MS)).await;
        answer
    }
}
