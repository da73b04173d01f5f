//! Real processes, the unmodified official client, transactions over many regions, and kill -9.
//!
//! Sixteen tasks move money between accounts, while one store after the other is killed and restarted and regions are cut.
//! Some of the clients die, too. Each snapshot that anybody takes must have the same
//! sum. Each transfer leaves two receipts, in regions far apart: in the end both are there or neither, and both if the
//! client was told that it has committed.
//!
//! All kinds of transactions take part. When a client dies in an async commit, the official library's others ask what became
//! of it, and could not find out by themselves; our stores finish such a transaction, over all its regions.
//!
//! Some seconds of it in a plain `cargo test`; the long run is
//!
//! ```text
//! TXN_CLUSTER_SECONDS=60 cargo test -p interop --test main -- txn_cluster --nocapture
//! ```

mod cluster;
mod dead;
mod unsynced;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cluster::{Cluster, STORES};
use proto::kvrpcpb::{CommitRequest, Mutation, MvccGetByKeyRequest, Op, PrewriteRequest};
use tikv_client::{
    CheckLevel, Key, Result, Timestamp, TimestampExt as _, Transaction, TransactionClient,
    TransactionOptions, Value,
};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

const TASKS: u64 = 16;
const ACCOUNTS: u64 = 24;
const EACH: u64 = 1_000;

/// A transfer that takes longer is given up where it stands: its client dies.
const LIFE: Duration = Duration::from_secs(20);

/// How long a cluster may take to do what it should do by itself.
const PATIENCE: Duration = Duration::from_secs(60);

fn kinds() -> [TransactionOptions; 5] {
    [
        TransactionOptions::new_optimistic(),
        TransactionOptions::new_pessimistic(),
        TransactionOptions::new_optimistic().use_async_commit(),
        TransactionOptions::new_pessimistic().use_async_commit(),
        TransactionOptions::new_optimistic().use_async_commit().try_one_pc(),
    ]
}

async fn begin(client: &TransactionClient, kind: &TransactionOptions) -> Result<Transaction> {
    client.begin_with_options(kind.clone().drop_check(CheckLevel::None)).await
}

async fn read(client: &TransactionClient, key: &str) -> Result<Option<Value>> {
    let now = client.current_timestamp().await?;
    client.snapshot(now, TransactionOptions::new_optimistic()).get(key.to_owned()).await
}

fn account(n: u64) -> String {
    format!("account/{n:02}")
}

fn number(value: Option<Value>) -> u64 {
    let text = String::from_utf8(value.expect("the account is there")).expect("it is text");
    text.parse().expect("it is a number")
}

/// The next number of a sequence that looks random.
fn roll(state: &mut u64) -> u64 {
    *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *state >> 33
}

/// Moves some money; its receipts have this name.
async fn transfer(
    client: &TransactionClient,
    kind: &TransactionOptions,
    dice: &mut u64,
    name: &str,
) -> Result<()> {
    let (from, step) = (roll(dice) % ACCOUNTS, 1 + roll(dice) % (ACCOUNTS - 1));
    let (from, to) = (account(from), account((from + step) % ACCOUNTS));
    let mut txn = begin(client, kind).await?;
    let done = async {
        let (has, gets) = if kind.is_pessimistic() {
            (txn.get_for_update(from.clone()).await?, txn.get_for_update(to.clone()).await?)
        } else {
            (txn.get(from.clone()).await?, txn.get(to.clone()).await?)
        };
        let (has, gets) = (number(has), number(gets));
        let amount = (roll(dice) % 10).min(has);
        txn.put(from, (has - amount).to_string()).await?;
        txn.put(to, (gets + amount).to_string()).await?;
        txn.put(format!("a-receipt/{name}"), name).await?;
        txn.put(format!("z-receipt/{name}"), name).await?;
        txn.commit().await.map(drop)
    }
    .await;
    if done.is_err() {
        let _ = txn.rollback().await;
    }
    done
}

#[derive(Default)]
struct Counts {
    committed: AtomicU64,
    failed: AtomicU64,
    given_up: AtomicU64,
    snapshots: AtomicU64,
}

/// One task. Returns the names of the transfers that it was told have committed.
async fn move_money(
    task: u64,
    client: TransactionClient,
    counts: Arc<Counts>,
    stop: watch::Receiver<bool>,
) -> BTreeSet<String> {
    let mut dice = task + 1;
    let mut told = BTreeSet::new();
    let kinds = kinds();
    for n in 0u64.. {
        if *stop.borrow() {
            break;
        }
        let name = format!("{task:02}-{n:06}");
        // One client in eight dies young, wherever it stands.
        let life = if n % 8 == 7 { Duration::from_millis(roll(&mut dice) % 60) } else { LIFE };
        let kind = &kinds[usize::try_from((task + n) % 5).expect("small")];
        let done = timeout(life, transfer(&client, kind, &mut dice, &name)).await;
        let count = match done {
            Ok(Ok(())) => {
                told.insert(name);
                &counts.committed
            }
            Ok(Err(_)) => &counts.failed,
            Err(_) => &counts.given_up,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
    told
}

async fn sum(client: &TransactionClient, at: Timestamp) -> Result<u64> {
    let mut snapshot = client.snapshot(at, TransactionOptions::new_optimistic());
    let range = Key::from(account(0))..Key::from("account0".to_owned());
    let pairs: Vec<_> = snapshot.scan(range, 1000).await?.collect();
    assert_eq!(pairs.len() as u64, ACCOUNTS, "an account is missing in a snapshot");
    Ok(pairs.into_iter().map(|pair| number(Some(pair.1))).sum())
}

/// Takes snapshots, and adds them up.
async fn watch_the_sum(
    client: TransactionClient,
    counts: Arc<Counts>,
    stop: watch::Receiver<bool>,
) {
    while !*stop.borrow() {
        let Ok(now) = client.current_timestamp().await else { continue };
        if let Ok(Ok(sum)) = timeout(LIFE, sum(&client, now.clone())).await {
            assert_eq!(sum, ACCOUNTS * EACH, "the sum of a snapshot at {}", now.version());
            counts.snapshots.fetch_add(1, Ordering::Relaxed);
        }
        sleep(Duration::from_millis(100)).await;
    }
}

/// Tries until it works.
async fn until<T>(what: &str, mut attempt: impl AsyncFnMut() -> Option<T>) -> T {
    let trying = async {
        loop {
            if let Some(done) = attempt().await {
                return done;
            }
            sleep(Duration::from_millis(100)).await;
        }
    };
    timeout(PATIENCE, trying).await.unwrap_or_else(|_| panic!("still waiting: {what}"))
}

fn seconds() -> Duration {
    let wanted = std::env::var("TXN_CLUSTER_SECONDS").ok();
    Duration::from_secs(wanted.map_or(15, |text| text.parse().expect("a number of seconds")))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bank_under_kill_9_and_splits() {
    let mut cluster = Cluster::start().await;
    let client = cluster.client().await;
    let mut txn = begin(&client, &kinds()[0]).await.unwrap();
    for n in 0..ACCOUNTS {
        txn.put(account(n), EACH.to_string()).await.unwrap();
    }
    txn.commit().await.unwrap();

    let counts = Arc::new(Counts::default());
    let (stop, stopped) = watch::channel(false);
    let (mut tasks, mut watchers) = (JoinSet::new(), JoinSet::new());
    for task in 0..TASKS {
        let client = cluster.client().await;
        tasks.spawn(move_money(task, client, counts.clone(), stopped.clone()));
    }
    watchers.spawn(watch_the_sum(cluster.client().await, counts.clone(), stopped));

    let (began, mut kills, mut splits) = (Instant::now(), 0, 0);
    while began.elapsed() < seconds() {
        sleep(Duration::from_secs(1)).await;
        let wanted = account((splits * 7) % ACCOUNTS);
        splits += u64::from(cluster.split(&wanted).await);
        let victim = 1 + kills % STORES;
        cluster.kill(victim);
        sleep(Duration::from_secs(1)).await;
        cluster.revive(victim);
        kills += 1;
        sleep(Duration::from_millis(1500)).await;
    }
    stop.send_replace(true);
    let told: BTreeSet<String> = tasks.join_all().await.into_iter().flatten().collect();
    watchers.join_all().await;

    let total = until("the last sum", async || {
        let now = client.current_timestamp().await.ok()?;
        sum(&client, now).await.ok()
    });
    assert_eq!(total.await, ACCOUNTS * EACH, "the sum in the end");
    let left = receipts(&client, "a-receipt/").await;
    let right = receipts(&client, "z-receipt/").await;
    let half: Vec<_> = left.symmetric_difference(&right).collect();
    assert!(half.is_empty(), "half of a transaction is there: {half:?}");
    let lost: Vec<_> = told.difference(&left).collect();
    assert!(lost.is_empty(), "committed, and gone: {lost:?}");

    let load = |count: &AtomicU64| count.load(Ordering::Relaxed);
    println!(
        "{kills} kills, {splits} splits; transfers: {} committed, {} failed, {} given up; {} snapshots",
        load(&counts.committed),
        load(&counts.failed),
        load(&counts.given_up),
        load(&counts.snapshots)
    );
    assert!(load(&counts.committed) > 0, "nothing was moved: the deaths stopped everything");
    assert!(load(&counts.snapshots) > 0, "nobody could look");
    assert!(splits > 0, "no region was cut");
}

/// The names of all receipts with this prefix.
async fn receipts(client: &TransactionClient, prefix: &str) -> BTreeSet<String> {
    until("the receipts", async || {
        let now = client.current_timestamp().await.ok()?;
        let mut snapshot = client.snapshot(now, TransactionOptions::new_optimistic());
        let (mut names, mut from) = (BTreeSet::new(), prefix.to_owned());
        loop {
            let range = Key::from(from.clone())..Key::from(format!("{prefix}~"));
            let keys: Vec<Key> = snapshot.scan_keys(range, 500).await.ok()?.collect();
            let full = keys.len() == 500;
            for key in keys {
                let key = String::from_utf8(key.into()).expect("it is text");
                from = format!("{key}\0");
                names.insert(key.trim_start_matches(prefix).to_owned());
            }
            if !full {
                return Some(names);
            }
        }
    })
    .await
}

/// Every kind of transaction over four regions; then what clients leave behind that die; then garbage.
#[tokio::test(flavor = "multi_thread")]
async fn transactions_over_many_regions() {
    let cluster = Cluster::start().await;
    let client = cluster.client().await;
    for boundary in ["d", "m", "t"] {
        until("a split", async || cluster.split(boundary).await.then_some(())).await;
    }
    for (n, kind) in kinds().iter().enumerate() {
        let keys = ["a", "f", "p", "z"].map(|region| format!("{region}/{n}"));
        let mut txn = begin(&client, kind).await.unwrap();
        for key in &keys {
            assert_eq!(txn.get(key.clone()).await.unwrap(), None);
            txn.put(key.clone(), key.clone()).await.unwrap();
        }
        assert_eq!(read(&client, &keys[3]).await.unwrap(), None, "not committed yet");
        txn.commit().await.unwrap();
        for key in &keys {
            assert_eq!(read(&client, key).await.unwrap(), Some(key.clone().into_bytes()), "{key}");
        }
    }
    a_client_dies(&cluster, &client, "lost", false).await;
    a_client_dies(&cluster, &client, "kept", true).await;
    dead::async_commits(&cluster, &client).await;
    garbage_is_collected(&cluster, &client).await;
}

/// A client has prewritten two keys in two regions, has perhaps committed the primary, and is gone.
async fn a_client_dies(cluster: &Cluster, client: &TransactionClient, name: &str, committed: bool) {
    let (primary, secondary) = (format!("a/{name}"), format!("z/{name}"));
    let start_version = client.current_timestamp().await.unwrap().version();
    for key in [&primary, &secondary] {
        until("a prewrite", async || {
            let (mut store, context) = cluster.leader(key).await?;
            let mutation = Mutation {
                op: Op::Put.into(),
                key: key.clone().into(),
                value: "left".into(),
                ..Default::default()
            };
            let request = PrewriteRequest {
                context: Some(context),
                mutations: vec![mutation],
                primary_lock: primary.clone().into(),
                start_version,
                lock_ttl: 1_000,
                txn_size: 2,
                ..Default::default()
            };
            let answer = store.kv_prewrite(request).await.ok()?.into_inner();
            assert_eq!(answer.errors, [], "nobody else is there");
            answer.region_error.is_none().then_some(())
        })
        .await;
    }
    if committed {
        let commit_version = client.current_timestamp().await.unwrap().version();
        until("a commit", async || {
            let (mut store, context) = cluster.leader(&primary).await?;
            let request = CommitRequest {
                context: Some(context),
                start_version,
                keys: vec![primary.clone().into()],
                commit_version,
            };
            let answer = store.kv_commit(request).await.ok()?.into_inner();
            assert_eq!(answer.error, None);
            answer.region_error.is_none().then_some(())
        })
        .await;
    }
    let found = until("the lock to be resolved", async || read(client, &secondary).await.ok());
    let there = committed.then(|| b"left".to_vec());
    assert_eq!(found.await, there, "the secondary follows its primary");
    assert_eq!(read(client, &primary).await.unwrap(), there);
}

/// Old versions go when the safe point has passed them; the newest stays.
async fn garbage_is_collected(cluster: &Cluster, client: &TransactionClient) {
    for value in ["one", "two", "three"] {
        let mut txn = begin(client, &kinds()[0]).await.unwrap();
        txn.put("f/old".to_owned(), value).await.unwrap();
        txn.commit().await.unwrap();
    }
    let safe_point = client.current_timestamp().await.unwrap();
    assert!(client.gc(safe_point).await.unwrap());
    until("the stores to collect", async || {
        let (mut store, context) = cluster.leader("f/old").await?;
        let request = MvccGetByKeyRequest { context: Some(context), key: "f/old".into() };
        let info = store.mvcc_get_by_key(request).await.ok()?.into_inner().info?;
        (info.writes.len() == 1).then_some(())
    })
    .await;
    assert_eq!(read(client, "f/old").await.unwrap(), Some(b"three".to_vec()));
}
