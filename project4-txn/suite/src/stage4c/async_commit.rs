//! Async-commit transactions whose owners are gone.

use proto::kvrpcpb::{
    Action, BatchRollbackResponse, CheckTxnStatusResponse, CleanupRequest, PrewriteRequest,
    PrewriteResponse,
};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use super::status::{START, expect};
use crate::protocol::Txn;
use crate::rows::{Kind, Lock, Row, Ts, show_rows};
use crate::world::{
    Responds, Store, TTL, World, check, committed, expect_ok, expect_rows, locked, ms,
    prewrite_under, put, resolve, rollback, rolled_back, show_error, wrong,
};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("async_commit.rs":
        an_async_transaction_with_all_its_locks_is_committed,
        an_async_transaction_that_lacks_a_lock_is_rolled_back,
        an_async_transaction_that_was_resolved_in_part_is_finished_alike,
        a_cleanup_finishes_an_async_transaction,
        what_an_async_owner_was_told_stays_true,
        an_async_transaction_is_rolled_back_from_its_primary,
    )
}

/// Long after every lock of these tests.
const LATE: Ts = ms(1_001 + TTL);

/// The lock on `k`, the primary of `s` and `t`, with its promise.
fn primary(promise: Ts) -> Row {
    let secondaries = Some(vec![b"s".to_vec(), b"t".to_vec()]);
    let lock = Lock { min_commit: promise, secondaries, ..Lock::put(b"k", START, TTL, b"v") };
    Row::Lock(b"k".to_vec(), lock)
}

/// The lock on a secondary, with its promise.
fn secondary(key: &[u8], promise: Ts) -> Row {
    let lock = Lock {
        min_commit: promise,
        secondaries: Some(Vec::new()),
        ..Lock::put(b"k", START, TTL, b"v")
    };
    Row::Lock(key.to_vec(), lock)
}

fn at(commit: Ts) -> (u64, u64, Action) {
    (commit, 0, Action::NoAction)
}

const DEAD: (u64, u64, Action) = (0, 0, Action::NoAction);

/// Its locks are all there, so it has happened, and its owner may have told so. When its time is over, whoever asks at the primary
/// hears that it is committed, at the largest `min_commit_ts` of *all* its locks: that is the timestamp that the owner took. Before, it
/// is alive.
fn an_async_transaction_with_all_its_locks_is_committed(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for (k, s, t) in [(1, 2, 9), (1, 9, 2), (9, 2, 1), (3, 3, 3)] {
        store.anew()?;
        let there = [primary(START + k), secondary(b"s", START + s), secondary(b"t", START + t)];
        store.load(there.clone())?;
        let alive = (0, TTL, Action::NoAction);
        expect(&mut store, &check(b"k", START, ms(1_000 + TTL)), alive, "its time is not over")?;
        expect_rows(&mut store, "before its time is over", &there)?;
        let right = START + k.max(s).max(t);
        let why = "all its locks are there";
        expect(&mut store, &check(b"k", START, LATE), at(right), why)?;
        let [_, s, t] = there;
        let left = [committed(b"k", START, right, b"v"), s, t];
        expect_rows(&mut store, "after the question", &left)?;
        expect_ok("a resolve", &store.call(&resolve(START, right))?.error)?;
        let keys: [&[u8]; 3] = [b"k", b"s", b"t"];
        let left = keys.map(|key| committed(key, START, right, b"v"));
        expect_rows(&mut store, "after a resolve", &left)?;
    }
    // A transaction of one key is whole with one lock.
    store.anew()?;
    let lock = Lock { min_commit: START + 4, ..Lock::put(b"k", START, TTL, b"v") };
    store.load([Row::Lock(b"k".to_vec(), Lock { secondaries: Some(Vec::new()), ..lock })])?;
    let why = "its only lock is there";
    expect(&mut store, &check(b"k", START, u64::MAX), at(START + 4), why)?;
    expect_rows(&mut store, "after the question", &[committed(b"k", START, START + 4, b"v")])
}

/// A lock is missing: it has not happened. It is rolled back before the answer, on the missing key too, so that a late prewrite of
/// it fails. The same if a key is locked, but not for async commit: then its owner was told that it must commit at the primary, and has not.
fn an_async_transaction_that_lacks_a_lock_is_rolled_back(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let s = || secondary(b"s", START + 2);
    let ordinary = locked(b"t", b"k", START, b"v");
    let held = Row::Lock(b"t".to_vec(), Lock::new(Kind::Pessimistic, b"k", START, TTL));
    let others = locked(b"t", b"x", START + 5, b"w");
    let dead = || rolled_back(b"t", START);
    for (t, left) in [
        (None, vec![dead()]),
        (Some(dead()), vec![dead()]),
        (Some(held), vec![dead()]),
        (Some(others.clone()), vec![others, dead()]),
        (Some(ordinary.clone()), vec![ordinary]),
    ] {
        store.anew()?;
        store.load([primary(START + 1), s()])?;
        store.load(t)?;
        let why = "t is not locked for async commit";
        expect(&mut store, &check(b"k", START, LATE), DEAD, why)?;
        let left: Vec<Row> = [rolled_back(b"k", START), s()].into_iter().chain(left).collect();
        expect_rows(&mut store, "after the question", &left)?;
    }
    store.anew()?;
    store.load([primary(START + 1), s()])?;
    expect(&mut store, &check(b"k", START, LATE), DEAD, "t has not come")?;
    let late = PrewriteRequest {
        use_async_commit: true,
        ..prewrite_under(b"k", START, &[put(b"t", b"v")])
    };
    if store.call(&late)?.errors.is_empty() {
        let what = "the transaction was rolled back because of t, and t comes late";
        return Err(wrong(what, "its prewrite fails", "it was told yes"));
    }
    Ok(())
}

/// Somebody has begun to finish it, and has died, too. One key is committed: then all are, at that timestamp, also if another
/// key's record is all that is left.
fn an_async_transaction_that_was_resolved_in_part_is_finished_alike(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for (s, t) in [
        (committed(b"s", START, START + 9, b"v"), secondary(b"t", START + 2)),
        (secondary(b"s", START + 2), committed(b"t", START, START + 9, b"v")),
        (committed(b"s", START, START + 9, b"v"), committed(b"t", START, START + 9, b"v")),
    ] {
        store.anew()?;
        store.load([primary(START + 1), s.clone(), t.clone()])?;
        let why = "one key is committed 9 after the start";
        expect(&mut store, &check(b"k", START, LATE), at(START + 9), why)?;
        let left = [committed(b"k", START, START + 9, b"v"), s, t];
        expect_rows(&mut store, "after the question", &left)?;
    }
    Ok(())
}

/// KvCleanup, the older question, has the same answer: a commit, if all locks are there.
fn a_cleanup_finishes_an_async_transaction(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let ask = |now| CleanupRequest {
        key: b"k".to_vec().into(),
        start_version: START,
        current_ts: now,
        ..Default::default()
    };
    let there = [primary(START + 1), secondary(b"s", START + 2), secondary(b"t", START + 3)];
    for (now, whole, right) in [
        (ms(2_000), true, None),
        (LATE, true, Some(START + 3)),
        (0, true, Some(START + 3)),
        (LATE, false, Some(0)),
    ] {
        store.anew()?;
        store.load(there.iter().take(if whole { 3 } else { 2 }).cloned())?;
        let response = store.call(&ask(now))?;
        let is_locked = response.error.as_ref().is_some_and(|error| error.locked.is_some());
        let seen = if is_locked { None } else { Some(response.commit_version) };
        if seen != right || (response.error.is_some() && !is_locked) {
            let show = |fate: Option<u64>| match fate {
                None => "locked".to_owned(),
                Some(0) => "rolled back".to_owned(),
                Some(ts) => format!("committed at {ts}"),
            };
            let error = response.error.as_ref().map(|error| show_error(Some(error)));
            let locks = if whole { "all locks are there" } else { "the lock of t is missing" };
            let what = format!("KvCleanup of an async-commit transaction at {now}, and {locks}");
            return Err(wrong(what, show(right), error.unwrap_or_else(|| show(seen))));
        }
    }
    Ok(())
}

/// The owner is slow, not dead: its last lock comes in the same instant in which others ask what became of it. If it is told yes, it
/// tells its user that the transaction has happened, at the largest timestamp that it was told. So nobody may hear, then or later,
/// anything else.
fn what_an_async_owner_was_told_stays_true(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for _ in 0..30 {
        store.anew()?;
        store.load([primary(START + 1), secondary(b"s", START + 2)])?;
        let late = PrewriteRequest {
            use_async_commit: true,
            ..prewrite_under(b"k", START, &[put(b"t", b"v")])
        };
        let asking = check(b"k", START, LATE).call();
        let calls = vec![asking.clone(), late.call(), asking.clone(), asking];
        let answers = store.race(calls)?;
        let told: PrewriteResponse = answers[1].to()?;
        let right = if told.errors.is_empty() { told.min_commit_ts.max(START + 2) } else { 0 };
        let last = store.call(&check(b"k", START, LATE))?;
        for answer in [answers[0].to()?, answers[2].to()?, answers[3].to()?, last.clone()] {
            let CheckTxnStatusResponse { commit_version, lock_ttl, .. } = answer;
            if commit_version == right || lock_ttl > 0 {
                continue;
            }
            return Err(Failure::broke(
                "an async-commit transaction has two fates",
                if right > 0 {
                    format!("its owner was told by its last prewrite: committed, at {right}")
                } else {
                    "its owner was told by its last prewrite that it has failed".into()
                },
                format!("somebody else was told: committed at {commit_version} (0: rolled back)"),
            ));
        }
        if last.lock_ttl > 0 {
            let what = "its time is over, and nobody else asks";
            return Err(wrong(what, "committed or rolled back", "it is said to be alive"));
        }
    }
    Ok(())
}

/// While others ask, find all locks, and are about to commit it, its owner gives up: the answer to its last prewrite was lost. The
/// owner's rollbacks go to each key by itself. A rollback of one key must not go through while the transaction is committed on the others: the
/// primary is rolled back first, wherever it is.
fn an_async_transaction_is_rolled_back_from_its_primary(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let there = || [primary(START + 1), secondary(b"s", START + 2), secondary(b"t", START + 3)];
    store.load(there())?;
    expect_ok("a rollback of s", &store.call(&rollback(START, &[b"s"]))?.error)?;
    let left = [rolled_back(b"k", START), rolled_back(b"s", START), secondary(b"t", START + 3)];
    expect_rows(&mut store, "after a rollback of s, whose primary is k", &left)?;

    store.anew()?;
    store.load([committed(b"k", START, START + 3, b"v"), secondary(b"s", START + 2)])?;
    if store.call(&rollback(START, &[b"s"]))?.error.is_none() {
        return Err(wrong("k is committed, and s is to be rolled back", "refused", "done"));
    }
    for _ in 0..30 {
        store.anew()?;
        store.load(there())?;
        let ask = check(b"k", START, LATE).call();
        let answers = store.race(vec![ask, rollback(START, &[b"s"]).call()])?;
        let told: BatchRollbackResponse = answers[1].to()?;
        let rows = store.rows()?;
        let is_committed = rows.contains(&committed(b"k", START, START + 3, b"v"));
        if is_committed == told.error.is_none() {
            let half = if is_committed { "its primary is committed" } else { "its primary is not" };
            return Err(Failure::broke(
                "half of an async-commit transaction has happened",
                format!("a rollback of s was answered: {}", show_error(told.error.as_ref())),
                format!("{half}: {}", show_rows(&rows)),
            ));
        }
    }
    Ok(())
}
