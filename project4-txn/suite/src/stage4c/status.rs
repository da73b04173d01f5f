//! KvCheckTxnStatus and KvCheckSecondaryLocks.

use proto::kvrpcpb::{
    Action, CheckSecondaryLocksRequest, CheckTxnStatusRequest, CheckTxnStatusResponse,
};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::protocol::Txn;
use crate::rows::{Kind, Lock, Row, Write};
use crate::world::{
    Store, TTL, World, check, commit, committed, deleted, expect_rows, get, locked, ms, prewrite,
    put, rolled_back, show_error, wrong,
};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("status.rs":
        a_committed_transaction_is_told_by_its_commit,
        a_rolled_back_transaction_is_told,
        a_live_transaction_is_left_alone,
        a_transaction_whose_time_is_over_is_rolled_back_for_good,
        a_transaction_that_never_came_is_rolled_back_for_good,
        a_young_transaction_may_still_come,
        an_async_transaction_names_its_other_keys,
        a_pessimistic_lock_goes_without_a_record,
        a_promise_can_be_pushed,
        a_lock_of_another_primary_is_told,
        secondary_locks_are_told_or_made_impossible,
    )
}

pub(super) const START: u64 = 1_000 << 18;

pub(super) fn expect(
    store: &mut Store,
    request: &CheckTxnStatusRequest,
    right: (u64, u64, Action),
    why: &str,
) -> Outcome<CheckTxnStatusResponse> {
    let response = store.call(request)?;
    let seen = (response.commit_version, response.lock_ttl, response.action());
    if response.error.is_none() && seen == right && response.lock_info.is_some() == (right.1 > 0) {
        return Ok(response);
    }
    let show = |(commit, ttl, action): (u64, u64, Action)| {
        format!("committed {commit}, alive for {ttl} ms, action {action:?}")
    };
    let error = response.error.as_ref().map(|error| show_error(Some(error)));
    let seen = error.unwrap_or_else(|| show(seen));
    Err(wrong(format!("KvCheckTxnStatus is wrong: {why}"), show(right), seen))
}

/// A committed transaction is told by its *commit* timestamp. Whoever asked will commit the other keys with it: with any other
/// number, the transaction would become visible in parts.
fn a_committed_transaction_is_told_by_its_commit(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for record in [
        committed(b"k", START, START + 7, b"v"),
        deleted(b"k", START, START + 7),
        Row::Write(b"k".to_vec(), START + 7, Write::new(Kind::Lock, START)),
    ] {
        store.anew()?;
        let there = [record, locked(b"k", b"k", START + 9, b"next")];
        store.load(there.clone())?;
        let right = (START + 7, 0, Action::NoAction);
        expect(&mut store, &check(b"k", START, u64::MAX), right, "it committed 7 after its start")?;
        expect_rows(&mut store, "after the question", &there)?;
    }
    Ok(())
}

/// A rolled-back transaction is told by an answer that is all empty.
fn a_rolled_back_transaction_is_told(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let overlapped = Write { overlapped: true, ..Write::put(5, b"x") };
    for record in [rolled_back(b"k", START), Row::Write(b"k".to_vec(), START, overlapped)] {
        store.anew()?;
        let there = [record, locked(b"k", b"k", START + 9, b"next")];
        store.load(there.clone())?;
        let right = (0, 0, Action::NoAction);
        expect(&mut store, &check(b"k", START, u64::MAX), right, "it was rolled back")?;
        expect_rows(&mut store, "after the question", &there)?;
    }
    Ok(())
}

/// As long as its lock's time to live is not over, a transaction is alive, and nobody touches it. Time is compared in
/// milliseconds: a timestamp is those, times 2^18, plus a counter.
fn a_live_transaction_is_left_alone(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let there = locked(b"k", b"k", START, b"v");
    store.load([there.clone()])?;
    for now in [START, ms(2_000), ms(1_000 + TTL)] {
        let right = (0, TTL, Action::NoAction);
        let why = "it started at 1000 ms, and may live for 3000";
        let response = expect(&mut store, &check(b"k", START, now), right, why)?;
        let info = response.lock_info.unwrap_or_default();
        if (info.lock_version, &info.primary_lock[..], &info.key[..]) != (START, b"k", b"k") {
            return Err(wrong("the lock that is told", "that of k", format!("{info:?}")));
        }
        expect_rows(&mut store, "after the question", std::slice::from_ref(&there))?;
    }
    Ok(())
}

/// When its time is over, a transaction is rolled back *before* the answer, lock and value and all, with a record: its owner may
/// only be slow, and its messages still on their way.
fn a_transaction_whose_time_is_over_is_rolled_back_for_good(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for now in [ms(1_001 + TTL), u64::MAX] {
        store.anew()?;
        store.load([
            Row::Lock(b"k".to_vec(), Lock::new(Kind::Put, b"k", START, TTL)),
            Row::Value(b"k".to_vec(), START, vec![7; 300]),
        ])?;
        let right = (0, 0, Action::TtlExpireRollback);
        expect(&mut store, &check(b"k", START, now), right, "its 3000 ms are over")?;
        expect_rows(&mut store, "after the question", &[rolled_back(b"k", START)])?;
        let response = store.call(&commit(START, START + 5, &[b"k"]))?;
        if response.error.is_none() {
            return Err(wrong("it was rolled back", "its commit fails", "it was told yes"));
        }
        let response = store.call(&prewrite(START, &[put(b"k", b"v")]))?;
        if response.errors.is_empty() {
            return Err(wrong("it was rolled back", "its prewrite fails", "it was told yes"));
        }
    }
    Ok(())
}

/// If there is no lock and no record, the primary has not come. Whoever asks will roll back the other keys; so the primary must
/// not come any more, and a record sees to it.
fn a_transaction_that_never_came_is_rolled_back_for_good(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let other = [committed(b"k", 3, 5, b"old"), locked(b"k", b"k", START + 9, b"next")];
    store.load(other.clone())?;
    for action in [Action::LockNotExistRollback, Action::NoAction] {
        let why = "nothing is there of it; then it was rolled back";
        expect(&mut store, &check(b"k", START, ms(9_000)), (0, 0, action), why)?;
        let [a, b] = other.clone();
        expect_rows(&mut store, "after the question", &[a, b, rolled_back(b"k", START)])?;
    }
    store.anew()?;
    expect(
        &mut store,
        &check(b"k", START, ms(9_000)),
        (0, 0, Action::LockNotExistRollback),
        "it never came",
    )?;
    let response = store.call(&prewrite(START, &[put(b"k", b"v")]))?;
    if response.errors.is_empty() {
        return Err(Failure::broke(
            "a transaction that was declared dead has come to life",
            "somebody asked for its primary, and was told that it is rolled back",
            "then the prewrite of the primary came, and was told yes",
        ));
    }
    Ok(())
}

/// Official clients prewrite in parallel, so that a reader may meet a secondary before the primary is there. For three seconds
/// after its start, such a transaction counts as alive, unless the asker insists (`rollback_if_not_exist`).
fn a_young_transaction_may_still_come(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let patient =
        |now| CheckTxnStatusRequest { rollback_if_not_exist: false, ..check(b"k", START, now) };
    for now in [START, ms(4_000)] {
        expect(&mut store, &patient(now), (0, 3_000, Action::NoAction), "it started just now")?;
        expect_rows(&mut store, "after the question", &[])?;
    }
    let right = (0, 0, Action::LockNotExistRollback);
    expect(&mut store, &patient(ms(4_001)), right, "three seconds are over")?;
    expect_rows(&mut store, "after the question", &[rolled_back(b"k", START)])
}

/// Whoever is told that an async-commit transaction is alive hears its other keys, too: it may have happened, and they know. An asker who has
/// found out that it did not happen (`force_sync_commit`) has it rolled back when its time is over, like any other.
fn an_async_transaction_names_its_other_keys(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let lock = Lock {
        min_commit: START + 1,
        secondaries: Some(vec![b"s".to_vec()]),
        ..Lock::put(b"k", START, TTL, b"v")
    };
    store.load([Row::Lock(b"k".to_vec(), lock.clone())])?;
    let request = CheckTxnStatusRequest { caller_start_ts: 0, ..check(b"k", START, ms(2_000)) };
    let why = "its time is not over";
    let response = expect(&mut store, &request, (0, TTL, Action::NoAction), why)?;
    let info = response.lock_info.unwrap_or_default();
    if !info.use_async_commit || info.secondaries != [&b"s"[..]] {
        return Err(wrong("the asker needs the other keys", "[s]", format!("{info:?}")));
    }
    expect_rows(&mut store, "after the question", &[Row::Lock(b"k".to_vec(), lock)])?;
    let insisting =
        CheckTxnStatusRequest { force_sync_commit: true, ..check(b"k", START, u64::MAX) };
    let right = (0, 0, Action::TtlExpireRollback);
    expect(&mut store, &insisting, right, "the asker knows better")?;
    expect_rows(&mut store, "after the question", &[rolled_back(b"k", START)])
}

/// A pessimistic lock holds nothing yet. If that is all the asker is after, it goes without a record when its time is over, and
/// nothing is written where there is none.
fn a_pessimistic_lock_goes_without_a_record(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let held = Row::Lock(b"k".to_vec(), Lock::new(Kind::Pessimistic, b"k", START, TTL));
    let asking =
        |now| CheckTxnStatusRequest { resolving_pessimistic_lock: true, ..check(b"k", START, now) };
    store.load([held.clone()])?;
    expect(&mut store, &asking(ms(2_000)), (0, TTL, Action::NoAction), "it is alive")?;
    let right = (0, 0, Action::TtlExpirePessimisticRollback);
    expect(&mut store, &asking(u64::MAX), right, "its time is over")?;
    expect_rows(&mut store, "after the question", &[])?;
    let right = (0, 0, Action::LockNotExistDoNothing);
    expect(&mut store, &asking(u64::MAX), right, "there is nothing")?;
    expect_rows(&mut store, "after the question", &[])?;
    store.load([held])?;
    let right = (0, 0, Action::TtlExpireRollback);
    expect(&mut store, &check(b"k", START, u64::MAX), right, "the asker met a lock with a value")?;
    expect_rows(&mut store, "after the question", &[rolled_back(b"k", START)])
}

/// A lock that has a `min_commit_ts` belongs to a client that can deal with a later one. A reader may push it above itself, and
/// then read past the lock. A lock without stays as it is.
fn a_promise_can_be_pushed(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let lock = Lock { min_commit: START + 1, ..Lock::put(b"k", START, TTL, b"v") };
    store.load([committed(b"k", 3, 5, b"old"), Row::Lock(b"k".to_vec(), lock)])?;
    let reader = ms(1_500);
    expect(
        &mut store,
        &check(b"k", START, reader),
        (0, TTL, Action::MinCommitTsPushed),
        "it can be pushed",
    )?;
    let got = store.call(&get(b"k", reader))?;
    if got.value != b"old"[..] {
        return Err(wrong("the owner will commit above the reader", "old", format!("{got:?}")));
    }
    let response = store.call(&commit(START, reader, &[b"k"]))?;
    if response.error.is_none_or(|error| error.commit_ts_expired.is_none()) {
        return Err(wrong("a reader has been there", "commit_ts_expired", "something else"));
    }
    Ok(())
}

/// With `verify_is_primary`: if the lock that is there names another primary, then the question came to the wrong key, and
/// nothing is decided here. One that came to the right key is answered like any other.
fn a_lock_of_another_primary_is_told(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let verify =
        |key, now| CheckTxnStatusRequest { verify_is_primary: true, ..check(key, START, now) };
    store.load([locked(b"k", b"k", START, b"v")])?;
    let right = (0, TTL, Action::NoAction);
    expect(&mut store, &verify(b"k", ms(2_000)), right, "k is its primary, and it is alive")?;
    store.anew()?;
    let there = locked(b"s", b"k", START, b"v");
    store.load([there.clone()])?;
    let response = store.call(&verify(b"s", u64::MAX))?;
    if response.error.as_ref().is_none_or(|error| error.primary_mismatch.is_none()) {
        let seen = show_error(response.error.as_ref());
        return Err(wrong("s is a secondary", "primary_mismatch", seen));
    }
    expect_rows(&mut store, "after the question", &[there])
}

/// KvCheckSecondaryLocks: if all keys are locked, their locks; if one is committed, that timestamp; if one is neither, it never
/// will be: a record is written, and the answer is empty.
fn secondary_locks_are_told_or_made_impossible(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let ask = CheckSecondaryLocksRequest {
        keys: vec![b"a".to_vec().into(), b"b".to_vec().into()],
        start_version: 10,
        ..Default::default()
    };
    let held = |key: &[u8]| locked(key, b"p", 10, b"v");
    let pessimistic = Row::Lock(b"b".to_vec(), Lock::new(Kind::Pessimistic, b"p", 10, TTL));
    for (there, locks, committed_at, left) in [
        (vec![held(b"a"), held(b"b")], 2, 0, vec![held(b"a"), held(b"b")]),
        (
            vec![held(b"a"), committed(b"b", 10, 15, b"v")],
            0,
            15,
            vec![held(b"a"), committed(b"b", 10, 15, b"v")],
        ),
        (vec![held(b"a")], 0, 0, vec![held(b"a"), rolled_back(b"b", 10)]),
        (vec![held(b"a"), pessimistic], 0, 0, vec![held(b"a"), rolled_back(b"b", 10)]),
        (vec![held(b"a"), rolled_back(b"b", 10)], 0, 0, vec![held(b"a"), rolled_back(b"b", 10)]),
    ] {
        store.anew()?;
        let what =
            format!("KvCheckSecondaryLocks of a and b, with {}", crate::rows::show_rows(&there));
        store.load(there)?;
        let response = store.call(&ask)?;
        let seen = (response.locks.len(), response.commit_ts);
        if seen != (locks, committed_at) || response.error.is_some() {
            let right = format!("{locks} locks, committed {committed_at}");
            return Err(wrong(what, right, format!("{} locks, committed {}", seen.0, seen.1)));
        }
        expect_rows(&mut store, &what, &left)?;
    }
    Ok(())
}
