//! The store's gRPC service with its transactional calls.
//!
//! Where errors go is said in [`respond`]; what no response has a place for becomes a status, as in project 1.
//!
//! # Once begun, a write ends
//!
//! A client that hangs up makes the server drop its call, wherever that is. A write holds latches, and perhaps locks in memory,
//! and must not let go of them before its batch is in the storage or has surely failed. So writes run as tasks of their own, to
//! their end. (A request that waits for a lock goes on waiting, for a second at most; a lock that it gets for nobody ends with
//! its time to live, or is found by the client's retry.)

use std::future::Future;
use std::sync::Arc;

use proto::kvrpcpb::{
    BatchGetRequest, BatchGetResponse, BatchRollbackRequest, BatchRollbackResponse,
    CheckSecondaryLocksRequest, CheckSecondaryLocksResponse, CheckTxnStatusRequest,
    CheckTxnStatusResponse, CleanupRequest, CleanupResponse, CommitRequest, CommitResponse,
    DeleteRangeRequest, DeleteRangeResponse, GcRequest, GcResponse, GetRequest, GetResponse,
    MvccGetByKeyRequest, MvccGetByKeyResponse, PessimisticLockRequest, PessimisticLockResponse,
    PessimisticRollbackRequest, PessimisticRollbackResponse, PrewriteRequest, PrewriteResponse,
    RawBatchDeleteRequest, RawBatchDeleteResponse, RawBatchGetRequest, RawBatchGetResponse,
    RawBatchPutRequest, RawBatchPutResponse, RawBatchScanRequest, RawBatchScanResponse,
    RawCasRequest, RawCasResponse, RawDeleteRangeRequest, RawDeleteRangeResponse, RawDeleteRequest,
    RawDeleteResponse, RawGetKeyTtlRequest, RawGetKeyTtlResponse, RawGetRequest, RawGetResponse,
    RawPutRequest, RawPutResponse, RawScanRequest, RawScanResponse, ResolveLockRequest,
    ResolveLockResponse, ScanLockRequest, ScanLockResponse, ScanRequest, ScanResponse,
    SplitRegionRequest, SplitRegionResponse, TxnHeartBeatRequest, TxnHeartBeatResponse,
    UnsafeDestroyRangeRequest, UnsafeDestroyRangeResponse,
};
use proto::tikvpb::tikv_server::{Tikv, TikvServer};
use proto::tikvpb::{BatchCommandsRequest, BatchCommandsResponse};
use standalone::server::{MAX_REQUEST_LEN, Stop, TikvService, apart};
use standalone::{Error, Storage};
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::batch;
use super::regions::Regions;
use crate::api::{self, TxnApi, respond};

/// `tikvpb.Tikv` over a storage: the raw calls of project 1, and the transactional ones. Clones share everything.
pub struct TxnService<S> {
    raw: Arc<TikvService<S>>,
    txn: TxnApi<S>,
    /// Where there are regions.
    regions: Option<Arc<Regions>>,
    stop: Stop,
}

impl<S> Clone for TxnService<S> {
    fn clone(&self) -> Self {
        TxnService {
            raw: self.raw.clone(),
            txn: self.txn.clone(),
            regions: self.regions.clone(),
            stop: self.stop.clone(),
        }
    }
}

impl<S: Storage> TxnService<S> {
    /// The service of these handlers. Streams end with `stop`.
    pub fn new(raw: TikvService<S>, txn: TxnApi<S>, stop: Stop) -> Self {
        TxnService { raw: Arc::new(raw), txn, regions: None, stop }
    }

    /// The same, with the calls about regions.
    #[must_use]
    pub(super) fn with_regions(self, regions: Regions) -> Self {
        TxnService { regions: Some(Arc::new(regions)), ..self }
    }

    /// The service as tonic's server takes it, with our limit for requests.
    pub fn into_server(self) -> TikvServer<Self> {
        TikvServer::new(self).max_decoding_message_size(MAX_REQUEST_LEN)
    }
}

type Answer<R> = Result<Response<R>, Status>;

/// What the client is told, given what a handler said.
fn answer<R: api::Response>(result: crate::Result<R>) -> Answer<R> {
    respond(result).map(Response::new).map_err(|error| status(&error))
}

/// The status for an error that no response has a place for.
fn status(error: &Error) -> Status {
    let text = error.to_string();
    match error {
        Error::AnswerTooLarge { .. } => Status::resource_exhausted(text),
        Error::Corrupt { .. } => {
            tracing::error!(%error, "refused a call");
            Status::data_loss(text)
        }
        _ => {
            tracing::error!(%error, "refused a call");
            Status::unavailable(text)
        }
    }
}

/// Runs a write to its end, even if nobody waits for it any more: see the module.
async fn to_the_end<R: Send + 'static>(
    write: impl Future<Output = crate::Result<R>> + Send + 'static,
) -> crate::Result<R> {
    tokio::spawn(write).await.unwrap_or_else(|panic| {
        let what = format!("a bug of ours: {panic}");
        Err(Error::Io { doing: "finish a write", what }.into())
    })
}

/// Runs a read that may be long on a thread of its own.
async fn long<R: Send + 'static>(
    read: impl Future<Output = crate::Result<R>> + Send + 'static,
) -> crate::Result<R> {
    apart(read).await.unwrap_or_else(|panic| Err(panic.into()))
}

#[tonic::async_trait]
impl<S: Storage> Tikv for TxnService<S> {
    async fn raw_get(&self, request: Request<RawGetRequest>) -> Answer<RawGetResponse> {
        self.raw.raw_get(request).await
    }

    async fn raw_batch_get(
        &self,
        request: Request<RawBatchGetRequest>,
    ) -> Answer<RawBatchGetResponse> {
        self.raw.raw_batch_get(request).await
    }

    async fn raw_get_key_ttl(
        &self,
        request: Request<RawGetKeyTtlRequest>,
    ) -> Answer<RawGetKeyTtlResponse> {
        self.raw.raw_get_key_ttl(request).await
    }

    async fn raw_put(&self, request: Request<RawPutRequest>) -> Answer<RawPutResponse> {
        self.raw.raw_put(request).await
    }

    async fn raw_batch_put(
        &self,
        request: Request<RawBatchPutRequest>,
    ) -> Answer<RawBatchPutResponse> {
        self.raw.raw_batch_put(request).await
    }

    async fn raw_delete(&self, request: Request<RawDeleteRequest>) -> Answer<RawDeleteResponse> {
        self.raw.raw_delete(request).await
    }

    async fn raw_batch_delete(
        &self,
        request: Request<RawBatchDeleteRequest>,
    ) -> Answer<RawBatchDeleteResponse> {
        self.raw.raw_batch_delete(request).await
    }

    async fn raw_delete_range(
        &self,
        request: Request<RawDeleteRangeRequest>,
    ) -> Answer<RawDeleteRangeResponse> {
        self.raw.raw_delete_range(request).await
    }

    async fn raw_scan(&self, request: Request<RawScanRequest>) -> Answer<RawScanResponse> {
        self.raw.raw_scan(request).await
    }

    async fn raw_batch_scan(
        &self,
        request: Request<RawBatchScanRequest>,
    ) -> Answer<RawBatchScanResponse> {
        self.raw.raw_batch_scan(request).await
    }

    async fn raw_compare_and_swap(
        &self,
        request: Request<RawCasRequest>,
    ) -> Answer<RawCasResponse> {
        self.raw.raw_compare_and_swap(request).await
    }

    async fn kv_get(&self, request: Request<GetRequest>) -> Answer<GetResponse> {
        answer(self.txn.kv_get(request.into_inner()).await)
    }

    async fn kv_batch_get(&self, request: Request<BatchGetRequest>) -> Answer<BatchGetResponse> {
        answer(self.txn.kv_batch_get(request.into_inner()).await)
    }

    async fn kv_scan(&self, request: Request<ScanRequest>) -> Answer<ScanResponse> {
        let txn = self.txn.clone();
        answer(long(async move { txn.kv_scan(request.into_inner()).await }).await)
    }

    async fn kv_scan_lock(&self, request: Request<ScanLockRequest>) -> Answer<ScanLockResponse> {
        let txn = self.txn.clone();
        answer(long(async move { txn.kv_scan_lock(request.into_inner()).await }).await)
    }

    async fn mvcc_get_by_key(
        &self,
        request: Request<MvccGetByKeyRequest>,
    ) -> Answer<MvccGetByKeyResponse> {
        answer(self.txn.mvcc_get_by_key(request.into_inner()).await)
    }

    async fn kv_prewrite(&self, request: Request<PrewriteRequest>) -> Answer<PrewriteResponse> {
        let txn = self.txn.clone();
        answer(to_the_end(async move { txn.kv_prewrite(request.into_inner()).await }).await)
    }

    async fn kv_commit(&self, request: Request<CommitRequest>) -> Answer<CommitResponse> {
        let txn = self.txn.clone();
        answer(to_the_end(async move { txn.kv_commit(request.into_inner()).await }).await)
    }

    async fn kv_batch_rollback(
        &self,
        request: Request<BatchRollbackRequest>,
    ) -> Answer<BatchRollbackResponse> {
        let txn = self.txn.clone();
        answer(to_the_end(async move { txn.kv_batch_rollback(request.into_inner()).await }).await)
    }

    async fn kv_pessimistic_lock(
        &self,
        request: Request<PessimisticLockRequest>,
    ) -> Answer<PessimisticLockResponse> {
        let txn = self.txn.clone();
        answer(to_the_end(async move { txn.kv_pessimistic_lock(request.into_inner()).await }).await)
    }

    async fn kv_pessimistic_rollback(
        &self,
        request: Request<PessimisticRollbackRequest>,
    ) -> Answer<PessimisticRollbackResponse> {
        let txn = self.txn.clone();
        answer(
            to_the_end(async move { txn.kv_pessimistic_rollback(request.into_inner()).await })
                .await,
        )
    }

    async fn kv_txn_heart_beat(
        &self,
        request: Request<TxnHeartBeatRequest>,
    ) -> Answer<TxnHeartBeatResponse> {
        let txn = self.txn.clone();
        answer(to_the_end(async move { txn.kv_txn_heart_beat(request.into_inner()).await }).await)
    }

    async fn kv_check_txn_status(
        &self,
        request: Request<CheckTxnStatusRequest>,
    ) -> Answer<CheckTxnStatusResponse> {
        let txn = self.txn.clone();
        answer(to_the_end(async move { txn.kv_check_txn_status(request.into_inner()).await }).await)
    }

    async fn kv_check_secondary_locks(
        &self,
        request: Request<CheckSecondaryLocksRequest>,
    ) -> Answer<CheckSecondaryLocksResponse> {
        let txn = self.txn.clone();
        answer(
            to_the_end(async move { txn.kv_check_secondary_locks(request.into_inner()).await })
                .await,
        )
    }

    async fn kv_resolve_lock(
        &self,
        request: Request<ResolveLockRequest>,
    ) -> Answer<ResolveLockResponse> {
        let txn = self.txn.clone();
        answer(to_the_end(async move { txn.kv_resolve_lock(request.into_inner()).await }).await)
    }

    async fn kv_cleanup(&self, request: Request<CleanupRequest>) -> Answer<CleanupResponse> {
        let txn = self.txn.clone();
        answer(to_the_end(async move { txn.kv_cleanup(request.into_inner()).await }).await)
    }

    async fn kv_gc(&self, request: Request<GcRequest>) -> Answer<GcResponse> {
        let txn = self.txn.clone();
        answer(to_the_end(async move { txn.kv_gc(request.into_inner()).await }).await)
    }

    async fn kv_delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Answer<DeleteRangeResponse> {
        let txn = self.txn.clone();
        answer(to_the_end(async move { txn.kv_delete_range(request.into_inner()).await }).await)
    }

    async fn unsafe_destroy_range(
        &self,
        request: Request<UnsafeDestroyRangeRequest>,
    ) -> Answer<UnsafeDestroyRangeResponse> {
        let (txn, regions) = (self.txn.clone(), self.regions.clone());
        let destroy = async move {
            match regions {
                Some(regions) => regions.destroy(&txn, request.get_ref()).await,
                None => txn.unsafe_destroy_range(request.into_inner()).await,
            }
        };
        answer(to_the_end(destroy).await)
    }

    async fn split_region(
        &self,
        request: Request<SplitRegionRequest>,
    ) -> Answer<SplitRegionResponse> {
        let Some(regions) = &self.regions else {
            return Err(Status::unimplemented("this store has one region, for good"));
        };
        regions.split(request.into_inner()).await.map(Response::new)
    }

    async fn batch_commands(
        &self,
        request: Request<Streaming<BatchCommandsRequest>>,
    ) -> Answer<BoxStream<BatchCommandsResponse>> {
        let answers = batch::serve(self.clone(), request.into_inner(), self.stop.clone());
        Ok(Response::new(answers))
    }
}
