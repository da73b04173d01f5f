//! Garbage collection. A client decides up to where (it resolves all older locks and then tells the scheduler a *safe
//! point*); each store looks there now and then, and clears the regions that it leads.

use std::collections::BTreeMap;
use std::time::Duration;

use multiraft::raftstore::server::Pd;
use proto::kvrpcpb::GcRequest;
use proto::pdpb::GetGcSafePointRequest;
use standalone::Storage;
use standalone::server::Stop;

use super::leaderships::{Leaderships, context};
use crate::{Concurrency, TxnApi};

/// How often a store asks for the safe point.
const EVERY: Duration = Duration::from_secs(5);

/// Collects, until the store ends.
pub(super) async fn collect<S: Storage>(
    txn: TxnApi<S>,
    concurrency: Concurrency,
    leaderships: Leaderships,
    pd: Pd,
    stop: Stop,
) {
    let mut beats = stop.beats(EVERY);
    // Regions, and up to where they are clear.
    let mut clear = BTreeMap::new();
    while beats.wait().await {
        let ask = GetGcSafePointRequest { header: Some(pd.header()) };
        let safe_point = match pd.client().get_gc_safe_point(ask).await {
            Ok(answer) => answer.into_inner().safe_point,
            Err(status) => {
                tracing::debug!(error = status.message(), "no safe point");
                continue;
            }
        };
        if safe_point == 0 {
            continue;
        }
        // Also where there is nothing to collect: who is older must not begin to lock.
        if let Err(error) = concurrency.raise_safe_point(safe_point.into()) {
            tracing::warn!(%error, "the scheduler's safe point is not believed");
            continue;
        }
        let led = leaderships.all();
        clear.retain(|region, _| led.iter().any(|view| view.region.id == *region));
        for view in led {
            let region = view.region.id;
            if clear.get(&region).is_some_and(|done| *done >= safe_point) {
                continue;
            }
            let request = GcRequest { context: Some(context(&view)), safe_point };
            match txn.kv_gc(request).await {
                Ok(_) => drop(clear.insert(region, safe_point)),
                Err(error) => tracing::debug!(region, %error, "not collected; next time"),
            }
        }
    }
}
