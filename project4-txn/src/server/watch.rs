//! What people may ask a running store.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use multiraft::raftstore::PeerReport;
use multiraft::raftstore::server::{Inputs, Order};
use prometheus::Registry;
use prometheus::proto::MetricFamily;
use proto::kvrpcpb::ScanLockRequest;
use raftkv::RaftStorage;
use raftkv::server::Input;
use standalone::server::{Stop, SystemClock};
use tokio::sync::oneshot;

use super::leaderships::{Leaderships, context};
use super::regions::bounds;
use crate::{TimeStamp, TxnApi};

/// How old the count of locks may be. Each count is a read of every region that is led here, which keeps them awake.
const COUNTED: Duration = Duration::from_secs(5);

/// Of so many regions at most, and so many locks of each.
const REGIONS: usize = 64;
const LOCKS: u32 = 256;

/// What people may ask a running store. Clones ask the same one.
#[derive(Clone)]
pub struct Watch {
    pub(super) store: u64,
    pub(super) stop: Stop,
    pub(super) registry: Registry,
    pub(super) inputs: Inputs,
    pub(super) leaderships: Leaderships,
    pub(super) txn: TxnApi<RaftStorage<Inputs>>,
    /// A lock because several people may look; held for a copy.
    pub(super) counted: Arc<Mutex<Option<(Instant, u64)>>>,
}

impl Watch {
    /// Which store it is.
    pub fn store(&self) -> u64 {
        self.store
    }

    /// When it ends.
    pub fn stop(&self) -> Stop {
        self.stop.clone()
    }

    /// Everything that it measures.
    pub fn metrics(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }

    /// Its peers; none when it has ended.
    pub async fn peers(&self) -> Vec<PeerReport> {
        let (answer, told) = oneshot::channel();
        self.inputs.put(Input::Word(Order::Look(answer))).await;
        told.await.unwrap_or_default()
    }

    /// How many locks there are in the regions that it leads whose time to live is over: somebody began, and is gone.
    /// Up to 256 a region, of 64 regions; a few seconds old.
    pub async fn old_locks(&self) -> u64 {
        let known = *self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, count)) = known
            && at.elapsed() < COUNTED
        {
            return count;
        }
        let mut count = 0;
        let now = SystemClock.unix_millis();
        // A scan raises `max_ts`, which must not run ahead of the scheduler's clock. A lock that is too old is not new.
        let max_version = now.saturating_sub(1_000) << 18;
        for view in self.leaderships.all().iter().take(REGIONS) {
            let Ok((start, end)) = bounds(&view.region) else { continue };
            let ask = ScanLockRequest {
                context: Some(context(view)),
                max_version,
                start_key: start.into(),
                end_key: end.into(),
                limit: LOCKS,
            };
            // A region that cannot be read now is counted the next time.
            let Ok(answer) = self.txn.kv_scan_lock(ask).await else { continue };
            let over = answer.locks.iter().filter(|lock| {
                TimeStamp::new(lock.lock_version).physical().saturating_add(lock.lock_ttl) < now
            });
            count += over.count() as u64;
        }
        *self.counted.lock().unwrap_or_else(PoisonError::into_inner) =
            Some((Instant::now(), count));
        count
    }
}
