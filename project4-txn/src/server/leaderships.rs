//! Which regions this store leads, and whether `max_ts` covers what was read there before.
//!
//! A store that begins to lead a region has not served the reads of the last leader. So the observer, which runs in the
//! store's loop before anything of the round leaves it, declares the region *unsynced*; and a task asks the scheduler
//! for a timestamp **afterwards**. That one is larger than every timestamp that anybody could have read with
//! before, and with it the region is in sync.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use multiraft::raftstore::server::Pd;
use proto::kvrpcpb::Context;
use proto::pdpb::TsoRequest;
use raftkv::observer::{PeerObserver, PeerView};
use standalone::server::Stop;
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tonic::Status;

use crate::{Concurrency, TimeStamp};

/// Between two attempts to get a timestamp.
const PAUSE: Duration = Duration::from_millis(100);

/// How long an attempt may take.
const PATIENCE: Duration = Duration::from_secs(2);

/// What a store leads. Clones share it.
#[derive(Clone)]
pub(super) struct Leaderships {
    concurrency: Concurrency,
    // A lock because the loop writes and tasks read; held for a few map operations.
    state: Arc<Mutex<State>>,
    begun: Arc<Notify>,
}

#[derive(Default)]
struct State {
    led: BTreeMap<u64, PeerView>,
    /// Regions that wait for a timestamp, and since which term. At most one entry a region.
    fresh: BTreeMap<u64, u64>,
}

impl Leaderships {
    /// None. They are told to `concurrency`.
    pub(super) fn new(concurrency: Concurrency) -> Self {
        Leaderships { concurrency, state: Arc::default(), begun: Arc::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing below panics while it holds the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The regions that this store leads, as far as it knows.
    pub(super) fn all(&self) -> Vec<PeerView> {
        self.state().led.values().cloned().collect()
    }

    /// A region that this store leads.
    pub(super) fn get(&self, region: u64) -> Option<PeerView> {
        self.state().led.get(&region).cloned()
    }

    /// Brings regions into sync, until the store ends.
    pub(super) async fn synchronise(self, pd: Pd, stop: Stop) {
        let forever = async {
            loop {
                self.begun.notified().await;
                let fresh = std::mem::take(&mut self.state().fresh);
                // Asked for now: after all of these leaderships have begun.
                let ts = loop {
                    match timestamp(&pd).await {
                        Ok(ts) => break ts,
                        Err(status) => tracing::debug!(error = status.message(), "no timestamp"),
                    }
                    sleep(PAUSE).await;
                };
                for (region, term) in fresh {
                    self.concurrency.sync(region, term, ts);
                }
            }
        };
        tokio::select! {
            () = stop.thrown() => {}
            () = forever => {}
        }
    }
}

impl PeerObserver for Leaderships {
    fn changed(&mut self, view: &PeerView) {
        let region = &view.region;
        let mut state = self.state();
        if !view.is_leader {
            state.led.remove(&region.id);
            return;
        }
        let before = state.led.insert(region.id, view.clone());
        if before.is_some_and(|before| before.term == view.term) {
            return;
        }
        state.fresh.insert(region.id, view.term);
        drop(state);
        self.concurrency.unsync(region.id, view.term);
        self.concurrency.forget(&region.start_key, &region.end_key);
        self.begun.notify_one();
    }
}

/// What a request to a region says when this store makes it for itself.
pub(super) fn context(view: &PeerView) -> Context {
    Context {
        region_id: view.region.id,
        region_epoch: view.region.region_epoch,
        peer: Some(view.me),
        ..Default::default()
    }
}

/// A timestamp that is larger than all that were handed out before this was called.
///
/// # Errors
/// The scheduler cannot be reached, or refuses.
pub async fn timestamp(pd: &Pd) -> Result<TimeStamp, Status> {
    let asking = async {
        let ask = TsoRequest { header: Some(pd.header()), count: 1, ..Default::default() };
        let mut answers = pd.client().tso(tokio_stream::once(ask)).await?.into_inner();
        answers.message().await?.and_then(|answer| answer.timestamp).ok_or_else(|| {
            Status::unavailable("the scheduler has ended the stream without a timestamp")
        })
    };
    let late = |_| Status::deadline_exceeded("the scheduler does not answer");
    let ts = timeout(PATIENCE, asking).await.map_err(late)??;
    Ok(TimeStamp::new((ts.physical.cast_unsigned() << 18) + ts.logical.cast_unsigned()))
}
