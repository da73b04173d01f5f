//! Clients that die between the prewrites of an async commit, over several regions. Nobody but the stores can finish what
//! they leave; and the next reader hears the right answer, promptly.

use std::time::{Duration, Instant};

use proto::kvrpcpb::{CleanupRequest, Mutation, Op, PrewriteRequest, PrewriteResponse};
use tikv_client::{TimestampExt as _, TransactionClient};

use super::cluster::Cluster;
use super::{begin, kinds, read, until};

/// One key a region.
const REGIONS: [&str; 4] = ["a", "f", "p", "z"];

/// Milliseconds for which the locks of these clients live.
const TTL: u64 = 1_000;

/// An official reader gives up after a second and a half and asks again: it must not have to do that often, also on a machine
/// that is busy. (Where nobody finishes such locks, it would do so until a garbage collection.)
const PROMPT: Duration = Duration::from_secs(5);

/// What a client has sent when it dies, and the fate of its transaction.
pub async fn async_commits(cluster: &Cluster, client: &TransactionClient) {
    for (name, prewritten, committed) in
        [("all", 4, true), ("but-one", 3, false), ("primary", 1, false), ("single", 1, true)]
    {
        let single = name == "single";
        let regions = if single { &REGIONS[..1] } else { &REGIONS[..] };
        let keys: Vec<String> = regions.iter().map(|region| format!("{region}/{name}")).collect();
        let (start, promised) = leave(cluster, client, &keys, prewritten).await;
        let mut found = Vec::new();
        for key in keys.iter().rev() {
            let began = Instant::now();
            let value = until("a reader", async || read(client, key).await.ok()).await;
            assert!(began.elapsed() < PROMPT, "{key}: a reader waited {:?}", began.elapsed());
            found.push(value.is_some());
        }
        assert_eq!(found, vec![committed; keys.len()], "{name}: the same fate on every key");
        if committed {
            // At the timestamp that its owner would have told: not before.
            assert!(promised > start);
            for (at, there) in [(promised, true), (promised - 1, false)] {
                let at = tikv_client::Timestamp::from_version(at);
                let kind = tikv_client::TransactionOptions::new_optimistic();
                let value = client.snapshot(at, kind).get(keys[0].clone()).await.unwrap();
                assert_eq!(value.is_some(), there, "{name}, at its commit and just before");
            }
        }
    }
    writers_are_not_held_up(cluster, client).await;
    a_cleanup_finishes(cluster, client).await;
}

/// Prewrites the first of these keys, one a request, and dies when the locks' time is over. Its start, and the largest timestamp
/// that it was promised.
async fn leave(
    cluster: &Cluster,
    client: &TransactionClient,
    keys: &[String],
    prewritten: usize,
) -> (u64, u64) {
    let start_version = client.current_timestamp().await.unwrap().version();
    let mut promised = 0;
    for key in &keys[..prewritten] {
        let request = PrewriteRequest {
            mutations: vec![Mutation {
                op: Op::Put.into(),
                key: key.clone().into(),
                value: "left".into(),
                ..Default::default()
            }],
            primary_lock: keys[0].clone().into(),
            start_version,
            lock_ttl: TTL,
            txn_size: keys.len() as u64,
            use_async_commit: true,
            secondaries: keys[1..].iter().map(|key| key.clone().into()).collect(),
            ..Default::default()
        };
        let answer = until("a prewrite", async || prewrite(cluster, key, &request).await).await;
        assert_eq!(answer.errors, [], "nobody else is there");
        promised = promised.max(answer.min_commit_ts);
    }
    let over = start_version + ((TTL + 50) << 18);
    until("the locks' time to be over", async || {
        let now = client.current_timestamp().await.ok()?.version();
        (now > over).then_some(())
    })
    .await;
    (start_version, promised)
}

async fn prewrite(
    cluster: &Cluster,
    key: &str,
    request: &PrewriteRequest,
) -> Option<PrewriteResponse> {
    let (mut store, context) = cluster.leader(key).await?;
    let request = PrewriteRequest { context: Some(context), ..request.clone() };
    let answer = store.kv_prewrite(request).await.ok()?.into_inner();
    answer.region_error.is_none().then_some(answer)
}

/// Who writes over a dead client's locks goes on as well, in every kind of transaction.
async fn writers_are_not_held_up(cluster: &Cluster, client: &TransactionClient) {
    for (n, kind) in kinds().iter().enumerate() {
        let keys: Vec<String> =
            REGIONS.iter().map(|region| format!("{region}/written-{n}")).collect();
        leave(cluster, client, &keys, 4).await;
        let key = &keys[2];
        let began = Instant::now();
        until("a writer", async || {
            let mut txn = begin(client, kind).await.ok()?;
            let done = async {
                let value = txn.get_for_update(key.clone()).await?;
                assert_eq!(value, Some(b"left".to_vec()), "it was committed, in every region");
                txn.put(key.clone(), "over").await?;
                txn.commit().await
            };
            let done = done.await;
            if done.is_err() {
                let _ = txn.rollback().await;
            }
            done.ok()
        })
        .await;
        assert!(began.elapsed() < 2 * PROMPT, "a writer waited {:?}", began.elapsed());
        assert_eq!(read(client, key).await.unwrap(), Some(b"over".to_vec()));
    }
}

/// The older clients ask by KvCleanup, and do not know async commit at all.
async fn a_cleanup_finishes(cluster: &Cluster, client: &TransactionClient) {
    let keys: Vec<String> = REGIONS.iter().map(|region| format!("{region}/cleanup")).collect();
    let (start_version, promised) = leave(cluster, client, &keys, 4).await;
    let current_ts = client.current_timestamp().await.unwrap().version();
    let fate = until("a cleanup", async || {
        let (mut store, context) = cluster.leader(&keys[0]).await?;
        let key = keys[0].clone().into();
        let request = CleanupRequest { context: Some(context), key, start_version, current_ts };
        let answer = store.kv_cleanup(request).await.ok()?.into_inner();
        (answer.region_error.is_none() && answer.error.is_none()).then_some(answer.commit_version)
    })
    .await;
    assert_eq!(fate, promised);
}
