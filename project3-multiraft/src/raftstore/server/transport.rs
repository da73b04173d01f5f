//! To other stores: a bounded queue and a connection each.
//!
//! [`Transport::send`] never waits. What does not fit into a store's queue is dropped, and so is what has waited while
//! its store could not be reached: by then it is stale, and Raft sends again what matters. Where a store is, the
//! scheduler says; it is asked again before each connection, since stores may move.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::pdpb::GetStoreRequest;
use proto::raft_serverpb::{RaftMessage, SnapshotChunk};
use proto::tikvpb::BatchRaftMessage;
use proto::tikvpb::tikv_client::TikvClient;
use raftkv::store::SnapStream;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Status};

use super::driver::{Input, Inputs};
use super::reports::Pd;
use super::service::Introduction;

/// Messages that may wait for a store.
const QUEUE: usize = 4096;

/// Messages that go into one frame, and frames that may be under way.
const BATCH: usize = 128;
const FRAMES: usize = 16;

/// Between two attempts to connect.
const BACK_OFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));

/// How long a snapshot may take, and a connection.
const SNAPSHOT: Duration = Duration::from_secs(300);
const CONNECT: Duration = Duration::from_secs(1);

/// The ways to other stores; one is made when there is something for it.
pub(super) struct Transport {
    queues: BTreeMap<u64, Sender<RaftMessage>>,
    line: Line,
    runtime: Handle,
}

/// What it takes to reach a store.
#[derive(Clone)]
struct Line {
    me: Introduction,
    pd: Pd,
    inputs: Inputs,
}

impl Transport {
    /// Must be called on a tokio runtime, whose tasks carry it.
    pub(super) fn new(me: Introduction, pd: Pd, inputs: Inputs) -> Self {
        let (queues, line) = (BTreeMap::new(), Line { me, pd, inputs });
        Transport { queues, line, runtime: Handle::current() }
    }

    /// Sends a message, or drops it.
    pub(super) fn send(&mut self, message: RaftMessage) {
        let to = message.to_peer.map_or(0, |peer| peer.store_id);
        let queue = self.queues.entry(to).or_insert_with(|| {
            let (queue, waiting) = channel(QUEUE);
            self.runtime.spawn(self.line.clone().deliver(to, waiting));
            queue
        });
        if queue.try_send(message).is_err() {
            tracing::trace!(store = to, "the queue is full: dropped a message");
        }
    }

    /// Sends a snapshot on a stream of its own, and says what became of it.
    pub(super) fn stream(&self, stream: SnapStream) {
        let (region, to) = (stream.message.region_id, stream.to_store());
        let line = self.line.clone();
        self.runtime.spawn(async move {
            let inputs = line.inputs.clone();
            let sent = tokio::time::timeout(SNAPSHOT, line.send_snapshot(to, stream)).await;
            let arrived = matches!(sent, Ok(Ok(())));
            tracing::info!(region, store = to, arrived, "snapshot sent");
            inputs.put(Input::SnapshotSent { region, to, arrived }).await;
        });
    }
}

impl Line {
    async fn connect(&self, store: u64) -> Result<TikvClient<Channel>, Status> {
        let request = GetStoreRequest { header: Some(self.pd.header()), store_id: store };
        let answer = self.pd.client().get_store(request).await?.into_inner();
        let address = answer.store.map(|store| store.address).unwrap_or_default();
        if address.is_empty() {
            return Err(Status::not_found("the scheduler does not know where it is"));
        }
        let endpoint = Endpoint::from_shared(format!("http://{address}"))
            .map_err(|e| Status::invalid_argument(e.to_string()))?
            .connect_timeout(CONNECT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(Duration::from_secs(5))
            .keep_alive_timeout(Duration::from_secs(5));
        let channel = endpoint.connect().await.map_err(|e| Status::unavailable(e.to_string()))?;
        Ok(TikvClient::new(channel).max_encoding_message_size(usize::MAX))
    }

    /// Delivers what waits for a store, through however many connections it takes.
    async fn deliver(self, store: u64, mut waiting: Receiver<RaftMessage>) {
        let mut pause = BACK_OFF.0;
        loop {
            match self.converse(store, &mut waiting, &mut pause).await {
                Ok(()) => return,
                Err(status) => {
                    tracing::debug!(store, error = status.message(), "cannot be reached");
                }
            }
            self.inputs.put(Input::Unreachable(store)).await;
            sleep(pause).await;
            pause = (pause * 2).min(BACK_OFF.1);
            // Stale by now.
            while waiting.try_recv().is_ok() {}
        }
    }

    /// One connection: messages until it breaks. `Ok`: there will be no more.
    async fn converse(
        &self,
        store: u64,
        waiting: &mut Receiver<RaftMessage>,
        pause: &mut Duration,
    ) -> Result<(), Status> {
        let mut client = self.connect(store).await?;
        *pause = BACK_OFF.0;
        let (frames, stream) = channel::<BatchRaftMessage>(FRAMES);
        let call = client.batch_raft(self.me.on(Request::new(ReceiverStream::new(stream))));
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

    async fn send_snapshot(self, to: u64, stream: SnapStream) -> Result<(), Status> {
        let mut client = self.connect(to).await?;
        let (chunks, outgoing) = channel(4);
        let reading = tokio::task::spawn_blocking(move || -> raftkv::Result<()> {
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
        client.snapshot(self.me.on(Request::new(ReceiverStream::new(outgoing)))).await?;
        let read = reading.await.map_err(|e| Status::internal(e.to_string()))?;
        read.map_err(|e| Status::internal(e.to_string()))
    }
}
