//! What others ask of this store: clients (project 1's calls, unchanged), and stores.

use proto::kvrpcpb::{
    RawBatchDeleteRequest, RawBatchDeleteResponse, RawBatchGetRequest, RawBatchGetResponse,
    RawBatchPutRequest, RawBatchPutResponse, RawBatchScanRequest, RawBatchScanResponse,
    RawCasRequest, RawCasResponse, RawDeleteRangeRequest, RawDeleteRangeResponse, RawDeleteRequest,
    RawDeleteResponse, RawGetKeyTtlRequest, RawGetKeyTtlResponse, RawGetRequest, RawGetResponse,
    RawPutRequest, RawPutResponse, RawScanRequest, RawScanResponse,
};
use proto::raft_serverpb::{Done, RaftMessage, SnapshotChunk};
use proto::tikvpb::BatchRaftMessage;
use proto::tikvpb::tikv_server::{Tikv, TikvServer};
use standalone::server::{MAX_REQUEST_LEN, Stop, TikvService};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::driver::{Input, Inputs};
use crate::RaftStorage;
use crate::callback::callback;
use crate::store::Request as Asked;

/// Who a store says that it is, on each of its streams.
#[derive(Debug, Clone, Copy)]
pub(super) struct Introduction {
    pub(super) store: u64,
    pub(super) disk: u64,
}

const STORE: &str = "raftkv-store";
const DISK: &str = "raftkv-disk";

impl Introduction {
    /// Puts it on a request.
    pub(super) fn on<T>(self, mut request: Request<T>) -> Request<T> {
        request.metadata_mut().insert(STORE, self.store.into());
        request.metadata_mut().insert(DISK, self.disk.into());
        request
    }

    fn of(metadata: &MetadataMap) -> Result<Self, Status> {
        let number = |name: &str| metadata.get(name)?.to_str().ok()?.parse().ok();
        let (Some(store), Some(disk)) = (number(STORE), number(DISK)) else {
            return Err(Status::unauthenticated("a store must say who it is"));
        };
        Ok(Introduction { store, disk })
    }
}

/// `tikvpb.Tikv`: raw calls go to project 1's service, what stores say goes to the loop.
pub(super) struct RaftService {
    raw: TikvService<RaftStorage<Inputs>>,
    inputs: Inputs,
    stop: Stop,
}

impl RaftService {
    pub(super) fn new(raw: TikvService<RaftStorage<Inputs>>, inputs: Inputs, stop: Stop) -> Self {
        RaftService { raw, inputs, stop }
    }

    pub(super) fn into_server(self) -> TikvServer<Self> {
        TikvServer::new(self).max_decoding_message_size(MAX_REQUEST_LEN)
    }

    /// Who is on the line, if it is somebody whom we let in.
    async fn admit(&self, metadata: &MetadataMap) -> Result<u64, Status> {
        let Introduction { store, disk } = Introduction::of(metadata)?;
        let (callback, welcome) = callback();
        self.inputs.put(Input::Request(Asked::Meet { store, disk, callback })).await;
        match welcome.await {
            Some(true) => Ok(store),
            Some(false) => Err(Status::failed_precondition(format!(
                "store {store} is known by another disk, or is no member: a voter that has lost its memory must not \
                 vote under its old name. Replace it by a new store with a new id"
            ))),
            None => Err(Status::unavailable("the store is going down")),
        }
    }

    /// The next item of a stream; `None` at its end.
    async fn next<T>(&self, stream: &mut Streaming<T>) -> Result<Option<T>, Status> {
        tokio::select! {
            biased;
            () = self.stop.clone().thrown() => Err(Status::unavailable("the store is going down")),
            next = stream.message() => next,
        }
    }

    /// A message goes to the loop, if it is from whom the connection says.
    async fn hand_on(&self, from: u64, message: RaftMessage) {
        if sent_by(from, &message) {
            self.inputs.put(Input::Message(Box::new(message))).await;
        }
    }
}

fn sent_by(store: u64, message: &RaftMessage) -> bool {
    message.from_peer.is_some_and(|peer| peer.store_id == store)
}

macro_rules! raw_calls {
    ($($call:ident: $request:ty => $response:ty),+ $(,)?) => {
        #[tonic::async_trait]
        impl Tikv for RaftService {
            $(async fn $call(&self, request: Request<$request>) -> Result<Response<$response>, Status> {
                self.raw.$call(request).await
            })+

            async fn raft(
                &self,
                request: Request<Streaming<RaftMessage>>,
            ) -> Result<Response<Done>, Status> {
                let from = self.admit(request.metadata()).await?;
                let mut stream = request.into_inner();
                while let Some(message) = self.next(&mut stream).await? {
                    self.hand_on(from, message).await;
                }
                Ok(Response::new(Done {}))
            }

            async fn batch_raft(
                &self,
                request: Request<Streaming<BatchRaftMessage>>,
            ) -> Result<Response<Done>, Status> {
                let from = self.admit(request.metadata()).await?;
                let mut stream = request.into_inner();
                while let Some(batch) = self.next(&mut stream).await? {
                    for message in batch.msgs {
                        self.hand_on(from, message).await;
                    }
                }
                Ok(Response::new(Done {}))
            }

            async fn snapshot(
                &self,
                request: Request<Streaming<SnapshotChunk>>,
            ) -> Result<Response<Done>, Status> {
                let from = self.admit(request.metadata()).await?;
                let mut stream = request.into_inner();
                let mut announced = None;
                while let Some(chunk) = self.next(&mut stream).await? {
                    if let Some(message) = chunk.message {
                        announced = Some(message).filter(|message| sent_by(from, message));
                    } else if let Some(message) = &announced {
                        let part = Input::Part(Box::new(message.clone()), chunk.data);
                        self.inputs.put(part).await;
                    }
                }
                Ok(Response::new(Done {}))
            }
        }
    };
}

raw_calls! {
    raw_get: RawGetRequest => RawGetResponse,
    raw_batch_get: RawBatchGetRequest => RawBatchGetResponse,
    raw_get_key_ttl: RawGetKeyTtlRequest => RawGetKeyTtlResponse,
    raw_scan: RawScanRequest => RawScanResponse,
    raw_batch_scan: RawBatchScanRequest => RawBatchScanResponse,
    raw_put: RawPutRequest => RawPutResponse,
    raw_batch_put: RawBatchPutRequest => RawBatchPutResponse,
    raw_delete: RawDeleteRequest => RawDeleteResponse,
    raw_batch_delete: RawBatchDeleteRequest => RawBatchDeleteResponse,
    raw_delete_range: RawDeleteRangeRequest => RawDeleteRangeResponse,
    raw_compare_and_swap: RawCasRequest => RawCasResponse,
}
