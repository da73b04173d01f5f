//! `max_ts` when leaders change: what a store that begins to lead must wait for, what it must forget, and what it must
//! not believe. (What it must remember is in the suites of stage 4B.)

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use txn::mvcc::key::encode;
use txn::mvcc::{Lock, LockKind, Reading};
use txn::{Concurrency, Error, TimeStamp};

const KEY: &[u8] = b"key";

fn ts(number: u64) -> TimeStamp {
    TimeStamp::new(number)
}

fn lock() -> Lock {
    Lock::new(LockKind::Put, b"primary", ts(10), 3_000)
}

fn poll(future: &mut Pin<Box<impl Future<Output = ()>>>) -> Poll<()> {
    future.as_mut().poll(&mut Context::from_waker(Waker::noop()))
}

/// Whether a read of the key at this time may go on.
fn may_read(concurrency: &Concurrency, at: u64) -> bool {
    let reading = Reading::at(ts(at));
    let read = concurrency.begin_read(&reading, [KEY]);
    let scan = concurrency.begin_scan(&reading, b"a", b"z");
    assert_eq!(read.is_ok(), scan.is_ok(), "a read and a scan see the same locks");
    match read {
        Ok(()) => true,
        Err(Error::Key(error)) if error.locked.is_some() => false,
        Err(error) => panic!("{error}"),
    }
}

/// Where a promise was made and nobody knows whether it was written.
fn left_in_memory(concurrency: &Concurrency) {
    concurrency.promise(ts(11), lock(), [KEY]).keep();
    assert!(!may_read(concurrency, 20), "the write may still come");
}

/// A write whose fate is unknown leaves its locks in memory, since it may come to be. When this store begins to lead the region
/// again, its fate is decided: it is in the log by then, or will never be. A lock in memory that stayed would stop the key's readers
/// for ever, and nobody could resolve it: it is not in the storage.
#[test]
fn a_new_leadership_forgets_what_an_old_one_had_promised() {
    let concurrency = Concurrency::new();
    left_in_memory(&concurrency);
    concurrency.forget(&[], &[]);
    assert!(may_read(&concurrency, 20));

    // Its own region only, by position. The end is not part of it.
    let (before, at, after) = (encode(b"kex"), encode(KEY), encode(b"kez"));
    for (start, end, forgotten) in [
        (&before[..], &after[..], true),
        (&at[..], &after[..], true),
        (&before[..], &[][..], true),
        (&before[..], &at[..], false),
        (&after[..], &[][..], false),
    ] {
        let concurrency = Concurrency::new();
        left_in_memory(&concurrency);
        concurrency.forget(start, end);
        assert_eq!(may_read(&concurrency, 20), forgotten, "[{start:?}, {end:?})");
    }
}

/// What is forgotten is the lock, never the timestamps: a promise after the change is above every read before it.
#[test]
fn max_ts_is_not_forgotten() {
    let concurrency = Concurrency::new();
    assert!(may_read(&concurrency, 500));
    concurrency.unsync(1, 1);
    concurrency.forget(&[], &[]);
    concurrency.sync(1, 1, ts(300));
    assert_eq!(concurrency.promise(ts(11), lock(), [KEY]).min_commit_ts(), ts(501));
}

/// A region is in sync again by a timestamp that was handed out in *this* leadership. Who waits for it is woken then; who waits for
/// another region is not let in.
#[test]
fn a_leadership_waits_for_its_own_timestamp() {
    let concurrency = Concurrency::new();
    concurrency.unsync(1, 5);
    concurrency.unsync(2, 5);
    let mut one = Box::pin(concurrency.synced(1));
    let mut two = Box::pin(concurrency.synced(2));
    assert_eq!((poll(&mut one), poll(&mut two)), (Poll::Pending, Poll::Pending));
    concurrency.sync(1, 4, ts(100));
    assert_eq!(poll(&mut one), Poll::Pending, "that was an earlier leadership's");
    assert!(!concurrency.is_synced(1));
    concurrency.sync(1, 5, ts(200));
    assert_eq!((poll(&mut one), poll(&mut two)), (Poll::Ready(()), Poll::Pending));
    assert_eq!(concurrency.promise(ts(11), lock(), [KEY]).min_commit_ts(), ts(201));
    concurrency.unsync(1, 6);
    concurrency.sync(1, 5, ts(300));
    assert!(!concurrency.is_synced(1), "it has begun to lead once more since");
}

/// A timestamp that the oracle cannot have handed out was made up. A read at it is refused, and moves nothing: else one client could lift the
/// commits that this store chooses out of everybody's sight.
#[test]
fn a_time_that_has_not_come_moves_nothing() {
    let concurrency = Concurrency::new();
    concurrency.raise_horizon(ts(1_000));
    for at in [1_001, u64::MAX - 1] {
        let reading = Reading::at(ts(at));
        for refused in
            [concurrency.begin_read(&reading, [KEY]), concurrency.begin_scan(&reading, b"", b"")]
        {
            let Err(Error::Key(error)) = refused else { panic!("a read at {at} is let in") };
            assert!(error.abort.contains("from the future"), "{error:?}");
        }
        concurrency.raise(ts(at));
    }
    assert_eq!(concurrency.max_ts(), TimeStamp::ZERO);
    // The largest number means "the newest", and is no time.
    assert!(may_read(&concurrency, u64::MAX) && may_read(&concurrency, 1_000));
    assert_eq!(concurrency.max_ts(), ts(1_000));
    concurrency.raise_horizon(ts(900));
    assert!(may_read(&concurrency, 1_000), "the horizon never falls");
    concurrency.raise_horizon(ts(2_000));
    assert!(may_read(&concurrency, 2_000));
}
