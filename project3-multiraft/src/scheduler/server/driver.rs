//! The one owner of the cluster: calls it, saves what it wants saved, sends what it wants sent.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use proto::pdpb::RegionHeartbeatResponse;
use standalone::server::{Stop, SystemClock};
use tokio::sync::{mpsc, watch};
use tonic::Status;

use super::Disk;
use crate::scheduler::{Cluster, Millis};

/// How long an answer that nobody can use yet is held. Clients wait for two seconds.
pub const HOLD: Duration = Duration::from_secs(1);

/// Orders that wait for one store's stream. When it is full, orders are dropped: they are given again with the region's
/// next report, or after a few seconds.
pub const ORDERS: usize = 1024;

/// The time, by both clocks.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// Since the process was started.
    pub uptime: Millis,
    /// Since 1970.
    pub wall: Millis,
}

/// What a heartbeat stream carries to its store.
pub type Order = Result<RegionHeartbeatResponse, Status>;

struct State {
    cluster: Cluster,
    disk: Disk,
    streams: BTreeMap<u64, mpsc::Sender<Order>>,
    /// Saving has failed: the cluster is ahead of its disk, and nothing of it may be told any more.
    broken: bool,
}

/// See the module.
pub struct Driver {
    // A lock, since calls come from many tasks and each is one step: what is asked for while a write is under way must
    // not be answered from an unsaved state. It is held across the fsync, which few calls need.
    state: Mutex<State>,
    changed: watch::Sender<u64>,
    stop: Stop,
    started: Instant,
    /// Timestamps that were handed out in this life.
    timestamps: AtomicU64,
}

impl Driver {
    /// A driver whose uptime begins now. It throws `stop` when it can no longer save.
    pub fn new(cluster: Cluster, disk: Disk, stop: Stop) -> Self {
        let state = State { cluster, disk, streams: BTreeMap::new(), broken: false };
        Driver {
            state: Mutex::new(state),
            changed: watch::Sender::new(0),
            stop,
            // The edge: the cluster is told what has passed since.
            started: Instant::now(),
            timestamps: AtomicU64::new(0),
        }
    }

    /// Calls the cluster. The answer is returned when everything that it rests on is saved.
    ///
    /// # Errors
    /// Unavailable: the disk fails. The process is about to end.
    pub fn call<T>(&self, call: impl FnOnce(&mut Cluster, Times) -> T) -> Result<T, Status> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.broken {
            return Err(Status::unavailable("the scheduler's disk has failed"));
        }
        let answer = call(&mut state.cluster, self.times());
        let outbox = state.cluster.take_outbox();
        if !outbox.writes.is_empty() {
            let save = || state.disk.save(&outbox.writes, outbox.must_sync);
            // An fsync takes milliseconds: let the runtime's other tasks go elsewhere.
            let saved = if outbox.must_sync { tokio::task::block_in_place(save) } else { save() };
            if let Err(error) = saved {
                tracing::error!(%error, "cannot save: the scheduler ends");
                state.broken = true;
                self.stop.now();
                return Err(Status::unavailable(error.to_string()));
            }
        }
        for order in outbox.orders {
            let store = order.target_peer.map_or(0, |peer| peer.store_id);
            if let Some(stream) = state.streams.get(&store) {
                // Full or gone: it will be given again.
                let _ = stream.try_send(Ok(order));
            }
        }
        Ok(answer)
    }

    /// As [`Driver::call`], for news: whoever is held looks again.
    ///
    /// # Errors
    /// As there.
    pub fn tell<T>(&self, call: impl FnOnce(&mut Cluster, Times) -> T) -> Result<T, Status> {
        let answer = self.call(call);
        self.changed.send_modify(|news| *news += 1);
        answer
    }

    /// Asks until the answer is `complete`, for [`HOLD`] at most.
    ///
    /// # Errors
    /// As [`Driver::call`].
    pub async fn hold<T>(
        &self,
        ask: impl Fn(&Cluster, Times) -> T,
        complete: impl Fn(&T) -> bool,
    ) -> Result<T, Status> {
        let mut news = self.changed.subscribe();
        // The edge holds (design section 3); the cluster answers at once.
        let deadline = tokio::time::Instant::now() + HOLD;
        loop {
            let answer = self.call(|cluster, times| ask(cluster, times))?;
            if complete(&answer) {
                return Ok(answer);
            }
            let told = tokio::time::timeout_at(deadline, news.changed()).await;
            if !matches!(told, Ok(Ok(()))) {
                return Ok(answer);
            }
        }
    }

    /// So many timestamps leave now.
    pub(super) fn count_timestamps(&self, count: u32) {
        self.timestamps.fetch_add(count.into(), Ordering::Relaxed);
    }

    /// When it ends.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// How many timestamps were handed out in this life.
    pub fn timestamps(&self) -> u64 {
        self.timestamps.load(Ordering::Relaxed)
    }

    /// Orders for this store go here from now on.
    pub fn connect(&self, store: u64, stream: &mpsc::Sender<Order>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let known = state.streams.get(&store).is_some_and(|known| known.same_channel(stream));
        if !known {
            state.streams.insert(store, stream.clone());
        }
    }

    /// This stream has ended.
    pub fn disconnect(&self, stream: &mpsc::Sender<Order>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.streams.retain(|_, known| !known.same_channel(stream));
    }

    fn times(&self) -> Times {
        let uptime = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX);
        Times { uptime, wall: SystemClock.unix_millis() }
    }
}
