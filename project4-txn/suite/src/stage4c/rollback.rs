//! KvBatchRollback and KvCleanup.

use proto::kvrpcpb::{BatchRollbackResponse, CleanupRequest, CommitResponse, KeyError};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::protocol::Txn;
use crate::rows::{Kind, Lock, Row, Write};
use crate::world::{
    Responds, Store, TTL, World, commit, committed, deleted, expect_ok, expect_rows, get, locked,
    ms, prewrite, put, rollback, rolled_back, show_error, wrong,
};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("rollback.rs":
        an_empty_rollback_changes_nothing,
        a_rollback_takes_the_lock_and_the_value_and_leaves_a_record,
        a_rollback_before_its_prewrite_leaves_a_record,
        a_rollback_leaves_anothers_lock,
        a_committed_key_is_not_rolled_back,
        a_rollback_that_comes_twice_is_done_once,
        a_key_may_be_named_twice,
        a_late_prewrite_meets_the_rollback,
        a_rollback_hides_no_commit,
        a_rollback_does_not_bury_a_commit,
        a_rollback_tells_the_lock_that_may_meet_it,
        of_a_commit_and_a_rollback_one_wins,
        a_cleanup_asks_for_the_time,
    )
}

fn succeed(store: &mut Store, start: u64, keys: &[&[u8]]) -> Outcome {
    let response = store.call(&rollback(start, keys))?;
    expect_ok("a rollback", &response.error)
}

/// A rollback of no keys succeeds; one of an empty key is one of a key.
fn an_empty_rollback_changes_nothing(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    succeed(&mut store, 10, &[])?;
    expect_rows(&mut store, "after a rollback of nothing", &[])?;
    succeed(&mut store, 10, &[b""])?;
    expect_rows(&mut store, "after a rollback of the empty key", &[rolled_back(b"", 10)])
}

/// The lock goes, the value that waited beside it goes, and a record comes, at the transaction's `start_ts`.
fn a_rollback_takes_the_lock_and_the_value_and_leaves_a_record(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let stay = [Row::Value(b"long".to_vec(), 9, vec![1; 300]), committed(b"short", 3, 5, b"old")];
    store.load(stay.clone())?;
    store.load([
        locked(b"short", b"short", 10, b"v"),
        Row::Lock(b"long".to_vec(), Lock::new(Kind::Put, b"short", 10, TTL)),
        Row::Value(b"long".to_vec(), 10, vec![7; 300]),
        Row::Lock(b"gone".to_vec(), Lock::new(Kind::Delete, b"short", 10, TTL)),
        Row::Lock(b"held".to_vec(), Lock::new(Kind::Pessimistic, b"short", 10, TTL)),
    ])?;
    succeed(&mut store, 10, &[b"short", b"long", b"gone", b"held"])?;
    let [a, b] = stay;
    let keys: [&[u8]; 4] = [b"short", b"long", b"gone", b"held"];
    let right: Vec<Row> = [a, b].into_iter().chain(keys.map(|key| rolled_back(key, 10))).collect();
    expect_rows(&mut store, "after a rollback of four locks", &right)
}

/// A rollback may overtake its prewrite. There is nothing to roll back yet, and that is just why a record is needed: it is
/// what the prewrite will find.
fn a_rollback_before_its_prewrite_leaves_a_record(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    succeed(&mut store, 10, &[b"k"])?;
    expect_rows(&mut store, "after a rollback of what has not come", &[rolled_back(b"k", 10)])
}

/// Another transaction's lock is none of ours. The record is written all the same.
fn a_rollback_leaves_anothers_lock(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let other = [
        Row::Lock(b"k".to_vec(), Lock::new(Kind::Put, b"k", 9, TTL)),
        Row::Value(b"k".to_vec(), 9, vec![1; 300]),
    ];
    store.load(other.clone())?;
    succeed(&mut store, 10, &[b"k"])?;
    let [a, b] = other;
    expect_rows(&mut store, "9 holds k, and 10 is rolled back", &[a, b, rolled_back(b"k", 10)])
}

fn refuse(store: &mut Store, start: u64, keys: &[&[u8]], there: &[Row]) -> Outcome {
    let response = store.call(&rollback(start, keys))?;
    let aborted = |error: &KeyError| !error.abort.is_empty();
    if !response.error.as_ref().is_some_and(aborted) {
        let what = format!("transaction {start} is committed, and is to be rolled back");
        return Err(wrong(what, "`abort`, with a text", show_error(response.error.as_ref())));
    }
    expect_rows(store, "after a refused rollback", there)
}

/// What is committed stays committed, whatever was committed. And a rollback is all or nothing.
fn a_committed_key_is_not_rolled_back(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for record in [
        committed(b"k", 10, 15, b"v"),
        deleted(b"k", 10, 15),
        Row::Write(b"k".to_vec(), 15, Write::new(Kind::Lock, 10)),
    ] {
        store.anew()?;
        let there = [record, locked(b"a", b"k", 10, b"w"), locked(b"k", b"k", 20, b"next")];
        store.load(there.clone())?;
        refuse(&mut store, 10, &[b"k"], &there)?;
        refuse(&mut store, 10, &[b"a", b"k"], &there)?;
    }
    Ok(())
}

/// A rollback that comes again succeeds, and changes nothing.
fn a_rollback_that_comes_twice_is_done_once(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([locked(b"k", b"k", 10, b"v")])?;
    succeed(&mut store, 10, &[b"k", b"j"])?;
    let other = locked(b"k", b"k", 20, b"next");
    store.load([other.clone()])?;
    succeed(&mut store, 10, &[b"k", b"j"])?;
    let right = [rolled_back(b"k", 10), rolled_back(b"j", 10), other];
    expect_rows(&mut store, "after the same rollback again", &right)
}

/// A key that is named twice in one request is rolled back once.
fn a_key_may_be_named_twice(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([locked(b"k", b"k", 10, b"v"), locked(b"j", b"k", 10, b"w")])?;
    succeed(&mut store, 10, &[b"k", b"j", b"k"])?;
    let right = [rolled_back(b"k", 10), rolled_back(b"j", 10)];
    expect_rows(&mut store, "after a rollback of k, j and k", &right)
}

/// The whole point: a prewrite that comes after the rollback of its transaction fails, also if others were rolled back or have
/// committed since.
fn a_late_prewrite_meets_the_rollback(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    succeed(&mut store, 10, &[b"k"])?;
    for other in [8, 12] {
        succeed(&mut store, other, &[b"k"])?;
    }
    for _ in 0..2 {
        let response = store.call(&prewrite(10, &[put(b"k", b"v")]))?;
        if response.errors.is_empty() {
            return Err(Failure::broke(
                "a transaction that was rolled back has come to life again",
                "transaction 10 was rolled back on k, and 8 and 12 were, too",
                "a prewrite of 10 that came afterwards was told yes",
            ));
        }
        store.load([committed(b"k", 14, 16, b"x")])?;
    }
    Ok(())
}

/// A rollback changes nothing for readers: what was committed before is there, and no record of anybody else is touched.
fn a_rollback_hides_no_commit(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([committed(b"k", 5, 10, b"v"), rolled_back(b"k", 15)])?;
    succeed(&mut store, 20, &[b"k"])?;
    succeed(&mut store, 30, &[b"k"])?;
    let got = store.call(&get(b"k", 40))?;
    if got.value != b"v"[..] {
        return Err(wrong(
            "k was committed at 10, and others were rolled back",
            "v",
            format!("{got:?}"),
        ));
    }
    let right = [5, 15, 20, 30].map(|ts| match ts {
        5 => committed(b"k", 5, 10, b"v"),
        ts => rolled_back(b"k", ts),
    });
    expect_rows(&mut store, "after two rollbacks", &right)
}

/// The record of a rollback goes to the `start_ts` of its transaction. If somebody else has *committed* at exactly that
/// timestamp, the commit must not be overwritten: it is flagged.
fn a_rollback_does_not_bury_a_commit(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([committed(b"k", 10, 50, b"v")])?;
    for _ in 0..2 {
        succeed(&mut store, 50, &[b"k"])?;
        let got = store.call(&get(b"k", 60))?;
        if got.value != b"v"[..] {
            return Err(Failure::broke(
                "a committed value is gone",
                "10 committed k at 50; then the transaction that started at 50 was rolled back on k",
                format!("a read at 60 says {got:?}"),
            ));
        }
        let write = Write { overlapped: true, ..Write::put(10, b"v") };
        expect_rows(&mut store, "after the rollback", &[Row::Write(b"k".to_vec(), 50, write)])?;
    }
    Ok(())
}

/// An async-commit transaction may commit at the very timestamp at which another was rolled back on its key. Its lock is told, so
/// that its commit does not bury the rollback.
fn a_rollback_tells_the_lock_that_may_meet_it(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let lock =
        Lock { min_commit: 11, secondaries: Some(Vec::new()), ..Lock::put(b"k", 10, TTL, b"v") };
    store.load([Row::Lock(b"k".to_vec(), lock.clone())])?;
    succeed(&mut store, 20, &[b"k"])?;
    let response = store.call(&commit(10, 20, &[b"k"]))?;
    expect_ok("a commit at 20", &response.error)?;
    let write = Write { overlapped: true, ..Write::put(10, b"v") };
    let right = [Row::Write(b"k".to_vec(), 20, write)];
    expect_rows(&mut store, "20 was rolled back, then 10 committed at 20", &right)?;
    let response = store.call(&prewrite(20, &[put(b"k", b"late")]))?;
    if response.errors.is_empty() {
        let what = "20 was rolled back, then 10 committed at 20";
        return Err(wrong(what, "a prewrite of 20 fails", "it was told yes"));
    }
    let got = store.call(&get(b"k", 30))?;
    if got.value == b"v"[..] {
        Ok(())
    } else {
        Err(wrong("10 committed k", "v", format!("{got:?}")))
    }
}

/// A commit and a rollback of one transaction come in the same instant. One of them is told yes, the other no, and what is
/// there agrees. Without latches both read the lock, and both write.
fn of_a_commit_and_a_rollback_one_wins(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for _ in 0..16 {
        store.anew()?;
        store.load([locked(b"a", b"a", 10, b"1"), locked(b"b", b"a", 10, b"2")])?;
        let keys: [&[u8]; 2] = [b"b", b"a"];
        let answers =
            store.race(vec![commit(10, 15, &[b"a", b"b"]).call(), rollback(10, &keys).call()])?;
        let committed_ok = answers[0].to::<CommitResponse>()?.error.is_none();
        let rolled_ok = answers[1].to::<BatchRollbackResponse>()?.error.is_none();
        let rows = store.rows()?;
        let is = |kind: Kind| {
            rows.len() == 2
                && rows.iter().all(|row| matches!(row, Row::Write(_, _, w) if w.kind == kind))
        };
        let agrees = if committed_ok { is(Kind::Put) } else { is(Kind::Rollback) };
        if committed_ok == rolled_ok || !agrees {
            return Err(Failure::broke(
                "a commit and a rollback of one transaction have both, or neither, happened",
                format!("the commit was told {committed_ok}, the rollback {rolled_ok}"),
                format!("the storage holds {}", crate::rows::show_rows(&rows)),
            ));
        }
    }
    Ok(())
}

/// KvCleanup is what older clients send: roll back this primary, if its time is over. A time of 0 means: whatever the time.
/// What is alive is `locked`, what is committed is told; an async-commit transaction is never rolled back so.
fn a_cleanup_asks_for_the_time(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let start = ms(1_000);
    let ask = |now| CleanupRequest {
        key: b"k".to_vec().into(),
        start_version: start,
        current_ts: now,
        ..Default::default()
    };
    let there = locked(b"k", b"k", start, b"v");
    store.load([there.clone()])?;
    let response = store.call(&ask(ms(4_000)))?;
    if response.error.as_ref().is_none_or(|error| error.locked.is_none()) {
        let what = "it may live until 4000 ms, and that is now";
        return Err(wrong(what, "locked", show_error(response.error.as_ref())));
    }
    for now in [ms(4_001), 0] {
        store.load([there.clone()])?;
        expect_ok("a cleanup of a dead transaction", &store.call(&ask(now))?.error)?;
        expect_rows(&mut store, "after a cleanup", &[rolled_back(b"k", start)])?;
        store.anew()?;
    }
    store.load([committed(b"k", start, start + 9, b"v")])?;
    let response = store.call(&ask(0))?;
    if response.commit_version != start + 9 || response.error.is_some() {
        return Err(wrong("it has committed", start + 9, format!("{response:?}")));
    }
    store.anew()?;
    let lock =
        Lock { min_commit: 1, secondaries: Some(Vec::new()), ..Lock::put(b"k", start, 1, b"v") };
    store.load([Row::Lock(b"k".to_vec(), lock)])?;
    let response = store.call(&ask(u64::MAX))?;
    match response.error {
        Some(error) if error.locked.is_some() => Ok(()),
        error => Err(wrong("it is async commit", "locked", show_error(error.as_ref()))),
    }
}
