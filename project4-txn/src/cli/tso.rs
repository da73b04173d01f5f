//! Timestamps, many at a time.
//!
//! Whoever wants one leaves a place for it; while one request is under way the next ones gather, and go as one. So a
//! thousand transactions a second cost as many questions as there are round trips in that second.

use std::time::Duration;

use multiraft::raftstore::server::Pd;
use proto::pdpb::TsoRequest;
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use txn::TimeStamp;

/// Those who wait for a place in a request: when there are more, they wait for that, too.
const WAITING: usize = 1024;

/// The most timestamps that go into one request. Official clients ask for so many.
const BATCH: usize = 64;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(2);

type Place = oneshot::Sender<TimeStamp>;

/// Asks the scheduler for timestamps.
pub struct Tso(mpsc::Sender<Place>);

impl Tso {
    /// Must be called on a tokio runtime. Ends when it is dropped.
    pub fn new(pd: Pd) -> Tso {
        let (queue, places) = mpsc::channel(WAITING);
        tokio::spawn(serve(pd, places));
        Tso(queue)
    }

    /// A timestamp that is larger than all that were handed out before this was called; none if the scheduler did not
    /// answer.
    pub async fn get(&self) -> Option<TimeStamp> {
        let (place, filled) = oneshot::channel();
        self.0.send(place).await.ok()?;
        filled.await.ok()
    }
}

async fn serve(pd: Pd, mut places: mpsc::Receiver<Place>) {
    while let Some(first) = places.recv().await {
        // Whose request has failed finds out by a place that is dropped, and decides whether to ask again.
        if let Err(status) = converse(&pd, &mut places, first).await {
            tracing::debug!(error = status.message(), "no timestamps");
        }
    }
}

/// One stream, until it breaks or nobody asks any more.
async fn converse(pd: &Pd, queue: &mut mpsc::Receiver<Place>, first: Place) -> Result<(), Status> {
    let (asks, stream) = mpsc::channel(1);
    let mut answers = pd.client().tso(ReceiverStream::new(stream)).await?.into_inner();
    let ended = || Status::unavailable("the stream has ended");
    let mut places = vec![first];
    loop {
        while places.len() < BATCH
            && let Ok(place) = queue.try_recv()
        {
            places.push(place);
        }
        let count = u32::try_from(places.len()).unwrap_or(u32::MAX);
        let ask = TsoRequest { header: Some(pd.header()), count, ..Default::default() };
        asks.send(ask).await.map_err(|_| ended())?;
        let answer = timeout(PATIENCE, answers.message()).await;
        let answer = answer.map_err(|_| Status::deadline_exceeded("no answer"))??;
        let largest = answer.and_then(|answer| answer.timestamp).ok_or_else(ended)?;
        let largest = (largest.physical.cast_unsigned() << 18) + largest.logical.cast_unsigned();
        // The answer names the largest of the batch.
        for (behind, place) in (0..).zip(places.drain(..).rev()) {
            let _ = place.send(TimeStamp::new(largest - behind));
        }
        match queue.recv().await {
            Some(place) => places.push(place),
            None => return Ok(()),
        }
    }
}
