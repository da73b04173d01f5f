//! Real stores that die at chosen places, under load: before and behind each write, in the middle of a split, with a snapshot
//! half-way.
//!
//! One store after the other is started with a failpoint, and runs into it. It comes back on its old disk without one. What tasks
//! saw meanwhile must be linearizable, and what was acknowledged must be there.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use interop::cluster::Cluster;
use tikv_client::{KvPair, RawClient};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use crate::tasks::{Crew, Recorder, connect};

/// The places, and how often a store passes each before it dies there.
const POINTS: [(&str, u32); 8] = [
    ("raft_before_save", 20),
    ("raft_after_save", 20),
    ("on_handle_apply", 20),
    ("raft_between_save", 1),
    ("apply_before_split", 0),
    ("apply_after_split", 0),
    ("region_apply_snap", 0),
    ("region_gen_snap", 0),
];

const SCHEDULE: &str = "[schedule]\nregion-schedule-policy = \"count\"\n";

/// Small regions, so that some are always being cut, and logs so short that who was away needs snapshots.
const FLAGS: [&str; 4] = ["--split-mib", "1", "--log-entries", "60"];

/// How long a store may take to come to its failpoint.
const PATIENCE: Duration = Duration::from_secs(90);

const STORES: usize = 3;
const LOADERS: u64 = 4;
const TASKS: u64 = 4;

/// More than this is never written: it is 160 MB.
const MOST: u64 = 40_000;

/// Between two writes of a loader: a load, and no flood.
const PAUSE: Duration = Duration::from_millis(20);

fn key(n: u64) -> String {
    format!("load/{n:08}")
}

/// Four kilobytes that say whose they are.
fn value(n: u64) -> String {
    format!("{n:>4096}")
}

/// Writes one key after the other, so that the last region grows and is cut again and again. Each is written until it is
/// acknowledged.
async fn load(
    mut client: RawClient,
    pd: Vec<String>,
    recorder: Arc<Recorder>,
    next: Arc<AtomicU64>,
    stop: watch::Receiver<bool>,
) {
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= MOST {
            return;
        }
        while let Err(error) = client.put(key(n), value(n)).await {
            recorder.failed(&error);
            client = connect(&pd, PATIENCE).await;
        }
        if *stop.borrow() {
            return;
        }
        sleep(PAUSE).await;
    }
}

/// Waits until the loaders have come so far from here.
async fn loaded(next: &AtomicU64, more: u64) {
    let until = next.load(Ordering::Relaxed) + more;
    let waiting = async {
        while next.load(Ordering::Relaxed) < until {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("two of three stores serve");
}

/// Waits until every region is on every store, so that one may die.
async fn whole(cluster: &Cluster) {
    let waiting = async {
        loop {
            let status = tokio::task::block_in_place(|| cluster.status());
            if status.is_some_and(|status| status.is_whole(STORES)) {
                return;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, waiting).await.expect("each region gets three peers");
}

/// Waits until a store has died, or the loaders have come so far.
async fn dies(cluster: &mut Cluster, store: usize, next: &AtomicU64, more: u64) -> bool {
    let until = next.load(Ordering::Relaxed) + more;
    let began = Instant::now();
    while next.load(Ordering::Relaxed) < until {
        if cluster.has_ended(store) {
            return true;
        }
        assert!(began.elapsed() < PATIENCE, "two of three stores serve");
        sleep(Duration::from_millis(20)).await;
    }
    false
}

#[tokio::test(flavor = "multi_thread")]
async fn stores_die_at_each_failpoint_and_lose_nothing() {
    let mut cluster = Cluster::with_failpoints(STORES, SCHEDULE, &FLAGS);
    let client = connect(cluster.pd(), PATIENCE).await;
    // Before there is a load: later something is always under way. What is cut off then has three peers from the start.
    whole(&cluster).await;
    let recorder = Recorder::new();
    let (stop, stopped) = watch::channel(false);
    let crew = Crew::start(TASKS, cluster.pd(), PATIENCE, &recorder).await;
    let mut loaders = JoinSet::new();
    let next = Arc::new(AtomicU64::new(0));
    for _ in 0..LOADERS {
        let (client, recorder) = (client.clone(), recorder.clone());
        loaders.spawn(load(client, cluster.pd().to_vec(), recorder, next.clone(), stopped.clone()));
    }
    loaded(&next, 600).await;

    for (n, (point, passes)) in POINTS.into_iter().enumerate() {
        let victim = n % STORES;
        cluster.kill(victim);
        loaded(&next, 200).await;
        cluster.arm(victim, &format!("{point}={passes}*off->return"));
        let armed = Instant::now();
        let mut others = [1, 2].into_iter().map(|other| (victim + other) % STORES).cycle();
        while !dies(&mut cluster, victim, &next, 100).await {
            assert!(armed.elapsed() < PATIENCE, "store {victim} did not come to {point}");
            if point == "region_gen_snap" {
                // Somebody must need a snapshot from a leader on this store. If the region that grows is led on the third one,
                // that is the next to go.
                let other = others.next().expect("they take turns");
                cluster.kill(other);
                let died = dies(&mut cluster, victim, &next, 200).await;
                cluster.revive(other);
                if died {
                    break;
                }
            }
        }
        println!("{point}: store {victim} died there after {:.1} s", armed.elapsed().as_secs_f64());
        cluster.revive(victim);
        loaded(&next, 50).await;
    }

    stop.send_replace(true);
    crew.stop().await;
    loaders.join_all().await;
    let client = connect(cluster.pd(), PATIENCE).await;
    // The loaders have ended behind what they wrote last.
    let written = next.load(Ordering::Relaxed).min(MOST);
    for first in (0..written).step_by(400) {
        let keys: Vec<u64> = (first..written.min(first + 400)).collect();
        let found = client.batch_get(keys.iter().map(|&n| key(n)).collect::<Vec<_>>()).await;
        let found = found.expect("the cluster serves");
        let found: BTreeMap<Vec<u8>, Vec<u8>> =
            found.into_iter().map(|KvPair(key, value)| (key.into(), value)).collect();
        for n in keys {
            let is_there =
                found.get(key(n).as_bytes()).is_some_and(|v| *v == value(n).into_bytes());
            assert!(is_there, "{} was acknowledged, and is not there as it was written", key(n));
        }
    }
    let (ops, acknowledged) = recorder.judge(&client).await;
    println!(
        "{ops} operations linearizable, {acknowledged} other writes and {written} loaded keys all there"
    );
    for (error, times) in recorder.errors() {
        println!("the client gave up {times} times: {error}");
    }
}
