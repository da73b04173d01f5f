//! To other stores: a bounded queue and a connection each.
//!
//! [`Transport::send`] never waits. What does not fit into a store's queue is dropped, and so is what has waited while
//! its store could not be reached: by then it is stale, and Raft sends again what matters.

use std::collections::BTreeMap;
use std::time::Duration;

use proto::raft_serverpb::{RaftMessage, SnapshotChunk};
use proto::tikvpb::BatchRaftMessage;
use proto::tikvpb::tikv_client::TikvClient;
use tokio::runtime::Handle;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::sleep;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::driver::{Input, Inputs};
use super::service::Introduction;
use crate::store::SnapStream;

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

/// The ways to all other stores.
pub(super) struct Transport {
    queues: BTreeMap<u64, Sender<RaftMessage>>,
    addresses: BTreeMap<u64, String>,
    me: Introduction,
    inputs: Inputs,
    runtime: Handle,
}

impl Transport {
    /// Begins to connect to all these stores. Must be called on a tokio runtime, whose tasks carry it.
    pub(super) fn new(addresses: BTreeMap<u64, String>, me: Introduction, inputs: Inputs) -> Self {
        let queues = addresses
            .iter()
            .map(|(&store, address)| {
                let (queue, waiting) = channel(QUEUE);
                tokio::spawn(deliver(store, address.clone(), me, waiting, inputs.clone()));
                (store, queue)
            })
            .collect();
        Transport { queues, addresses, me, inputs, runtime: Handle::current() }
    }

    /// Sends a message, or drops it.
    pub(super) fn send(&self, message: RaftMessage) {
        let to = message.to_peer.map_or(0, |peer| peer.store_id);
        if let Some(queue) = self.queues.get(&to)
            && queue.try_send(message).is_err()
        {
            tracing::trace!(store = to, "the queue is full: dropped a message");
        }
    }

    /// Sends a snapshot on a stream of its own, and says what became of it.
    pub(super) fn stream(&self, stream: SnapStream) {
        let to = stream.to_store();
        let Some(address) = self.addresses.get(&to).cloned() else { return };
        let (me, inputs) = (self.me, self.inputs.clone());
        self.runtime.spawn(async move {
            let sent = tokio::time::timeout(SNAPSHOT, send_snapshot(address, me, stream)).await;
            let arrived = matches!(sent, Ok(Ok(())));
            tracing::info!(store = to, arrived, "snapshot sent");
            inputs.put(Input::SnapshotSent(to, arrived)).await;
        });
    }
}

async fn connect(address: &str) -> Result<TikvClient<Channel>, Status> {
    let endpoint = Endpoint::from_shared(format!("http://{address}"))
        .map_err(|e| Status::invalid_argument(e.to_string()))?
        .connect_timeout(CONNECT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(5))
        .keep_alive_timeout(Duration::from_secs(5));
    let channel = endpoint.connect().await.map_err(|e| Status::unavailable(e.to_string()))?;
    Ok(TikvClient::new(channel).max_encoding_message_size(usize::MAX))
}

/// Delivers what waits for a store, for ever, through however many connections it takes.
async fn deliver(
    store: u64,
    address: String,
    me: Introduction,
    mut waiting: Receiver<RaftMessage>,
    inputs: Inputs,
) {
    let mut pause = BACK_OFF.0;
    loop {
        match converse(store, &address, me, &mut waiting, &inputs, &mut pause).await {
            Ok(()) => return,
            Err(status) if status.code() == Code::FailedPrecondition => {
                let why = status.message().to_owned();
                inputs.put(Input::Rejected(why)).await;
                return;
            }
            Err(status) => tracing::debug!(store, error = status.message(), "cannot be reached"),
        }
        inputs.put(Input::Unreachable(store)).await;
        sleep(pause).await;
        pause = (pause * 2).min(BACK_OFF.1);
        // Stale by now.
        while waiting.try_recv().is_ok() {}
    }
}

/// One connection: an introduction, then messages until it breaks. `Ok`: there will be no more.
async fn converse(
    store: u64,
    address: &str,
    me: Introduction,
    waiting: &mut Receiver<RaftMessage>,
    inputs: &Inputs,
    pause: &mut Duration,
) -> Result<(), Status> {
    let mut client = connect(address).await?;
    client.raft(me.on(Request::new(tokio_stream::empty()))).await?;
    *pause = BACK_OFF.0;
    inputs.put(Input::Accepted(store)).await;

    let (frames, stream) = channel::<BatchRaftMessage>(FRAMES);
    let call = client.batch_raft(me.on(Request::new(ReceiverStream::new(stream))));
    tokio::pin!(call);
    loop {
        let first = tokio::select! {
            ended = &mut call => {
                return Err(ended.err().unwrap_or_else(|| Status::unavailable("the stream ended")));
            }
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
            ended = &mut call => {
                return Err(ended.err().unwrap_or_else(|| Status::unavailable("the stream ended")));
            }
            sent = frames.send(BatchRaftMessage { msgs }) => {
                if sent.is_err() {
                    return Err(Status::unavailable("the stream ended"));
                }
            }
        }
    }
}

async fn send_snapshot(
    address: String,
    me: Introduction,
    stream: SnapStream,
) -> Result<(), Status> {
    let mut client = connect(&address).await?;
    let (chunks, outgoing) = channel(4);
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
    client.snapshot(me.on(Request::new(ReceiverStream::new(outgoing)))).await?;
    let read = reading.await.map_err(|e| Status::internal(e.to_string()))?;
    read.map_err(|e| Status::internal(e.to_string()))
}
