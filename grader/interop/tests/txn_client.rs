//! The official client's transactions, unmodified, over real sockets, against the real binary.

use std::time::{Duration, Instant};

use tempfile::TempDir;
use tikv_client::{
    BoundRange, CheckLevel, Error, Key, KvPair, Timestamp, TimestampExt, Transaction,
    TransactionClient, TransactionOptions, Value,
};
use tokio::task::JoinSet;

use crate::process::Server;

async fn connect(server: &Server) -> TransactionClient {
    TransactionClient::new(vec![server.pd_addr.clone()])
        .await
        .expect("the official client connects")
}

async fn served() -> (Server, TransactionClient) {
    let server = Server::playground(None);
    let client = connect(&server).await;
    (server, client)
}

/// Every kind of transaction that the client knows.
fn kinds() -> [TransactionOptions; 5] {
    [
        TransactionOptions::new_optimistic(),
        TransactionOptions::new_pessimistic(),
        TransactionOptions::new_optimistic().use_async_commit(),
        TransactionOptions::new_pessimistic().use_async_commit(),
        TransactionOptions::new_optimistic().use_async_commit().try_one_pc(),
    ]
}

async fn begin(client: &TransactionClient, kind: &TransactionOptions) -> Transaction {
    let options = kind.clone().drop_check(CheckLevel::None);
    client.begin_with_options(options).await.expect("PD hands out a timestamp")
}

async fn read(client: &TransactionClient, key: &str) -> Option<Value> {
    let now = client.current_timestamp().await.unwrap();
    let mut snapshot = client.snapshot(now, TransactionOptions::new_optimistic());
    snapshot.get(key.to_owned()).await.unwrap()
}

fn text(pairs: impl Iterator<Item = KvPair>) -> Vec<(String, String)> {
    let utf8 = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the tests' bytes are text");
    pairs.map(|KvPair(key, value)| (utf8(key.into()), utf8(value))).collect()
}

fn everything() -> BoundRange {
    (Key::from(String::new())..Key::from("~".to_owned())).into()
}

#[tokio::test]
async fn what_a_transaction_writes_is_there_when_it_has_committed() {
    let (_server, client) = served().await;
    for (n, kind) in kinds().iter().enumerate() {
        let key = |name: &str| format!("{n}/{name}");
        let mut txn = begin(&client, kind).await;
        assert_eq!(txn.get(key("a")).await.unwrap(), None);
        txn.put(key("a"), "1").await.unwrap();
        txn.put(key("b"), vec![7; 2000]).await.unwrap();
        txn.put(key("gone"), "x").await.unwrap();
        assert_eq!(txn.get(key("a")).await.unwrap(), Some(b"1".to_vec()), "its own write");
        assert_eq!(read(&client, &key("a")).await, None, "nobody else sees it yet");
        let committed = txn.commit().await.unwrap().expect("it wrote something");
        assert_eq!(read(&client, &key("a")).await, Some(b"1".to_vec()));
        assert_eq!(read(&client, &key("b")).await, Some(vec![7; 2000]));

        let mut txn = begin(&client, kind).await;
        txn.delete(key("gone")).await.unwrap();
        txn.put(key("a"), "").await.unwrap();
        txn.commit().await.unwrap();
        assert_eq!(read(&client, &key("gone")).await, None);
        assert_eq!(read(&client, &key("a")).await, Some(Vec::new()), "an empty value is a value");
        let mut then = client.snapshot(committed, TransactionOptions::new_optimistic());
        assert_eq!(then.get(key("a")).await.unwrap(), Some(b"1".to_vec()), "as it was then");
        assert_eq!(then.get(key("gone")).await.unwrap(), Some(b"x".to_vec()));
    }
}

#[tokio::test]
async fn scans() {
    let (_server, client) = served().await;
    let mut txn = client.begin_optimistic().await.unwrap();
    for n in 0..500 {
        txn.put(format!("k{n:04}"), format!("{n}")).await.unwrap();
    }
    txn.commit().await.unwrap();
    let mut txn = client.begin_optimistic().await.unwrap();
    txn.delete("k0001".to_owned()).await.unwrap();
    let right: Vec<_> =
        (0..500).filter(|n| *n != 1).map(|n| (format!("k{n:04}"), format!("{n}"))).collect();
    assert_eq!(text(txn.scan(everything(), 1000).await.unwrap()), right);
    assert_eq!(text(txn.scan(everything(), 3).await.unwrap()), right[..3]);
    let mut backwards = right.clone();
    backwards.reverse();
    assert_eq!(text(txn.scan_reverse(everything(), 3).await.unwrap()), backwards[..3]);
    assert_eq!(txn.scan_keys(everything(), 1000).await.unwrap().count(), 499);
    let keys = ["k0000", "k0001", "k0400", "nothing"].map(str::to_owned);
    let mut found = text(txn.batch_get(keys).await.unwrap());
    found.sort();
    assert_eq!(found, [right[0].clone(), right[399].clone()]);
    txn.rollback().await.unwrap();
    assert_eq!(read(&client, "k0001").await, Some(b"1".to_vec()), "it was rolled back");
}

#[tokio::test]
async fn of_two_optimistic_transactions_that_overlap_one_fails() {
    let (_server, client) = served().await;
    let kind = TransactionOptions::new_optimistic();
    let (mut one, mut two) = (begin(&client, &kind).await, begin(&client, &kind).await);
    one.put("k".to_owned(), "one").await.unwrap();
    two.put("k".to_owned(), "two").await.unwrap();
    two.commit().await.unwrap();
    assert!(one.commit().await.is_err());
    assert_eq!(read(&client, "k").await, Some(b"two".to_vec()));

    let mut again = begin(&client, &kind).await;
    again.insert("k".to_owned(), "three").await.unwrap();
    assert!(again.commit().await.is_err(), "the key has a value");
}

/// Eight tasks add one to the same number, ten times each, in every kind of transaction.
#[tokio::test(flavor = "multi_thread")]
async fn no_addition_is_lost() {
    let (server, client) = served().await;
    for kind in kinds() {
        let key = || "number".to_owned();
        let mut txn = begin(&client, &kind).await;
        txn.put(key(), "0").await.unwrap();
        txn.commit().await.unwrap();
        let mut tasks = JoinSet::new();
        for _ in 0..8 {
            let (client, kind) = (connect(&server).await, kind.clone());
            tasks.spawn(async move {
                let mut done = 0;
                while done < 10 {
                    done += u32::from(add_one(&client, &kind, key()).await.is_ok());
                }
            });
        }
        tasks.join_all().await;
        assert_eq!(read(&client, "number").await, Some(b"80".to_vec()), "{kind:?}");
    }
}

async fn add_one(
    client: &TransactionClient,
    kind: &TransactionOptions,
    key: String,
) -> Result<(), Error> {
    let mut txn = begin(client, kind).await;
    let done = async {
        // An optimistic transaction locks when it commits, a pessimistic one now.
        let number = txn.get_for_update(key.clone()).await?.unwrap_or_default();
        let number: u32 = String::from_utf8(number).unwrap().parse().unwrap();
        txn.put(key, (number + 1).to_string()).await
    };
    match done.await {
        Ok(()) => txn.commit().await.map(|_| ()),
        Err(error) => {
            let _ = txn.rollback().await;
            Err(error)
        }
    }
}

/// A client locks a key and dies. After the lock's time to live, another one gets it.
#[tokio::test(flavor = "multi_thread")]
async fn the_lock_of_a_dead_client_goes_with_its_time() {
    let (server, client) = served().await;
    let mut dead = begin(&client, &TransactionOptions::new_pessimistic()).await;
    dead.lock_keys(["k".to_owned()]).await.unwrap();
    dead.put("k".to_owned(), "dead").await.unwrap();
    drop(dead);
    drop(client);

    let client = connect(&server).await;
    let started = Instant::now();
    loop {
        let mut txn = begin(&client, &TransactionOptions::new_pessimistic()).await;
        let locked = txn.put("k".to_owned(), "alive").await;
        if locked.is_ok() && txn.commit().await.is_ok() {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "the lock never goes");
    }
    assert_eq!(read(&client, "k").await, Some(b"alive".to_vec()));
}

/// Sixteen accounts, eight tasks that move money between them in every kind of transaction, and a reader that adds all of it
/// up. Then the server is killed, started again, and everything is there.
#[tokio::test(flavor = "multi_thread")]
async fn money_is_neither_made_nor_lost() {
    const ACCOUNTS: u64 = 16;
    let data = TempDir::new().unwrap();
    let server = Server::playground(Some(&data));
    let client = connect(&server).await;
    let account = |n: u64| format!("account{n:02}");
    let mut txn = client.begin_optimistic().await.unwrap();
    for n in 0..ACCOUNTS {
        txn.put(account(n), "100").await.unwrap();
    }
    txn.commit().await.unwrap();

    let mut tasks = JoinSet::new();
    for task in 0..8_u64 {
        let client = connect(&server).await;
        tasks.spawn(async move {
            let mut moved = 0;
            for n in 0..40 {
                let kind = &kinds()[usize::try_from((task + n) % 5).unwrap()];
                let (from, to) =
                    ((task * 7 + n * 3) % ACCOUNTS, (task * 5 + n * 11 + 1) % ACCOUNTS);
                if from == to {
                    continue;
                }
                let mut txn = begin(&client, kind).await;
                let done = async {
                    let mut money = Vec::new();
                    for n in [from, to] {
                        let found = txn.get_for_update(account(n)).await?.unwrap_or_default();
                        money.push(String::from_utf8(found).unwrap().parse::<i64>().unwrap());
                    }
                    txn.put(account(from), (money[0] - 3).to_string()).await?;
                    txn.put(account(to), (money[1] + 3).to_string()).await
                };
                let done = if done.await.is_ok() {
                    txn.commit().await.is_ok()
                } else {
                    let _ = txn.rollback().await;
                    false
                };
                moved += u32::from(done);
            }
            moved
        });
    }
    let auditor = connect(&server).await;
    let mut audits = 0;
    while !tasks.is_empty() && audits < 1000 {
        if sum(&auditor).await == Some(1600) {
            audits += 1;
        }
        while let Some(ended) = tasks.try_join_next() {
            assert!(ended.unwrap() > 0, "a task has moved nothing at all");
        }
    }
    assert!(audits > 0, "no snapshot could be read");
    server.kill();

    let server = Server::playground(Some(&data));
    let client = connect(&server).await;
    let started = Instant::now();
    loop {
        if sum(&client).await == Some(1600) {
            break;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "locks are never gone");
    }
    assert!(server.terminate().success());
}

/// What all accounts hold together in one snapshot; nothing if a lock was in the way for too long.
async fn sum(client: &TransactionClient) -> Option<i64> {
    let now = client.current_timestamp().await.ok()?;
    let mut snapshot = client.snapshot(now, TransactionOptions::new_optimistic());
    let pairs = text(snapshot.scan(everything(), 100).await.ok()?);
    let sum = pairs.iter().map(|(_, money)| money.parse::<i64>().unwrap()).sum();
    assert_eq!((pairs.len(), sum), (16, 1600), "a snapshot sees {pairs:?}");
    Some(sum)
}

/// The client's garbage collection: it resolves old locks and moves the safe point.
#[tokio::test]
async fn a_garbage_collection_succeeds() {
    let (_server, client) = served().await;
    for n in 0..5 {
        let mut txn = client.begin_optimistic().await.unwrap();
        txn.put("k".to_owned(), n.to_string()).await.unwrap();
        txn.commit().await.unwrap();
    }
    let now: Timestamp = client.current_timestamp().await.unwrap();
    assert!(now.version() > 0);
    assert!(client.gc(now).await.unwrap());
    assert_eq!(read(&client, "k").await, Some(b"4".to_vec()));
    client.unsafe_destroy_range(everything()).await.unwrap();
    assert_eq!(read(&client, "k").await, None);
}
