//! The calls of `tikvpb.Tikv` that the commands make, each with its answer.

use proto::errorpb;
use proto::kvrpcpb::{
    BatchGetRequest, BatchGetResponse, BatchRollbackRequest, BatchRollbackResponse,
    CheckTxnStatusRequest, CheckTxnStatusResponse, CommitRequest, CommitResponse, Context,
    MvccGetByKeyRequest, MvccGetByKeyResponse, PrewriteRequest, PrewriteResponse,
    RawBatchPutRequest, RawBatchPutResponse, RawDeleteRequest, RawDeleteResponse, RawGetRequest,
    RawGetResponse, RawPutRequest, RawPutResponse, RawScanRequest, RawScanResponse,
    ResolveLockRequest, ResolveLockResponse, ScanRequest, ScanResponse, SplitRegionRequest,
    SplitRegionResponse,
};
use proto::tikvpb::tikv_client::TikvClient;
use tonic::Status;
use tonic::transport::Channel;
use txn::client::{Request, Response};

/// A request to a region.
pub trait Call: Clone + Send + Sync + 'static {
    /// What comes back.
    type Answer: Send;

    /// Sends it, to the peer that the context names.
    ///
    /// # Errors
    /// The line's, and what no answer has a place for.
    fn send(
        self,
        store: TikvClient<Channel>,
        context: Context,
    ) -> impl Future<Output = Result<Self::Answer, Status>> + Send;

    /// Why this peer does not answer, if it does not.
    fn region_error(answer: &Self::Answer) -> Option<&errorpb::Error>;
}

macro_rules! calls {
    ($($request:ident => $method:ident -> $answer:ident),+ $(,)?) => {
        $(impl Call for $request {
            type Answer = $answer;

            async fn send(
                self,
                mut store: TikvClient<Channel>,
                context: Context,
            ) -> Result<$answer, Status> {
                let request = $request { context: Some(context), ..self };
                Ok(store.$method(request).await?.into_inner())
            }

            fn region_error(answer: &$answer) -> Option<&errorpb::Error> {
                answer.region_error.as_ref()
            }
        })+
    };
}

calls!(
    RawGetRequest => raw_get -> RawGetResponse,
    RawPutRequest => raw_put -> RawPutResponse,
    RawBatchPutRequest => raw_batch_put -> RawBatchPutResponse,
    RawDeleteRequest => raw_delete -> RawDeleteResponse,
    RawScanRequest => raw_scan -> RawScanResponse,
    BatchGetRequest => kv_batch_get -> BatchGetResponse,
    ScanRequest => kv_scan -> ScanResponse,
    PrewriteRequest => kv_prewrite -> PrewriteResponse,
    CommitRequest => kv_commit -> CommitResponse,
    BatchRollbackRequest => kv_batch_rollback -> BatchRollbackResponse,
    CheckTxnStatusRequest => kv_check_txn_status -> CheckTxnStatusResponse,
    ResolveLockRequest => kv_resolve_lock -> ResolveLockResponse,
    MvccGetByKeyRequest => mvcc_get_by_key -> MvccGetByKeyResponse,
    SplitRegionRequest => split_region -> SplitRegionResponse,
);

/// Sends a request of a transaction's client, to the peer that it names.
///
/// # Errors
/// The line's, and what no answer has a place for.
pub async fn deliver(request: Request, store: TikvClient<Channel>) -> Result<Response, Status> {
    macro_rules! by_name {
        ($($name:ident),+) => {
            match request {
                $(Request::$name(request) => {
                    let context = request.context.clone().unwrap_or_default();
                    Ok(Response::$name(request.send(store, context).await?))
                })+
            }
        };
    }
    by_name!(BatchGet, Prewrite, Commit, BatchRollback, CheckTxnStatus, ResolveLock)
}
