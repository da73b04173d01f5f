//! What a store measures, as the page wants it: counters that only grow. The page makes rates of them.

use std::time::Duration;

use prometheus::proto::MetricFamily;
use serde_json::{Value, json};
use tokio::time::timeout;
use txn::server::Watch;
use txn::server::measured::{CALLS, reads};

use crate::cli::http;

/// Where a store's numbers are.
pub(super) const PATH: &str = "/dashboard/numbers";

/// What a commit of the log took.
const APPEND: &str = "tikv_raftstore_append_log_duration_seconds";

/// How long a store may take to answer. Who is silent is drawn without numbers.
const PATIENCE: Duration = Duration::from_millis(700);

/// A store's numbers.
pub(super) async fn of(watch: &Watch) -> Value {
    let peers = watch.peers().await;
    let lags = peers.iter().flat_map(|peer| {
        peer.region.peers.iter().filter_map(|member| {
            Some((member.id, peer.lag(member.id).filter(|_| member.id != peer.me.id)?))
        })
    });
    let lags: Vec<(u64, u64)> = lags.collect();
    let metrics = watch.metrics();
    let family = |name: &str| metrics.iter().find(|family| family.name() == name);
    json!({
        "lag": lags.iter().map(|(_, lag)| lag).sum::<u64>(),
        // By peer, so that a region's followers can be told apart.
        "lags": lags,
        "old_locks": watch.old_locks().await,
        "asleep": peers.iter().filter(|peer| peer.asleep).count(),
        "reads": histogram(family(CALLS), reads),
        "writes": histogram(family(CALLS), |label| !reads(label)),
        "append": histogram(family(APPEND), |_| true),
    })
}

/// The sum of a family's histograms, of those whose label is wanted.
fn histogram(family: Option<&MetricFamily>, wanted: impl Fn(&str) -> bool) -> Value {
    let (mut count, mut sum, mut buckets) = (0, 0., Vec::<(f64, u64)>::new());
    for metric in family.map_or(&[][..], MetricFamily::get_metric) {
        let label = metric.get_label().first().map_or("", |label| label.value());
        if !wanted(label) {
            continue;
        }
        let one = metric.get_histogram();
        count += one.get_sample_count();
        sum += one.get_sample_sum();
        for (n, bucket) in one.get_bucket().iter().enumerate() {
            match buckets.get_mut(n) {
                Some((_, sum)) => *sum += bucket.cumulative_count(),
                None => buckets.push((bucket.upper_bound(), bucket.cumulative_count())),
            }
        }
    }
    json!({ "count": count, "sum": sum, "buckets": buckets })
}

/// Asks the store whose status pages are there.
pub(super) async fn ask(status_address: &str) -> Option<Value> {
    let asking = http::ask("GET", status_address, PATH, None);
    let told = timeout(PATIENCE, asking).await.ok()?.ok()?;
    serde_json::from_str(&told).ok()
}
