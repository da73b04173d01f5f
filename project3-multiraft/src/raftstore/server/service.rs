//! What other stores ask of this one.
//!
//! A store says on each stream who it is and to which cluster it belongs. That is no proof of anything; it is there so
//! that two clusters whose addresses were mixed up do not talk to each other.

use proto::raft_serverpb::{Done, RaftMessage, SnapshotChunk};
use proto::tikvpb::BatchRaftMessage;
use proto::tikvpb::tikv_server::{Tikv, TikvServer};
use standalone::server::{MAX_REQUEST_LEN, Stop};
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

use super::driver::{Input, Inputs};

const STORE: &str = "multiraft-store";
const CLUSTER: &str = "multiraft-cluster";

/// Who a store says that it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Introduction {
    pub(super) store: u64,
    pub(super) cluster: u64,
}

impl Introduction {
    /// Puts it on a request.
    pub(super) fn on<T>(self, mut request: Request<T>) -> Request<T> {
        request.metadata_mut().insert(STORE, self.store.into());
        request.metadata_mut().insert(CLUSTER, self.cluster.into());
        request
    }

    fn of(metadata: &MetadataMap) -> Result<Self, Status> {
        let number = |name: &str| metadata.get(name)?.to_str().ok()?.parse().ok();
        let (Some(store), Some(cluster)) = (number(STORE), number(CLUSTER)) else {
            return Err(Status::unauthenticated(
                "a store must say who it is, and of which cluster",
            ));
        };
        Ok(Introduction { store, cluster })
    }
}

/// The three calls of `tikvpb.Tikv` between stores.
pub(super) struct StoreService {
    me: Introduction,
    inputs: Inputs,
    stop: Stop,
}

/// The paths of those calls: everything else is a client's.
pub(super) const BETWEEN_STORES: [&str; 3] =
    ["/tikvpb.Tikv/Raft", "/tikvpb.Tikv/BatchRaft", "/tikvpb.Tikv/Snapshot"];

impl StoreService {
    pub(super) fn new(me: Introduction, inputs: Inputs, stop: Stop) -> Self {
        StoreService { me, inputs, stop }
    }

    pub(super) fn into_server(self) -> TikvServer<Self> {
        TikvServer::new(self).max_decoding_message_size(MAX_REQUEST_LEN)
    }

    /// Who is on the line, if it is one of ours.
    fn admit(&self, metadata: &MetadataMap) -> Result<u64, Status> {
        let Introduction { store, cluster } = Introduction::of(metadata)?;
        if cluster == self.me.cluster {
            return Ok(store);
        }
        let own = self.me.cluster;
        Err(Status::failed_precondition(format!(
            "this store belongs to cluster {own}, and store {store} to cluster {cluster}"
        )))
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
impl Tikv for StoreService {
    async fn raft(
        &self,
        request: Request<Streaming<RaftMessage>>,
    ) -> Result<Response<Done>, Status> {
        let from = self.admit(request.metadata())?;
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
        let from = self.admit(request.metadata())?;
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
        let from = self.admit(request.metadata())?;
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
