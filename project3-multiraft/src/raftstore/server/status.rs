//! `/metrics` for Prometheus, and `/status` as JSON for people. Names are TiKV's where it has one.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntGaugeVec, Opts, Registry, TextEncoder,
    exponential_buckets,
};
use proto::eraftpb::Entry;
use proto::raft_serverpb::RaftLocalState;
use raftkv::log_store::{LogBatch, LogStore};
use serde_json::json;
use tokio::sync::watch;

use super::driver::Counts;

/// What the loop and its workers measure. Clones are the same numbers.
#[derive(Clone)]
pub(super) struct Metrics {
    store: u64,
    registry: Registry,
    regions: IntGaugeVec,
    /// How long a commit of the log took, in seconds.
    pub(super) append: Histogram,
    /// How long a commit of the data took, in seconds.
    pub(super) apply: Histogram,
    /// How long one took that was synced, in seconds.
    pub(super) flush: Histogram,
    /// How many effects a round had.
    pub(super) round: Histogram,
}

impl Metrics {
    pub(super) fn new(store: u64) -> prometheus::Result<Metrics> {
        let registry = Registry::new();
        let histogram = |name: &str, help: &str, start: f64| {
            let options =
                HistogramOpts::new(name, help).buckets(exponential_buckets(start, 2., 16)?);
            let histogram = Histogram::with_opts(options)?;
            registry.register(Box::new(histogram.clone()))?;
            Ok::<_, prometheus::Error>(histogram)
        };
        let append = histogram(
            "tikv_raftstore_append_log_duration_seconds",
            "Commits of the log, fsync included.",
            0.000_05,
        )?;
        let apply = histogram(
            "tikv_raftstore_apply_log_duration_seconds",
            "Commits of the data.",
            0.000_05,
        )?;
        let flush = histogram(
            "multiraft_kv_flush_duration_seconds",
            "Commits of the data that were synced.",
            0.000_05,
        )?;
        let round = histogram("multiraft_round_effects", "Effects of a round of the loop.", 1.)?;
        let options = Opts::new("tikv_raftstore_region_count", "Peers on this store.");
        let regions = IntGaugeVec::new(options, &["type"])?;
        registry.register(Box::new(regions.clone()))?;
        Ok(Metrics { store, registry, regions, append, apply, flush, round })
    }
}

/// A log whose commits are timed.
pub(super) struct Timed {
    pub(super) log: Arc<dyn LogStore>,
    pub(super) took: Histogram,
}

impl LogStore for Timed {
    fn commit(&self, batch: &LogBatch) -> raftkv::Result<()> {
        // One that nobody waits for costs no fsync.
        let _timer = batch.sync.then(|| self.took.start_timer());
        self.log.commit(batch)
    }

    fn state(&self, region: u64) -> raftkv::Result<Option<RaftLocalState>> {
        self.log.state(region)
    }

    fn entries(
        &self,
        region: u64,
        low: u64,
        high: u64,
        max_size: u64,
    ) -> raftkv::Result<Vec<Entry>> {
        self.log.entries(region, low, high, max_size)
    }
}

type Seen = Arc<(Metrics, watch::Receiver<Counts>)>;

/// The pages.
pub(super) fn router(metrics: Metrics, counts: watch::Receiver<Counts>) -> Router {
    Router::new()
        .route("/status", get(status))
        .route("/metrics", get(scrape))
        .with_state(Arc::new((metrics, counts)))
}

async fn status(State(seen): State<Seen>) -> impl IntoResponse {
    let counts = *seen.1.borrow();
    Json(json!({
        "store": seen.0.store,
        "regions": counts.regions,
        "leaders": counts.leaders,
        "asleep": counts.asleep,
        "waiting_requests": counts.waiting,
    }))
}

async fn scrape(State(seen): State<Seen>) -> Result<impl IntoResponse, (StatusCode, String)> {
    let (metrics, counts) = (&seen.0, *seen.1.borrow());
    let set = |kind: &str, n: usize| {
        metrics.regions.with_label_values(&[kind]).set(i64::try_from(n).unwrap_or(i64::MAX));
    };
    set("region", counts.regions);
    set("leader", counts.leaders);
    set("hibernated", counts.asleep);
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&metrics.registry.gather(), &mut text)
        .map_err(|e| (StatusCode::SERVICE_UNAVAILABLE, e.to_string()))?;
    Ok(([("content-type", "text/plain; version=0.0.4")], text))
}
