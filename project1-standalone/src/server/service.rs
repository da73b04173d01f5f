//! The store's gRPC service: each call is handed to its handler, and what the handler could not say
//! in a response becomes a status.
//!
//! | what went wrong | where the client sees it | what the client does |
//! |---|---|---|
//! | wrong region, bad request | in the response ([`respond`]) | asks elsewhere, or tells its user |
//! | the answer is too large | status ResourceExhausted | should ask for less |
//! | this machine's data is damaged | status DataLoss | tries ten times, then tells its user |
//! | the disk failed | status Unavailable: *indefinite* | the same; a write may have happened |
//! | a raw scan that ends in the reserved last region | status OutOfRange, there | tells its user |
//! | not served here | status Unimplemented | tells its user |
//!
//! # Once begun, a write ends
//!
//! A client that hangs up or runs out of patience makes the server drop its call, wherever that is.
//! For a read this saves work. A write, though, holds latches, and it may be dropped when its batch
//! is already on the way to the disk: its latches would be free before the batch is visible, and a
//! compare-and-swap that comes next would read the old value and then overwrite a swap that it
//! never saw. So writes run as tasks of their own, to their end, whether or not anybody waits for
//! them.

use std::future::Future;

use proto::kvrpcpb::{
    RawBatchDeleteRequest, RawBatchDeleteResponse, RawBatchGetRequest, RawBatchGetResponse,
    RawBatchPutRequest, RawBatchPutResponse, RawBatchScanRequest, RawBatchScanResponse,
    RawCasRequest, RawCasResponse, RawDeleteRangeRequest, RawDeleteRangeResponse, RawDeleteRequest,
    RawDeleteResponse, RawGetKeyTtlRequest, RawGetKeyTtlResponse, RawGetRequest, RawGetResponse,
    RawPutRequest, RawPutResponse, RawScanRequest, RawScanResponse,
};
use proto::tikvpb::tikv_server::{Tikv, TikvServer};
use tonic::{Request, Response, Status};

use super::apart;
use crate::keys::TAIL_START;
use crate::raw::{self, RawApi, respond};
use crate::{Error, Result, Storage};

/// The largest request that is read, in bytes (64 MiB). gRPC's default of 4 MiB is too small:
/// official clients put all keys of one region's batch get into one request.
pub const MAX_REQUEST_LEN: usize = 64 << 20;

/// `tikvpb.Tikv` over a storage: the raw calls. The others answer UNIMPLEMENTED.
pub struct TikvService<S> {
    raw: RawApi<S>,
}

impl<S: Storage> TikvService<S> {
    /// The service of these handlers.
    pub fn new(raw: RawApi<S>) -> Self {
        TikvService { raw }
    }

    /// The service as tonic's server takes it, with our limit for requests.
    pub fn into_server(self) -> TikvServer<Self> {
        TikvServer::new(self).max_decoding_message_size(MAX_REQUEST_LEN)
    }
}

type Answer<R> = Result<Response<R>, Status>;

/// What the client is told, given what a handler said.
fn answer<R: raw::Response>(result: Result<R>) -> Answer<R> {
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

/// Whether this is the last part of a scan that the official Rust client would not end.
///
/// It goes on behind each region's end, and the end of the last region is the empty key, where the first one begins: it would read everything
/// again, until it has as many pairs as it wants, or for ever. A status, since that alone ends the client's scan at
/// once.
fn wraps(request: &RawScanRequest) -> bool {
    !request.reverse && request.start_key >= TAIL_START[..] && !request.end_key.is_empty()
}

/// Runs a write to its end, even if nobody waits for it any more: see the module.
async fn to_the_end<R: Send + 'static>(
    write: impl Future<Output = Result<R>> + Send + 'static,
) -> Result<R> {
    tokio::spawn(write).await.unwrap_or_else(|panic| {
        Err(Error::Io { doing: "finish a write", what: format!("a bug of ours: {panic}") })
    })
}

#[tonic::async_trait]
impl<S: Storage> Tikv for TikvService<S> {
    async fn raw_get(&self, request: Request<RawGetRequest>) -> Answer<RawGetResponse> {
        answer(self.raw.raw_get(request.into_inner()).await)
    }

    async fn raw_batch_get(
        &self,
        request: Request<RawBatchGetRequest>,
    ) -> Answer<RawBatchGetResponse> {
        answer(self.raw.raw_batch_get(request.into_inner()).await)
    }

    async fn raw_get_key_ttl(
        &self,
        request: Request<RawGetKeyTtlRequest>,
    ) -> Answer<RawGetKeyTtlResponse> {
        answer(self.raw.raw_get_key_ttl(request.into_inner()).await)
    }

    async fn raw_scan(&self, request: Request<RawScanRequest>) -> Answer<RawScanResponse> {
        let (raw, request) = (self.raw.clone(), request.into_inner());
        if wraps(&request) {
            return Err(Status::out_of_range(
                "the scan ends in the reserved last region, from nine ff bytes on: give it a lower end",
            ));
        }
        answer(apart(async move { raw.raw_scan(request).await }).await.flatten())
    }

    async fn raw_batch_scan(
        &self,
        request: Request<RawBatchScanRequest>,
    ) -> Answer<RawBatchScanResponse> {
        let raw = self.raw.clone();
        answer(apart(async move { raw.raw_batch_scan(request.into_inner()).await }).await.flatten())
    }

    async fn raw_put(&self, request: Request<RawPutRequest>) -> Answer<RawPutResponse> {
        let raw = self.raw.clone();
        answer(to_the_end(async move { raw.raw_put(request.into_inner()).await }).await)
    }

    async fn raw_batch_put(
        &self,
        request: Request<RawBatchPutRequest>,
    ) -> Answer<RawBatchPutResponse> {
        let raw = self.raw.clone();
        answer(to_the_end(async move { raw.raw_batch_put(request.into_inner()).await }).await)
    }

    async fn raw_delete(&self, request: Request<RawDeleteRequest>) -> Answer<RawDeleteResponse> {
        let raw = self.raw.clone();
        answer(to_the_end(async move { raw.raw_delete(request.into_inner()).await }).await)
    }

    async fn raw_batch_delete(
        &self,
        request: Request<RawBatchDeleteRequest>,
    ) -> Answer<RawBatchDeleteResponse> {
        let raw = self.raw.clone();
        answer(to_the_end(async move { raw.raw_batch_delete(request.into_inner()).await }).await)
    }

    async fn raw_delete_range(
        &self,
        request: Request<RawDeleteRangeRequest>,
    ) -> Answer<RawDeleteRangeResponse> {
        let raw = self.raw.clone();
        answer(to_the_end(async move { raw.raw_delete_range(request.into_inner()).await }).await)
    }

    async fn raw_compare_and_swap(
        &self,
        request: Request<RawCasRequest>,
    ) -> Answer<RawCasResponse> {
        let raw = self.raw.clone();
        answer(
            to_the_end(async move { raw.raw_compare_and_swap(request.into_inner()).await }).await,
        )
    }
}
