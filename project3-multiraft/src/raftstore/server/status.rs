//! `/metrics` for Prometheus, and `/status` as JSON for people. Names are TiKV's where it has one.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Json, Router};
use prometheus::{
    Encoder as _, Histogram, HistogramOpts, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder, exponential_buckets,
};
use proto::eraftpb::Entry;
use proto::raft_serverpb::RaftLocalState;
use raftkv::log_store::{LogBatch, LogStore};
use serde_json::json;
use tokio::sync::watch;

use super::driver::Counts;
use crate::failpoints;

/// What the loop and its workers measure. Clones are the same numbers. Times are in seconds, sizes in bytes.
#[derive(Clone)]
pub(super) struct Metrics {
    store: u64,
    registry: Registry,
    regions: IntGaugeVec,
    sleepers: IntGaugeVec,
    /// How long a request has waited for the loop.
    pub(super) propose: Histogram,
    /// Proposals, by what they are.
    pub(super) proposals: IntCounterVec,
    /// How long a commit of the log took.
    pub(super) append: Histogram,
    /// How long it took from a proposal to its commit.
    pub(super) commit: Histogram,
    /// How long a commit of the data took.
    pub(super) apply: Histogram,
    /// How long one took that was synced.
    pub(super) flush: Histogram,
    /// How many effects a round had.
    pub(super) round: Histogram,
    /// Effects, by what they are.
    pub(super) ready: IntCounterVec,
    /// Snapshots under way, by whether they come or go.
    pub(super) snapshots: IntGaugeVec,
    /// How long it took to build a snapshot.
    pub(super) build: Histogram,
    /// How large the snapshots are that came and were installed.
    pub(super) snapshot_size: Histogram,
}

/// Registers metrics, each as it is made.
struct Registrar(Registry);

impl Registrar {
    fn histogram(&self, name: &str, help: &str, first: f64) -> prometheus::Result<Histogram> {
        // Twenty doublings: 50 us to 26 s, or one to half a million.
        let buckets = exponential_buckets(first, 2., 20)?;
        let histogram = Histogram::with_opts(HistogramOpts::new(name, help).buckets(buckets))?;
        self.0.register(Box::new(histogram.clone()))?;
        Ok(histogram)
    }

    fn gauge(&self, name: &str, help: &str, label: &str) -> prometheus::Result<IntGaugeVec> {
        let gauge = IntGaugeVec::new(Opts::new(name, help), &[label])?;
        self.0.register(Box::new(gauge.clone()))?;
        Ok(gauge)
    }

    fn counter(&self, name: &str, help: &str) -> prometheus::Result<IntCounterVec> {
        let counter = IntCounterVec::new(Opts::new(name, help), &["type"])?;
        self.0.register(Box::new(counter.clone()))?;
        Ok(counter)
    }
}

/// The first bucket of a time.
const TIME: f64 = 0.000_05;

impl Metrics {
    pub(super) fn new(store: u64) -> prometheus::Result<Metrics> {
        let all = Registrar(Registry::new());
        Ok(Metrics {
            store,
            regions: all.gauge("tikv_raftstore_region_count", "Peers on this store.", "type")?,
            sleepers: all.gauge(
                "tikv_raftstore_hibernated_peer_state",
                "Peers that sleep, and that do not.",
                "state",
            )?,
            propose: all.histogram(
                "tikv_raftstore_request_wait_time_duration_secs",
                "What a request has waited for the loop.",
                TIME,
            )?,
            proposals: all
                .counter("tikv_raftstore_proposal_total", "Requests that came to the loop.")?,
            append: all.histogram(
                "tikv_raftstore_append_log_duration_seconds",
                "Commits of the log, fsync included.",
                TIME,
            )?,
            commit: all.histogram(
                "tikv_raftstore_commit_log_duration_seconds",
                "From a proposal to its commit, on a leader.",
                TIME,
            )?,
            apply: all.histogram(
                "tikv_raftstore_apply_log_duration_seconds",
                "Commits of the data.",
                TIME,
            )?,
            flush: all.histogram(
                "multiraft_kv_flush_duration_seconds",
                "Commits of the data that were synced.",
                TIME,
            )?,
            round: all.histogram(
                "multiraft_round_effects",
                "Effects of a round of the loop.",
                1.,
            )?,
            ready: all.counter(
                "tikv_raftstore_raft_ready_handled_total",
                "What rounds wanted done: messages, log writes, data writes, snapshots.",
            )?,
            snapshots: all.gauge(
                "tikv_raftstore_snapshot_traffic_total",
                "Snapshots under way.",
                "type",
            )?,
            build: all.histogram(
                "tikv_snapshot_build_time_duration_secs",
                "What it took to build a snapshot.",
                TIME,
            )?,
            snapshot_size: all.histogram(
                "tikv_snapshot_size",
                "Snapshots that came and were installed, in bytes.",
                1024.,
            )?,
            registry: all.0,
        })
    }

    /// A snapshot begins (1) or ends (-1) to be under way.
    pub(super) fn snapshot(&self, kind: &str, change: i64) {
        self.snapshots.with_label_values(&[kind]).add(change);
    }

    /// Where all of them are.
    pub(super) fn registry(&self) -> &Registry {
        &self.registry
    }
}

/// A log whose commits are timed.
pub(super) struct Timed {
    pub(super) log: Arc<dyn LogStore>,
    pub(super) took: Histogram,
}

impl LogStore for Timed {
    fn commit(&self, batch: &LogBatch) -> raftkv::Result<()> {
        failpoints::reached("raft_before_save");
        // One that nobody waits for costs no fsync.
        let timer = batch.sync.then(|| self.took.start_timer());
        self.log.commit(batch)?;
        drop(timer);
        failpoints::reached("raft_after_save");
        Ok(())
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
    let state = |state: &str, n: usize| {
        metrics.sleepers.with_label_values(&[state]).set(i64::try_from(n).unwrap_or(i64::MAX));
    };
    state("hibernated", counts.asleep);
    state("awaken", counts.regions - counts.asleep);
    let mut text = Vec::new();
    TextEncoder::new()
        .encode(&metrics.registry.gather(), &mut text)
        .map_err(|e| (StatusCode::SERVICE_UNAVAILABLE, e.to_string()))?;
    Ok(([("content-type", "text/plain; version=0.0.4")], text))
}
