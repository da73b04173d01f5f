//! The write queue: what is merged, in which order, and who is told what.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};

use futures_util::future::join_all;
use futures_util::poll;
use proto::kvrpcpb::Context;
use standalone::engine::{CF_DEFAULT, CF_LOCK};
use standalone::server::GroupCommit;
use standalone::storage::{MemReader, MemStorage};
use standalone::{Error, Modify, Result, Storage, StorageReader as _};
use tokio::sync::Semaphore;

/// A storage in memory whose writes wait for permission, and which fails where it is told to.
#[derive(Clone)]
struct Gated {
    memory: Arc<MemStorage>,
    batches: Arc<Mutex<Vec<Vec<Modify>>>>,
    entered: Arc<Semaphore>,
    permits: Arc<Semaphore>,
    fail: fn(&[Modify]) -> Result<()>,
}

impl Gated {
    fn new(fail: fn(&[Modify]) -> Result<()>) -> Self {
        Gated {
            memory: Arc::default(),
            batches: Arc::default(),
            entered: Arc::new(Semaphore::new(0)),
            permits: Arc::new(Semaphore::new(0)),
            fail,
        }
    }

    /// Returns when one more write has come to the gate.
    async fn entered(&self) {
        self.entered.acquire().await.unwrap().forget();
    }

    /// How many changes each batch had that came to the gate.
    fn batch_sizes(&self) -> Vec<usize> {
        self.batches.lock().unwrap().iter().map(Vec::len).collect()
    }
}

impl Storage for Gated {
    type Reader = MemReader;

    async fn write(&self, context: &Context, batch: Vec<Modify>) -> Result<()> {
        self.batches.lock().unwrap().push(batch.clone());
        self.entered.add_permits(1);
        self.permits.acquire().await.unwrap().forget();
        (self.fail)(&batch)?;
        self.memory.write(context, batch).await
    }

    async fn reader(&self, context: &Context) -> Result<MemReader> {
        self.memory.reader(context).await
    }
}

fn put(key: &str, value: &str) -> Vec<Modify> {
    vec![Modify::Put { cf: CF_DEFAULT, key: key.into(), value: value.into() }]
}

type Writing<'s> = Pin<Box<dyn Future<Output = Result<()>> + Send + 's>>;

/// A write that is in the queue: the first poll puts it there.
async fn queued<'s>(
    storage: &'s GroupCommit<Gated>,
    context: &'s Context,
    batch: Vec<Modify>,
) -> Writing<'s> {
    let mut writing: Writing = Box::pin(storage.write(context, batch));
    assert!(poll!(writing.as_mut()).is_pending());
    writing
}

/// The storage, its queue in front, and a first write at the gate: whatever comes now has to wait
/// in the queue.
async fn busy(fail: fn(&[Modify]) -> Result<()>) -> (Gated, Arc<GroupCommit<Gated>>) {
    let gated = Gated::new(fail);
    let storage = Arc::new(GroupCommit::new(gated.clone()).unwrap());
    let first = storage.clone();
    tokio::spawn(async move { first.write(&Context::default(), put("first", "")).await });
    gated.entered().await;
    (gated, storage)
}

async fn get(storage: &GroupCommit<Gated>, key: &str) -> Option<Vec<u8>> {
    let reader = storage.reader(&Context::default()).await.unwrap();
    reader.get_cf(CF_DEFAULT, key.as_bytes()).unwrap()
}

#[tokio::test]
async fn what_waits_is_committed_together_in_the_order_of_coming() {
    let (gated, storage) = busy(|_| Ok(())).await;
    let context = Context::default();
    let mut writes = Vec::new();
    for n in 0..63 {
        writes.push(queued(&storage, &context, put("k", &n.to_string())).await);
    }
    gated.permits.add_permits(2);
    assert!(join_all(writes).await.iter().all(Result::is_ok));
    assert_eq!(gated.batch_sizes(), [1, 63], "sixty-four writes, two commits");
    assert_eq!(get(&storage, "k").await, Some(b"62".to_vec()), "the last in the queue wins");
}

#[tokio::test]
async fn nobody_is_answered_before_the_commit() {
    let (gated, storage) = busy(|_| Ok(())).await;
    let context = Context::default();
    let mut write = queued(&storage, &context, put("k", "v")).await;
    gated.permits.add_permits(1);
    gated.entered().await;
    assert!(poll!(write.as_mut()).is_pending(), "its commit is at the gate");
    gated.permits.add_permits(1);
    write.await.unwrap();
}

#[tokio::test]
async fn one_definite_refusal_is_not_everybodys() {
    let refuse_locks = |batch: &[Modify]| {
        let bad = |modify: &Modify| matches!(modify, Modify::Delete { cf: CF_LOCK, .. });
        if batch.iter().any(bad) { Err(Error::Refused("no".into())) } else { Ok(()) }
    };
    let (gated, storage) = busy(refuse_locks).await;
    let context = Context::default();
    let good = queued(&storage, &context, put("before", "v")).await;
    let bad = vec![Modify::Delete { cf: CF_LOCK, key: b"k".into() }];
    let bad = queued(&storage, &context, bad).await;
    let other = queued(&storage, &context, put("after", "v")).await;
    gated.permits.add_permits(5);
    assert!(good.await.is_ok());
    assert!(matches!(bad.await, Err(Error::Refused(_))));
    assert!(other.await.is_ok());
    assert_eq!(gated.batch_sizes(), [1, 3, 1, 1, 1], "together, then each alone");
    assert!(get(&storage, "before").await.is_some() && get(&storage, "after").await.is_some());
}

#[tokio::test]
async fn an_unknown_fate_is_everybodys() {
    let break_down = |batch: &[Modify]| match batch.len() {
        1 => Ok(()),
        _ => Err(Error::Io { doing: "commit a batch", what: "the disk is gone".into() }),
    };
    let (gated, storage) = busy(break_down).await;
    let context = Context::default();
    let one = queued(&storage, &context, put("one", "v")).await;
    let two = queued(&storage, &context, put("two", "v")).await;
    gated.permits.add_permits(2);
    for write in [one, two] {
        let error = write.await.unwrap_err();
        assert!(!error.is_definite(), "{error}");
    }
    assert_eq!(gated.batch_sizes(), [1, 2], "trying again could do it twice");
}

#[tokio::test]
async fn different_contexts_are_not_merged() {
    let (gated, storage) = busy(|_| Ok(())).await;
    let (old, new) = (Context::default(), Context { term: 7, ..Default::default() });
    let mut writes = Vec::new();
    for context in [&old, &old, &new, &old] {
        writes.push(queued(&storage, context, put("k", "v")).await);
    }
    gated.permits.add_permits(4);
    assert!(join_all(writes).await.iter().all(Result::is_ok));
    assert_eq!(gated.batch_sizes(), [1, 2, 1, 1]);
}

#[tokio::test]
async fn a_group_has_a_limit_in_bytes() {
    let (gated, storage) = busy(|_| Ok(())).await;
    let (context, large) = (Context::default(), "x".repeat(3 << 20));
    let mut writes = Vec::new();
    for n in 0..3 {
        writes.push(queued(&storage, &context, put(&n.to_string(), &large)).await);
    }
    gated.permits.add_permits(4);
    assert!(join_all(writes).await.iter().all(Result::is_ok));
    assert_eq!(gated.batch_sizes(), [1, 1, 1, 1]);
}

#[tokio::test]
async fn a_full_queue_makes_the_caller_wait() {
    let (gated, storage) = busy(|_| Ok(())).await;
    let context = Context::default();
    let mut writes = Vec::new();
    // One more than the queue has places.
    for n in 0..=standalone::server::QUEUE {
        writes.push(queued(&storage, &context, put(&n.to_string(), "v")).await);
    }
    gated.permits.add_permits(Semaphore::MAX_PERMITS / 2);
    assert!(join_all(writes).await.iter().all(Result::is_ok));
}

#[tokio::test]
async fn a_write_that_nobody_waits_for_is_done_all_the_same() {
    let (gated, storage) = busy(|_| Ok(())).await;
    let context = Context::default();
    drop(queued(&storage, &context, put("k", "v")).await);
    gated.permits.add_permits(2);
    storage.close().await;
    assert_eq!(get(&storage, "k").await, Some(b"v".to_vec()));
}

#[tokio::test]
async fn closing_commits_what_is_in_the_queue_and_takes_no_more() {
    let (gated, storage) = busy(|_| Ok(())).await;
    let context = Context::default();
    let write = queued(&storage, &context, put("k", "v")).await;
    let mut closing = pin!(storage.close());
    assert!(poll!(closing.as_mut()).is_pending());
    gated.permits.add_permits(2);
    closing.await;
    write.await.unwrap();
    let late = storage.write(&context, put("late", "v")).await.unwrap_err();
    assert!(late.to_string().contains("shutting down"), "{late}");
    assert_eq!(get(&storage, "late").await, None);
}
