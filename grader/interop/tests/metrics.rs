//! Each metric moves when what it counts happens, in real stores and in a real scheduler.

use std::collections::BTreeMap;
use std::time::Duration;

use interop::cluster::Cluster;
use tikv_client::RawClient;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::tasks::connect;

const SCHEDULE: &str = "[schedule]\nregion-schedule-policy = \"count\"\n";

/// Small regions, and logs so short that who was away needs a snapshot.
const FLAGS: [&str; 4] = ["--split-mib", "1", "--log-entries", "60"];

const PATIENCE: Duration = Duration::from_secs(90);

/// Of some store each of these must be more than 0 in the end.
const OF_STORES: [&str; 17] = [
    "tikv_raftstore_request_wait_time_duration_secs_count",
    "tikv_raftstore_proposal_total{type=\"normal\"}",
    "tikv_raftstore_proposal_total{type=\"read_index\"}",
    "tikv_raftstore_append_log_duration_seconds_count",
    "tikv_raftstore_commit_log_duration_seconds_count",
    "tikv_raftstore_apply_log_duration_seconds_count",
    "tikv_raftstore_raft_ready_handled_total{type=\"message\"}",
    "tikv_raftstore_raft_ready_handled_total{type=\"append\"}",
    "tikv_raftstore_raft_ready_handled_total{type=\"commit\"}",
    "tikv_raftstore_raft_ready_handled_total{type=\"snapshot\"}",
    "multiraft_round_effects_count",
    "tikv_raftstore_region_count{type=\"region\"}",
    "tikv_raftstore_region_count{type=\"leader\"}",
    "tikv_raftstore_hibernated_peer_state{state=\"awaken\"}",
    "tikv_snapshot_build_time_duration_secs_count",
    "tikv_snapshot_size_count",
    "tikv_snapshot_size_sum",
];

/// 400 keys of four kilobytes, a few at a time.
async fn put_many(client: &RawClient, pd: &[String], from: u32) {
    const WRITERS: usize = 16;
    let mut writers = JoinSet::new();
    for first in (from..).take(WRITERS) {
        let (mut client, pd) = (client.clone(), pd.to_vec());
        writers.spawn(async move {
            for n in (first..from + 400).step_by(WRITERS) {
                let (key, value) = (format!("metrics/{n:06}"), format!("{n:>4096}"));
                while client.put(key.clone(), value.clone()).await.is_err() {
                    client = connect(&pd, PATIENCE).await;
                }
            }
        });
    }
    timeout(PATIENCE, writers.join_all()).await.expect("two of three stores serve");
}

/// Waits until all of it is so; what is still missing is told.
async fn until(mut missing: impl FnMut() -> Vec<String>) {
    let mut last = Vec::new();
    let waiting = async {
        loop {
            last = tokio::task::block_in_place(&mut missing);
            if last.is_empty() {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
    };
    let moved = timeout(PATIENCE, waiting).await.is_ok();
    assert!(moved, "these do not move: {last:#?}");
}

/// Names of gauges that went up and came down again: they are there since.
fn has(all: &BTreeMap<String, f64>, name: &str) -> bool {
    all.keys().any(|key| key.starts_with(name))
}

#[tokio::test(flavor = "multi_thread")]
async fn each_metric_moves() {
    let mut cluster = Cluster::start(3, SCHEDULE, &FLAGS);
    let client = connect(cluster.pd(), PATIENCE).await;
    put_many(&client, cluster.pd(), 0).await;
    client.get("metrics/000000".to_owned()).await.expect("it is there");
    // Each region on three stores, so that one may be away.
    until(|| match cluster.status() {
        Some(status) if status.regions > 1 && status.is_whole(3) => Vec::new(),
        other => vec![format!("{other:?}")],
    })
    .await;
    cluster.kill(2);
    put_many(&client, cluster.pd(), 1000).await;
    cluster.revive(2);

    until(|| {
        let stores: Vec<_> = (0..3).filter_map(|store| cluster.measured(store)).collect();
        let moved = |name: &&str| stores.iter().any(|all| all.get(*name).is_some_and(|n| *n > 0.));
        let mut missing: Vec<String> =
            OF_STORES.iter().filter(|name| !moved(name)).map(ToString::to_string).collect();
        for kind in ["sending", "applying"] {
            let name = format!("tikv_raftstore_snapshot_traffic_total{{type=\"{kind}\"}}");
            if !stores.iter().any(|all| has(all, &name)) {
                missing.push(name);
            }
        }
        missing
    })
    .await;
    until(|| {
        let Some(all) = cluster.scheduler_measured() else { return vec!["/metrics".into()] };
        let counts = |name: &str| all.iter().any(|(key, n)| key.starts_with(name) && *n > 0.);
        let names = [
            "pd_cluster_status{type=\"region_count\"}",
            "pd_cluster_status{type=\"leader_count\"}",
            "pd_scheduler_store_status{",
            "pd_schedule_operators_count{",
        ];
        names.into_iter().filter(|name| !counts(name)).map(str::to_owned).collect()
    })
    .await;
}
