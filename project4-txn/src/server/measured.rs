//! How long clients' calls take, by call, under TiKV's name: `tikv_grpc_msg_duration_seconds`.
//!
//! From the request's headers to the answer's. What a stream carries (`BatchCommands`) is not seen from here.

use std::convert::Infallible;
use std::task::{Context, Poll};
use std::time::Instant;

use multiraft::raftstore::server::Clients;
use prometheus::{HistogramOpts, HistogramVec, Registry, exponential_buckets};
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};

/// The metric.
pub const CALLS: &str = "tikv_grpc_msg_duration_seconds";

/// Paths and labels: first what reads, then what writes.
const READS: [(&str, &str); 8] = [
    ("/tikvpb.Tikv/RawGet", "raw_get"),
    ("/tikvpb.Tikv/RawBatchGet", "raw_batch_get"),
    ("/tikvpb.Tikv/RawScan", "raw_scan"),
    ("/tikvpb.Tikv/RawBatchScan", "raw_batch_scan"),
    ("/tikvpb.Tikv/KvGet", "kv_get"),
    ("/tikvpb.Tikv/KvBatchGet", "kv_batch_get"),
    ("/tikvpb.Tikv/KvScan", "kv_scan"),
    ("/tikvpb.Tikv/KvScanLock", "kv_scan_lock"),
];
const WRITES: [(&str, &str); 16] = [
    ("/tikvpb.Tikv/RawPut", "raw_put"),
    ("/tikvpb.Tikv/RawBatchPut", "raw_batch_put"),
    ("/tikvpb.Tikv/RawDelete", "raw_delete"),
    ("/tikvpb.Tikv/RawBatchDelete", "raw_batch_delete"),
    ("/tikvpb.Tikv/RawDeleteRange", "raw_delete_range"),
    ("/tikvpb.Tikv/RawCompareAndSwap", "raw_compare_and_swap"),
    ("/tikvpb.Tikv/KvPrewrite", "kv_prewrite"),
    ("/tikvpb.Tikv/KvCommit", "kv_commit"),
    ("/tikvpb.Tikv/KvBatchRollback", "kv_batch_rollback"),
    ("/tikvpb.Tikv/KvPessimisticLock", "kv_pessimistic_lock"),
    ("/tikvpb.Tikv/KvPessimisticRollback", "kv_pessimistic_rollback"),
    ("/tikvpb.Tikv/KvTxnHeartBeat", "kv_txn_heart_beat"),
    ("/tikvpb.Tikv/KvCheckTxnStatus", "kv_check_txn_status"),
    ("/tikvpb.Tikv/KvResolveLock", "kv_resolve_lock"),
    ("/tikvpb.Tikv/KvCleanup", "kv_cleanup"),
    ("/tikvpb.Tikv/KvDeleteRange", "kv_delete_range"),
];

/// Whether calls with this label read.
pub fn reads(label: &str) -> bool {
    READS.iter().any(|(_, name)| *name == label)
}

/// A service whose calls are timed.
#[derive(Clone)]
pub(super) struct Measured<S> {
    service: S,
    times: HistogramVec,
}

impl<S> Measured<S> {
    /// The numbers go to `registry`.
    ///
    /// # Errors
    /// There are such numbers already.
    pub(super) fn new(service: S, registry: &Registry) -> prometheus::Result<Self> {
        let options = HistogramOpts::new(CALLS, "Clients' calls, by call.");
        let options = options.buckets(exponential_buckets(0.000_1, 2., 18)?);
        let times = HistogramVec::new(options, &["type"])?;
        registry.register(Box::new(times.clone()))?;
        Ok(Measured { service, times })
    }
}

impl<S: Clients> Service<http::Request<Body>> for Measured<S> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.service.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        let path = request.uri().path();
        let known = READS.iter().chain(&WRITES).find(|(known, _)| *known == path);
        let times = known.map(|(_, label)| self.times.with_label_values(&[*label]));
        let answer = self.service.call(request);
        let Some(times) = times else { return Box::pin(answer) };
        Box::pin(async move {
            // The edge: a clock that only measures.
            let began = Instant::now();
            let answer = answer.await;
            times.observe(began.elapsed().as_secs_f64());
            answer
        })
    }
}
