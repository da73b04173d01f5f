//! What stores ask of each other, and how one address serves several services.
//!
//! A store says on each stream who it is. Whether it is let in, its [`Neighbours`] say. That is no proof of anything; it is
//! there so that stores that were mixed up do not talk to each other.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};

use proto::raft_serverpb::{Done, RaftMessage, SnapshotChunk};
use proto::tikvpb::BatchRaftMessage;
use proto::tikvpb::tikv_server::{Tikv, TikvServer};
use standalone::server::{MAX_REQUEST_LEN, Stop};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::inputs::{Input, Inputs};
use super::transport::Neighbours;

/// Parts of snapshots that may wait for the loop, from all stores together. They are large, and other inputs are not.
const PARTS: usize = 64;

/// The three calls of `tikvpb.Tikv` between stores. Everything else is a client's.
pub struct StoreService<N: Neighbours> {
    neighbours: N,
    inputs: Inputs<N::Word>,
    parts: Arc<Semaphore>,
    stop: Stop,
}

/// Whether this is the path of a call between stores.
pub fn between_stores(path: &str) -> bool {
    matches!(path, "/tikvpb.Tikv/Raft" | "/tikvpb.Tikv/BatchRaft" | "/tikvpb.Tikv/Snapshot")
}

/// A number that somebody has put on a request to say who it is.
pub fn number(metadata: &MetadataMap, name: &str) -> Option<u64> {
    metadata.get(name)?.to_str().ok()?.parse().ok()
}

impl<N: Neighbours> StoreService<N> {
    /// Hands to the loop what the neighbours say, until the stop.
    pub fn new(neighbours: N, inputs: Inputs<N::Word>, stop: Stop) -> Self {
        StoreService { neighbours, inputs, parts: Arc::new(Semaphore::new(PARTS)), stop }
    }

    /// The service as tonic's server takes it, with our limit for requests.
    pub fn into_server(self) -> TikvServer<Self> {
        TikvServer::new(self).max_decoding_message_size(MAX_REQUEST_LEN)
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

#[tonic::async_trait]
impl<N: Neighbours> Tikv for StoreService<N> {
    async fn raft(
        &self,
        request: Request<Streaming<RaftMessage>>,
    ) -> Result<Response<Done>, Status> {
        let from = self.neighbours.admit(request.metadata()).await?;
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
        let from = self.neighbours.admit(request.metadata()).await?;
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
        let from = self.neighbours.admit(request.metadata()).await?;
        let mut stream = request.into_inner();
        let mut announced = None;
        while let Some(chunk) = self.next(&mut stream).await? {
            if let Some(message) = chunk.message {
                announced = Some(message).filter(|message| sent_by(from, message));
            } else if let Some(message) = &announced {
                let closed = |_| Status::unavailable("the store is going down");
                let room = self.parts.clone().acquire_owned().await.map_err(closed)?;
                let part = Input::Part(Box::new(message.clone()), chunk.data, room);
                self.inputs.put(part).await;
            }
        }
        Ok(Response::new(Done {}))
    }
}

/// Two services on one address: the first has the paths that it takes, the second one the rest.
#[derive(Clone)]
pub struct Fork<A, B> {
    /// Whether a path is the first one's.
    pub takes: fn(&str) -> bool,
    /// The first one, which is always ready, as tonic's servers are.
    pub first: A,
    /// The second one.
    pub second: B,
}

impl<A, B> Service<http::Request<Body>> for Fork<A, B>
where
    A: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    B: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    A::Future: Send + 'static,
    B::Future: Send + 'static,
{
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Infallible>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.second.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if (self.takes)(request.uri().path()) {
            Box::pin(self.first.call(request))
        } else {
            Box::pin(self.second.call(request))
        }
    }
}
