//! The handlers that write.

use proto::kvrpcpb::{
    BatchRollbackRequest, BatchRollbackResponse, CheckSecondaryLocksRequest,
    CheckSecondaryLocksResponse, CheckTxnStatusRequest, CheckTxnStatusResponse, CleanupRequest,
    CleanupResponse, CommitRequest, CommitResponse, Context, DeleteRangeRequest,
    DeleteRangeResponse, GcRequest, GcResponse, PessimisticRollbackRequest,
    PessimisticRollbackResponse, PrewriteRequest, PrewriteResponse, ResolveLockRequest,
    ResolveLockResponse, TxnHeartBeatRequest, TxnHeartBeatResponse, UnsafeDestroyRangeRequest,
    UnsafeDestroyRangeResponse,
};
use standalone::Storage;

use super::{TxnApi, check_key, check_keys, check_value, context, is_indefinite};
use crate::commands::{self, Decided};
use crate::mvcc::{Lock, LockKind, MvccReader};
use crate::{Error, Result, TimeStamp};

impl<S: Storage> TxnApi<S> {
    /// Phase one. Async commit and one-phase commit wait until the region's `max_ts` can be relied on.
    ///
    /// # Errors
    /// `errors`: see [`commands::prewrite`]. The storage's.
    pub async fn kv_prewrite(&self, request: PrewriteRequest) -> Result<PrewriteResponse> {
        for mutation in &request.mutations {
            check_key(&mutation.key)?;
            check_value(&mutation.value)?;
        }
        self.check_age(request.start_version)?;
        let context = context(request.context.as_ref());
        if request.use_async_commit || request.try_one_pc {
            return self.prewrite_and_promise(&context, &request).await;
        }
        let keys = request.mutations.iter().map(|mutation| &mutation.key);
        self.execute(&context, keys, |reader| commands::prewrite(reader, &request, None)).await
    }

    /// A prewrite for which this store chooses the commit timestamp: see [`concurrency`](crate::concurrency).
    async fn prewrite_and_promise(
        &self,
        context: &Context,
        request: &PrewriteRequest,
    ) -> Result<PrewriteResponse> {
        let keys = || request.mutations.iter().map(|mutation| &mutation.key[..]);
        loop {
            self.wait_until_synced(context.region_id).await?;
            let mut promised = None;
            let result = self
                .execute(context, keys(), |reader| {
                    // Again, now that the reader has a term: leadership may have changed while we waited.
                    if !self.concurrency.is_synced(context.region_id) {
                        return Ok(Decided::only(None));
                    }
                    let start_ts = TimeStamp::new(request.start_version);
                    let (primary, ttl) = (&request.primary_lock, request.lock_ttl);
                    let lock = Lock::new(LockKind::Put, primary, start_ts, ttl);
                    let floor = request
                        .start_version
                        .max(request.for_update_ts)
                        .saturating_add(1)
                        .max(request.min_commit_ts);
                    let locks = self.concurrency.promise(floor.into(), lock, keys());
                    let chosen = locks.min_commit_ts();
                    promised = Some(locks);
                    // Too late for what the client allows: then it is an ordinary transaction.
                    let allowed =
                        request.max_commit_ts == 0 || chosen.get() <= request.max_commit_ts;
                    let decided = commands::prewrite(reader, request, allowed.then_some(chosen))?;
                    Ok(Decided::new(decided.modifies, Some(decided.response)))
                })
                .await;
            match (&result, promised) {
                (Err(error), Some(locks)) if is_indefinite(error) => locks.keep(),
                _ => {}
            }
            if let Some(response) = result? {
                return Ok(response);
            }
        }
    }

    /// Phase two.
    ///
    /// # Errors
    /// `error`: see [`commands::commit`]. The storage's.
    pub async fn kv_commit(&self, request: CommitRequest) -> Result<CommitResponse> {
        let context = context(request.context.as_ref());
        self.execute(&context, &request.keys, |reader| commands::commit(reader, &request)).await
    }

    /// Gives up, and sees to it that what is still on its way fails.
    ///
    /// # Errors
    /// `error`: see [`commands::batch_rollback`]. The storage's.
    pub async fn kv_batch_rollback(
        &self,
        request: BatchRollbackRequest,
    ) -> Result<BatchRollbackResponse> {
        check_keys(&request.keys)?;
        let context = context(request.context.as_ref());
        self.note([request.start_version]);
        let mut primary_went = false;
        loop {
            let attempt = self.execute(&context, &request.keys, |reader| {
                let absent = commands::absent_primary(reader, &request)?;
                if let Some(primary) = absent.filter(|_| !primary_went) {
                    return Ok(Decided::only(Err(primary)));
                }
                let decided = commands::batch_rollback(reader, &request)?;
                Ok(Decided::new(decided.modifies, Ok(decided.response)))
            });
            match attempt.await? {
                Ok(response) => return Ok(response),
                Err(primary) => {
                    self.roll_back_primary(&context, request.start_version, primary).await?;
                    primary_went = true;
                }
            }
        }
    }

    /// Rolls back a primary whose owner's time is over.
    ///
    /// # Errors
    /// `error`: see [`commands::cleanup`]. The storage's.
    pub async fn kv_cleanup(&self, request: CleanupRequest) -> Result<CleanupResponse> {
        check_key(&request.key)?;
        let context = context(request.context.as_ref());
        self.note([request.start_version]);
        let ask =
            || self.execute(&context, [&request.key], |reader| commands::cleanup(reader, &request));
        let answer = ask().await;
        let Err(Error::Key(error)) = &answer else { return answer };
        let now = if request.current_ts == 0 { u64::MAX } else { request.current_ts };
        match &error.locked {
            Some(lock) if commands::is_outlived(lock, now.into()) => {
                self.finish(&context, lock).await;
                ask().await
            }
            _ => answer,
        }
    }

    /// Releases pessimistic locks.
    ///
    /// # Errors
    /// The storage's.
    pub async fn kv_pessimistic_rollback(
        &self,
        request: PessimisticRollbackRequest,
    ) -> Result<PessimisticRollbackResponse> {
        let context = context(request.context.as_ref());
        self.execute(&context, &request.keys, |reader| {
            commands::pessimistic_rollback(reader, &request)
        })
        .await
    }

    /// What became of a transaction? An async-commit one whose time is over is finished first.
    ///
    /// # Errors
    /// `error`: see [`commands::check_txn_status`]. The storage's.
    pub async fn kv_check_txn_status(
        &self,
        request: CheckTxnStatusRequest,
    ) -> Result<CheckTxnStatusResponse> {
        check_key(&request.primary_key)?;
        let context = context(request.context.as_ref());
        self.note([request.lock_ts, request.caller_start_ts]);
        let ask = || {
            self.execute(&context, [&request.primary_key], |reader| {
                commands::check_txn_status(reader, &request)
            })
        };
        let status = ask().await?;
        let Some(lock) = commands::outlived(&request, &status) else { return Ok(status) };
        self.finish(&context, lock).await;
        ask().await
    }

    /// Is an async-commit transaction complete on these keys?
    ///
    /// # Errors
    /// The storage's.
    pub async fn kv_check_secondary_locks(
        &self,
        request: CheckSecondaryLocksRequest,
    ) -> Result<CheckSecondaryLocksResponse> {
        check_keys(&request.keys)?;
        let context = context(request.context.as_ref());
        self.note([request.start_version]);
        self.execute(&context, &request.keys, |reader| {
            commands::check_secondary_locks(reader, &request)
        })
        .await
    }

    /// The owner is alive.
    ///
    /// # Errors
    /// `error`: see [`commands::txn_heart_beat`]. The storage's.
    pub async fn kv_txn_heart_beat(
        &self,
        request: TxnHeartBeatRequest,
    ) -> Result<TxnHeartBeatResponse> {
        let context = context(request.context.as_ref());
        self.execute(&context, [&request.primary_lock], |reader| {
            commands::txn_heart_beat(reader, &request)
        })
        .await
    }

    /// Finishes what decided transactions have left in the region. The keys are looked for first, and then
    /// latched: nobody latches a whole region.
    ///
    /// # Errors
    /// `error`: see [`commands::resolve_lock`]. The storage's.
    pub async fn kv_resolve_lock(
        &self,
        request: ResolveLockRequest,
    ) -> Result<ResolveLockResponse> {
        let context = context(request.context.as_ref());
        self.note([request.start_version]);
        self.note(request.txn_infos.iter().map(|info| info.txn));
        let reader = self.open(&context).await?;
        let keys = commands::find_locks(&MvccReader::new(&reader), &request)?;
        drop(reader);
        self.execute(&context, &keys, |reader| commands::resolve_lock(reader, &request, &keys))
            .await
    }

    /// Collects what nobody can see at or above the safe point, a chunk of keys at a time.
    ///
    /// # Errors
    /// `error.abort`: the safe point is from the future. The storage's; what was collected before stays collected.
    pub async fn kv_gc(&self, request: GcRequest) -> Result<GcResponse> {
        let context = context(request.context.as_ref());
        let safe_point = TimeStamp::new(request.safe_point);
        // A prewrite from so long ago would no longer find the rollback that forbids it.
        self.concurrency.raise_safe_point(safe_point)?;
        let mut from = Some(Vec::new());
        while let Some(start) = from {
            let reader = self.open(&context).await?;
            let garbage = commands::garbage(&MvccReader::new(&reader), &start, safe_point)?;
            drop(reader);
            let keys = &garbage.keys;
            self.execute(&context, keys, |reader| commands::collect(reader, keys, safe_point))
                .await?;
            from = garbage.next;
        }
        Ok(GcResponse::default())
    }

    /// Removes a range of keys with all versions and locks, past all transactions.
    ///
    /// # Errors
    /// The storage's.
    pub async fn kv_delete_range(
        &self,
        request: DeleteRangeRequest,
    ) -> Result<DeleteRangeResponse> {
        if !request.notify_only {
            let context = context(request.context.as_ref());
            self.destroy(&context, &request.start_key, &request.end_key).await?;
        }
        Ok(DeleteRangeResponse::default())
    }

    /// As [`TxnApi::kv_delete_range`], for this store's part of the range, whatever region it is in.
    ///
    /// # Errors
    /// The storage's.
    pub async fn unsafe_destroy_range(
        &self,
        request: UnsafeDestroyRangeRequest,
    ) -> Result<UnsafeDestroyRangeResponse> {
        let context = context(request.context.as_ref());
        self.destroy(&context, &request.start_key, &request.end_key).await?;
        Ok(UnsafeDestroyRangeResponse::default())
    }

    async fn destroy(&self, context: &Context, start: &[u8], end: &[u8]) -> Result<()> {
        self.storage.write(context, commands::delete_range(start, end)).await?;
        self.waits.released_all();
        Ok(())
    }
}
