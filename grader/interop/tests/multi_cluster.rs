//! A scheduler and four stores as processes, the unmodified official client, and kill -9.
//!
//! Keys are loaded until the cluster has split, and spread itself evenly over its stores, while sixteen tasks write and
//! read. One store is killed and comes back; the scheduler is; another store never comes back, so that its replicas
//! must be built anew elsewhere; at last a new, empty one must be filled. What the tasks saw must be linearizable, what
//! they were told is written must be there, and so must all that was loaded.
//!
//! A small cluster in a plain `cargo test`. The large one, which must have twenty regions instead of three, is
//!
//! ```text
//! MULTI_CLUSTER_KEYS=200000 cargo test --release -p interop --test main -- multi_cluster --nocapture
//! ```
//!
//! Its regions are cut at 1 MiB, so that 200,000 keys with 128 bytes each make enough of them. `MULTI_CLUSTER_SVG=FILE`
//! draws what each store had, by the scheduler's metrics twice a second; `MULTI_CLUSTER_KEEP=1` leaves the disks and logs
//! of a test that failed.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use interop::cluster::{self, Cluster, Status};
use interop::picture::Life;
use tikv_client::RawClient;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::tasks::{Crew, Recorder, TASKS, all_from, connect};

/// How long a cluster may take to serve somebody.
const SERVES: Duration = Duration::from_secs(30);

/// A store that is silent for six seconds is replaced: it says every two that it lives.
const SCHEDULE: &str = r#"
log = "info,multiraft::scheduler=debug"
[schedule]
region-schedule-policy = "count"
disconnect-after = "4s"
max-store-down-time = "6s"
store-limit = 600
"#;

/// Regions small enough that there are some, and logs so short that who was away needs snapshots.
const FLAGS: [&str; 4] = ["--split-mib", "1", "--log-entries", "2000"];

/// How long replicas may take to be rebuilt, the time to notice included.
const REBUILT: Duration = Duration::from_secs(60);

/// The sizes of a run.
struct Scale {
    keys: usize,
    value: usize,
    regions: u64,
    /// Keys that are written at a time.
    loaders: usize,
    patience: Duration,
}

fn scale() -> Scale {
    let wanted = std::env::var("MULTI_CLUSTER_KEYS").ok();
    match wanted.map(|text| text.parse().expect("a number of keys")) {
        None => Scale {
            keys: 2000,
            value: 1500,
            regions: 3,
            loaders: 32,
            patience: Duration::from_secs(60),
        },
        Some(keys) => Scale {
            keys,
            value: 128,
            regions: 20,
            loaders: 256,
            patience: Duration::from_secs(300),
        },
    }
}

/// Looks at the scheduler's metrics twice a second, and remembers.
struct Watcher {
    began: Instant,
    seen: Mutex<Life>,
}

impl Watcher {
    fn start(cluster: &Cluster) -> Arc<Watcher> {
        let watcher = Arc::new(Watcher { began: Instant::now(), seen: Mutex::default() });
        // Until the test has ended.
        let (looking, scheduler) = (Arc::downgrade(&watcher), cluster.pd()[0].clone());
        tokio::spawn(async move {
            loop {
                let scheduler = scheduler.clone();
                let shelves = tokio::task::spawn_blocking(move || cluster::shelves(&scheduler));
                let shelves = shelves.await.ok().flatten();
                let Some(watcher) = looking.upgrade() else { return };
                let at = watcher.now();
                watcher.seen.lock().unwrap().samples.extend(shelves.map(|shelves| (at, shelves)));
                drop(watcher);
                sleep(Duration::from_millis(500)).await;
            }
        });
        watcher
    }

    fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }

    /// Something has happened.
    fn event(&self, what: &str) {
        println!("{:>6.1} s  {what}", self.now());
        self.seen.lock().unwrap().events.push((self.now(), what.to_owned()));
    }
}

impl Drop for Watcher {
    /// The picture shows what came before a failure, too.
    fn drop(&mut self) {
        let Some(file) = std::env::var_os("MULTI_CLUSTER_SVG") else { return };
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(error) = std::fs::write(&file, seen.svg()) {
            println!("no picture in {}: {error}", file.display());
        }
    }
}

/// Waits until the scheduler says so.
async fn until(
    cluster: &Cluster,
    what: &str,
    patience: Duration,
    said: impl Fn(&Status) -> bool,
) -> Duration {
    let began = Instant::now();
    loop {
        let status = tokio::task::block_in_place(|| cluster.status());
        if status.as_ref().is_some_and(&said) {
            return began.elapsed();
        }
        assert!(began.elapsed() < patience, "still waiting: {what}: {status:#?}");
        sleep(Duration::from_millis(200)).await;
    }
}

/// Whether these stores have about the same, and nobody else has anything.
fn is_even(status: &Status, on: &[String]) -> bool {
    let (here, elsewhere): (Vec<_>, Vec<_>) =
        status.stores.iter().partition(|store| on.contains(&store.address));
    let spread = |of: &dyn Fn(&&cluster::Shelf) -> u64| {
        let counts = || here.iter().map(of);
        counts().max().unwrap_or(0) - counts().min().unwrap_or(0)
    };
    let peers: u64 = here.iter().map(|store| store.regions).sum();
    here.len() == on.len()
        && elsewhere.iter().all(|store| store.regions == 0)
        && peers == 3 * status.regions
        && here.iter().map(|store| store.leaders).sum::<u64>() == status.regions
        && spread(&|store| store.regions) <= 2
        && spread(&|store| store.leaders) <= 2
}

fn loaded(n: usize) -> String {
    // Not in order: every region grows.
    format!("load/{:08}", n * 61_803 % 100_000_007)
}

/// Writes all keys, again and again where the client gave up.
async fn load(client: &RawClient, recorder: &Arc<Recorder>, scale: &Scale) {
    let mut loaders = JoinSet::new();
    for loader in 0..scale.loaders {
        let (client, recorder) = (client.clone(), recorder.clone());
        let (keys, step, value) = (scale.keys, scale.loaders, "v".repeat(scale.value));
        loaders.spawn(async move {
            for n in (loader..keys).step_by(step) {
                while let Err(error) = client.put(loaded(n), value.clone()).await {
                    recorder.failed(&error);
                }
            }
        });
    }
    loaders.join_all().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn four_stores_split_balance_and_heal() {
    let scale = scale();
    let mut cluster = Cluster::start(4, SCHEDULE, &FLAGS);
    let watcher = Watcher::start(&cluster);
    let recorder = Recorder::new();
    let client = connect(cluster.pd(), SERVES).await;
    watcher.event("the cluster serves");
    let crew = Crew::start(TASKS, cluster.pd(), SERVES, &recorder).await;

    let at: Vec<String> = (0..5).map(|store| cluster.address(store).to_owned()).collect();
    load(&client, &recorder, &scale).await;
    watcher.event("all is loaded");
    until(&cluster, "splits", scale.patience, |status| status.regions >= scale.regions).await;
    until(&cluster, "balance", scale.patience, |status| is_even(status, &at[..4])).await;
    watcher.event("split and even");

    cluster.kill(1);
    sleep(Duration::from_millis(1500)).await;
    cluster.revive(1);
    watcher.event("a store was killed and is back");
    cluster.kill_scheduler();
    sleep(Duration::from_millis(500)).await;
    cluster.revive_scheduler();
    watcher.event("the scheduler was killed and is back");
    until(&cluster, "balance again", scale.patience, |status| is_even(status, &at[..4])).await;

    cluster.kill(3);
    watcher.event("a store is killed for good");
    let took = until(&cluster, "new replicas", REBUILT, |status| {
        let gone = status.stores.iter().find(|store| store.address == at[3]);
        let peers: u64 = status.stores.iter().map(|store| store.regions).sum();
        gone.is_some_and(|store| store.regions == 0) && peers == 3 * status.regions
    });
    let took = took.await;
    watcher.event(&format!("its replicas are elsewhere, after {:.1} s", took.as_secs_f64()));

    cluster.add();
    watcher.event("a new, empty store");
    let now = [&at[..3], &at[4..]].concat();
    until(&cluster, "the new store is filled", scale.patience, |status| is_even(status, &now))
        .await;
    watcher.event("it is filled");

    crew.stop().await;
    let client = connect(cluster.pd(), SERVES).await;
    let found = all_from(&client, "load/").await;
    let missing: Vec<String> =
        (0..scale.keys).map(loaded).filter(|key| !found.contains_key(key)).collect();
    assert!(missing.is_empty(), "{} loaded keys are gone, such as {}", missing.len(), missing[0]);
    assert_eq!(found.len(), scale.keys, "keys that nobody wrote");
    let (ops, acknowledged) = recorder.judge(&client).await;
    let regions = cluster.status().map_or(0, |status| status.regions);
    println!(
        "{regions} regions, {} keys loaded, {ops} operations linearizable, {acknowledged} other writes all there",
        scale.keys
    );
    for (error, times) in recorder.errors() {
        println!("the client gave up {times} times: {error}");
    }
}
