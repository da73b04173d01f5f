//! To other stores: a bounded queue and a connection each.
//!
//! [`Transport::send`] never waits. What does not fit into a store's queue is dropped, and so is what has waited while
//! its store could not be reached: by then it is stale, and Raft sends again what matters. Where a store is, what is
//! said at a connection's beginning, and who may come, are the [`Neighbours`]' business.

use std::collections::BTreeMap;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use proto::raft_serverpb::{RaftMessage, SnapshotChunk};
use proto::tikvpb::BatchRaftMessage;
use proto::tikvpb::tikv_client::TikvClient;
use tokio::runtime::Handle;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::inputs::{Input, Inputs};
use crate::store::SnapStream;

/// Messages that may wait for a store.
const QUEUE: usize = 4096;

/// Messages that go into one frame, and frames that may be under way.
const BATCH: usize = 128;
const FRAMES: usize = 16;

/// Chunks of a snapshot that may be under way.
const CHUNKS: usize = 4;

/// Between two attempts to connect.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How long a snapshot may take, and a connection.
const SNAPSHOT: Duration = Duration::from_secs(300);
const CONNECT: Duration = Duration::from_secs(1);

/// What stores must settle before they talk.
pub trait Neighbours: Send + Sync + 'static {
    /// What the loop may have to hear of it; see [`Input`].
    type Word: Send + 'static;

    /// Where a store is now: asked before each connection, since stores may move.
    ///
    /// # Errors
    /// Nobody knows, for now. `NotFound`: there is no such store, and the way there is given up until somebody has a
    /// message for it again.
    fn address_of(&self, store: u64) -> impl Future<Output = Result<String, Status>> + Send;

    /// Says on a request who we are.
    fn introduce(&self, metadata: &mut MetadataMap);

    /// Who is on the line, if it is somebody whom we let in.
    ///
    /// # Errors
    /// What the other is told. `FailedPrecondition`: it will never be let in.
    fn admit(&self, metadata: &MetadataMap) -> impl Future<Output = Result<u64, Status>> + Send;

    /// This store lets us in.
    fn admitted(&self, _store: u64) -> Option<Self::Word> {
        None
    }

    /// Somebody will never let us in.
    fn rejected(&self, _why: &str) -> Option<Self::Word> {
        None
    }
}

/// The ways to other stores; one is made when there is something for it.
pub struct Transport<N: Neighbours> {
    queues: BTreeMap<u64, Sender<RaftMessage>>,
    line: Arc<Line<N>>,
    runtime: Handle,
}

/// What it takes to reach a store.
struct Line<N: Neighbours> {
    neighbours: N,
    inputs: Inputs<N::Word>,
}

impl<N: Neighbours> Transport<N> {
    /// Must be called on a tokio runtime, whose tasks carry it.
    pub fn new(neighbours: N, inputs: Inputs<N::Word>) -> Self {
        let (queues, line) = (BTreeMap::new(), Arc::new(Line { neighbours, inputs }));
        Transport { queues, line, runtime: Handle::current() }
    }

    /// The way to a store. It is there from now on, connected as often as it takes, until the transport is dropped, or
    /// there is no such store.
    pub fn way(&mut self, to: u64) -> &Sender<RaftMessage> {
        if !self.queues.contains_key(&to) {
            // Who sends us messages that name stores which do not exist fills no memory.
            self.queues.retain(|_, queue| !queue.is_closed());
        }
        self.queues.entry(to).or_insert_with(|| {
            let (queue, waiting) = channel(QUEUE);
            self.runtime.spawn(self.line.clone().deliver(to, waiting));
            queue
        })
    }

    /// Sends a message, or drops it.
    pub fn send(&mut self, message: RaftMessage) {
        let to = message.to_peer.map_or(0, |peer| peer.store_id);
        match self.way(to).try_send(message) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::trace!(store = to, "the queue is full: dropped a message");
            }
            // Given up: the next message finds a new one.
            Err(TrySendError::Closed(_)) => drop(self.queues.remove(&to)),
        }
    }

    /// Sends a snapshot on a stream of its own, and says what became of it.
    pub fn stream(&self, stream: SnapStream) {
        let (region, to) = (stream.message.region_id, stream.to_store());
        let line = self.line.clone();
        self.runtime.spawn(async move {
            let sent = timeout(SNAPSHOT, line.send_snapshot(to, stream)).await;
            let arrived = matches!(sent, Ok(Ok(())));
            tracing::info!(region, store = to, arrived, "snapshot sent");
            line.inputs.put(Input::SnapshotSent { region, to, arrived }).await;
        });
    }
}

impl<N: Neighbours> Line<N> {
    async fn connect(&self, store: u64) -> Result<TikvClient<Channel>, Status> {
        let address = self.neighbours.address_of(store).await?;
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|e| Status::invalid_argument(e.to_string()))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(5))
            .keep_alive_timeout(Duration::from_secs(5));
        let channel = endpoint.connect().await.map_err(|e| Status::unavailable(e.to_string()))?;
        Ok(TikvClient::new(channel).max_encoding_message_size(usize::MAX))
    }

    fn on<T>(&self, stream: T) -> Request<T> {
        let mut request = Request::new(stream);
        self.neighbours.introduce(request.metadata_mut());
        request
    }

    async fn tell(&self, word: Option<N::Word>) {
        if let Some(word) = word {
            self.inputs.put(Input::Word(word)).await;
        }
    }

    /// Delivers what waits for a store, through however many connections it takes.
    async fn deliver(self: Arc<Self>, store: u64, mut waiting: Receiver<RaftMessage>) {
        let mut pause = BACK_OFF.0;
        while let Err(status) = self.converse(store, &mut waiting, &mut pause).await {
            tracing::debug!(store, error = status.message(), "cannot be reached");
            if status.code() == Code::FailedPrecondition {
                self.tell(self.neighbours.rejected(status.message())).await;
            }
            self.inputs.put(Input::Unreachable(store)).await;
            sleep(pause).await;
            pause = (pause * 2).min(BACK_OFF.1);
            // Stale by now.
            while waiting.try_recv().is_ok() {}
            if waiting.is_closed() || status.code() == Code::NotFound {
                return;
            }
        }
    }

    /// One connection: an introduction, then messages until it breaks. `Ok`: there will be no more.
    async fn converse(
        &self,
        store: u64,
        waiting: &mut Receiver<RaftMessage>,
        pause: &mut Duration,
    ) -> Result<(), Status> {
        let mut client = self.connect(store).await?;
        client.raft(self.on(tokio_stream::empty())).await?;
        *pause = BACK_OFF.0;
        self.tell(self.neighbours.admitted(store)).await;

        let (frames, stream) = channel::<BatchRaftMessage>(FRAMES);
        let call = client.batch_raft(self.on(ReceiverStream::new(stream)));
        tokio::pin!(call);
        let ended = || Status::unavailable("the stream ended");
        loop {
            let first = tokio::select! {
                done = &mut call => return Err(done.err().unwrap_or_else(ended)),
                first = waiting.recv() => first,
            };
            let Some(first) = first else { return Ok(()) };
            let mut msgs = vec![first];
            while msgs.len() < BATCH
                && let Ok(next) = waiting.try_recv()
            {
                msgs.push(next);
            }
            tokio::select! {
                done = &mut call => return Err(done.err().unwrap_or_else(ended)),
                sent = frames.send(BatchRaftMessage { msgs }) => sent.map_err(|_| ended())?,
            }
        }
    }

    async fn send_snapshot(&self, to: u64, stream: SnapStream) -> Result<(), Status> {
        let mut client = self.connect(to).await?;
        let (chunks, outgoing) = channel(CHUNKS);
        let reading = tokio::task::spawn_blocking(move || -> crate::Result<()> {
            let first = SnapshotChunk { message: Some(stream.message), ..Default::default() };
            let mut parts = stream.source.parts();
            let mut next = Some(first);
            while let Some(chunk) = next {
                // An error: the receiver hung up, and the call says why.
                if chunks.blocking_send(chunk).is_err() {
                    return Ok(());
                }
                next = parts
                    .next_part()?
                    .map(|part| SnapshotChunk { message: None, data: part.encode().into() });
            }
            Ok(())
        });
        client.snapshot(self.on(ReceiverStream::new(outgoing))).await?;
        let read = reading.await.map_err(|e| Status::internal(e.to_string()))?;
        read.map_err(|e| Status::internal(e.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use proto::metapb::Peer;

    use super::*;

    /// Knows of no store at all.
    struct Nobody;

    impl Neighbours for Nobody {
        type Word = ();

        async fn address_of(&self, _: u64) -> Result<String, Status> {
            Err(Status::not_found("there is no such store"))
        }

        fn introduce(&self, _: &mut MetadataMap) {}

        async fn admit(&self, _: &MetadataMap) -> Result<u64, Status> {
            Err(Status::not_found("there is no such store"))
        }
    }

    fn message(store_id: u64) -> RaftMessage {
        let to_peer = Some(Peer { store_id, ..Peer::default() });
        RaftMessage { to_peer, ..RaftMessage::default() }
    }

    #[tokio::test]
    async fn the_way_to_a_store_that_does_not_exist_is_given_up() {
        let (inputs, _loop) = Inputs::new();
        let mut transport = Transport::new(Nobody, inputs);
        for store in 1..=100 {
            transport.send(message(store));
        }
        assert_eq!(transport.queues.len(), 100);
        let all_are_closed = async {
            while transport.queues.values().any(|queue| !queue.is_closed()) {
                sleep(Duration::from_millis(10)).await;
            }
        };
        timeout(Duration::from_secs(60), all_are_closed).await.expect("all are given up");
        transport.send(message(101));
        assert_eq!(transport.queues.len(), 1, "and forgotten");
        assert!(!transport.way(101).is_closed(), "a message finds a new way");
    }
}
