//! KvPessimisticLock, and prewrites of pessimistic transactions.

use proto::kvrpcpb::write_conflict::Reason;
use proto::kvrpcpb::{
    Mutation, PessimisticLockRequest, PessimisticLockResponse, PessimisticRollbackRequest,
    PrewriteRequest, TxnHeartBeatRequest,
};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::protocol::Txn;
use crate::rows::{Kind, Lock, Row};
use crate::world::{
    Store, TTL, World, commit, committed, expect_ok, expect_rows, lock, locked, prewrite, put,
    rolled_back, show_error, wrong,
};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("pessimistic.rs":
        a_pessimistic_lock_is_taken_and_tells_what_is_there,
        a_lock_request_waits_for_the_holder,
        a_wait_ends_with_its_patience,
        a_ring_of_waits_is_refused,
        a_commit_after_for_update_is_a_conflict,
        a_pessimistic_prewrite_replaces_the_lock,
        a_pessimistic_rollback_leaves_no_record,
        a_heart_beat_prolongs_a_life,
    )
}

fn errors(response: &PessimisticLockResponse) -> String {
    let errors: Vec<String> = response.errors.iter().map(|e| show_error(Some(e))).collect();
    if errors.is_empty() { "no error".into() } else { errors.join(", ") }
}

fn held(start: u64, for_update: u64) -> Lock {
    Lock { for_update, ..Lock::new(Kind::Pessimistic, b"k", start, TTL) }
}

/// A pessimistic lock holds the key and no value. With `return_values` the answer has what is newest *now*, also if that
/// was committed after the transaction's start. A repeated request succeeds.
fn a_pessimistic_lock_is_taken_and_tells_what_is_there(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let there = [committed(b"k", 12, 15, b"v"), rolled_back(b"j", 18)];
    store.load(there.clone())?;
    let request = PessimisticLockRequest { return_values: true, ..lock(10, 20, &[b"k", b"j"]) };
    for _ in 0..2 {
        let response = store.call(&request)?;
        expect_ok("a pessimistic lock", &response.errors)?;
        let seen = (response.values.clone(), response.not_founds.clone());
        if seen.0 != [&b"v"[..], b""] || seen.1 != [false, true] {
            let what = "k has a value since 15, and j has none";
            return Err(wrong(what, "[v, \"\"], [false, true]", format!("{seen:?}")));
        }
        let [a, b] = there.clone();
        let right =
            [a, b, Row::Lock(b"k".to_vec(), held(10, 20)), Row::Lock(b"j".to_vec(), held(10, 20))];
        expect_rows(&mut store, "after a pessimistic lock", &right)?;
    }
    Ok(())
}

/// A request that meets a lock waits until the lock goes, and then asks again: all its keys, or none. Who waits is woken at
/// once, not by a timer.
fn a_lock_request_waits_for_the_holder(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for commits in [false, true] {
        store.anew()?;
        expect_ok("the first lock", &store.call(&lock(10, 10, &[b"k"]))?.errors)?;
        let waiting = store.begin_one(&lock(11, 30, &[b"a", b"k"]))?;
        if store.poll(&waiting)?.is_some() || store.waiting() != 1 {
            return Err(wrong("10 holds k, and 11 asks for it", "it waits", "it was answered"));
        }
        if commits {
            let mut request = prewrite(10, &[put(b"k", b"v")]);
            (request.for_update_ts, request.pessimistic_actions) = (10, vec![1]);
            expect_ok("its prewrite", &store.call(&request)?.errors)?;
            expect_ok("its commit", &store.call(&commit(10, 20, &[b"k"]))?.error)?;
        } else {
            let keys = vec![b"k".to_vec().into()];
            let release = PessimisticRollbackRequest {
                start_version: 10,
                for_update_ts: 10,
                keys,
                ..Default::default()
            };
            expect_ok("a pessimistic rollback", &store.call(&release)?.errors)?;
        }
        match store.poll(&waiting)? {
            Some(response) => expect_ok("a wait whose reason has gone", &response.errors)?,
            None => return Err(wrong("10 has given up k", "11 is woken, and has it", "it waits")),
        }
    }
    Ok(())
}

/// A wait has an end: the patience that the request names, and never more than a second. Then the answer is `locked`.
/// Negative patience means not to wait at all.
fn a_wait_ends_with_its_patience(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([locked(b"k", b"k", 9, b"v")])?;
    for (patience, millis) in [(0, 1_000), (100, 100), (60_000, 1_000)] {
        let request = PessimisticLockRequest { wait_timeout: patience, ..lock(10, 10, &[b"k"]) };
        let waiting = store.begin_one(&request)?;
        store.pass(millis - 1)?;
        if store.poll(&waiting)?.is_some() {
            let what = format!("a patience of {patience} ms, and {} have passed", millis - 1);
            return Err(wrong(what, "it waits", "it was answered"));
        }
        store.pass(1)?;
        let response = store.poll(&waiting)?;
        let seen = response.as_ref().map_or("it waits".into(), errors);
        if seen != "locked: k by 9" {
            let what = format!("a patience of {patience} ms, and {millis} have passed");
            return Err(wrong(what, "locked: k by 9", seen));
        }
    }
    let request = PessimisticLockRequest { wait_timeout: -1, ..lock(10, 10, &[b"k"]) };
    let response = store.call(&request)?;
    if errors(&response) != "locked: k by 9" || store.waiting() != 0 {
        return Err(wrong("it would not wait", "locked: k by 9", errors(&response)));
    }
    Ok(())
}

/// If 10 waits for 11, 11 for 12, and now 12 wants what 10 holds, then nobody would ever go on. The one who would close the
/// ring is refused with `deadlock`, and is told the ring. When it gives up what it holds, the others go on.
fn a_ring_of_waits_is_refused(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for (start, key) in [(10, b"a"), (11, b"b"), (12, b"c")] {
        expect_ok("the first locks", &store.call(&lock(start, 20, &[key]))?.errors)?;
    }
    let ten = store.begin_one(&lock(10, 20, &[b"b"]))?;
    let eleven = store.begin_one(&lock(11, 20, &[b"c"]))?;
    let refused = store.call(&lock(12, 20, &[b"a"]))?;
    let deadlock = refused.errors.first().and_then(|error| error.deadlock.as_ref());
    let ring = deadlock.map(|d| d.wait_chain.iter().map(|e| (e.txn, e.wait_for_txn)).collect());
    let right: Vec<(u64, u64)> = vec![(10, 11), (11, 12), (12, 10)];
    if ring.as_ref() != Some(&right) {
        let what = "10 waits for 11, 11 for 12, and 12 asks for what 10 holds";
        return Err(wrong(what, format!("a deadlock with the ring {right:?}"), errors(&refused)));
    }
    let give_up = |start, key: &[u8]| PessimisticRollbackRequest {
        start_version: start,
        for_update_ts: 20,
        keys: vec![key.to_vec().into()],
        ..Default::default()
    };
    store.call(&give_up(12, b"c"))?;
    let Some(eleven) = store.poll(&eleven)? else {
        return Err(wrong("12 has given up c", "11 has it", "11 waits"));
    };
    expect_ok("the lock of 11 on c", &eleven.errors)?;
    store.call(&give_up(11, b"b"))?;
    match store.poll(&ten)? {
        Some(response) => expect_ok("the lock of 10 on b", &response.errors),
        None => Err(wrong("11 has given up b", "10 has it", "10 waits")),
    }
}

/// The client has read what was newest at its `for_update_ts`. A commit after that is a conflict: it asks again with a newer one.
/// And a transaction that was rolled back on the key gets no lock any more.
fn a_commit_after_for_update_is_a_conflict(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([committed(b"k", 12, 21, b"v"), rolled_back(b"dead", 10)])?;
    for (key, reason) in [(&b"k"[..], Reason::PessimisticRetry), (b"dead", Reason::SelfRolledBack)]
    {
        let response = store.call(&lock(10, 20, &[key]))?;
        let seen = response.errors.first().and_then(|e| Some(e.conflict.as_ref()?.reason()));
        if seen != Some(reason) {
            let what = format!("a lock of 10 at 20 on {}", key.escape_ascii());
            return Err(wrong(what, format!("conflict ({reason:?})"), errors(&response)));
        }
    }
    expect_ok("a lock with a newer for_update_ts", &store.call(&lock(10, 21, &[b"k"]))?.errors)
}

fn pessimistic(start: u64, mutations: &[Mutation]) -> PrewriteRequest {
    PrewriteRequest {
        for_update_ts: start + 10,
        pessimistic_actions: vec![1; mutations.len()],
        ..prewrite(start, mutations)
    }
}

/// The prewrite of a pessimistic transaction finds its lock and puts the value there; commits since its start were accepted
/// when it took the lock. If the lock is gone and somebody has written since, it fails.
fn a_pessimistic_prewrite_replaces_the_lock(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([
        committed(b"k", 12, 15, b"old"),
        Row::Lock(b"k".to_vec(), Lock { ttl: 9_000, ..held(10, 20) }),
    ])?;
    let request = pessimistic(10, &[put(b"k", b"new")]);
    for _ in 0..2 {
        expect_ok("the prewrite of a locked key", &store.call(&request)?.errors)?;
        let lock = Lock { for_update: 20, ttl: 9_000, ..Lock::put(b"k", 10, TTL, b"new") };
        let right = [committed(b"k", 12, 15, b"old"), Row::Lock(b"k".to_vec(), lock)];
        expect_rows(&mut store, "after a pessimistic prewrite", &right)?;
    }
    for there in
        [committed(b"k", 12, 15, b"v"), locked(b"k", b"k", 11, b"v"), rolled_back(b"k", 10)]
    {
        store.anew()?;
        store.load([there.clone()])?;
        let response = store.call(&request)?;
        if response.errors.is_empty() {
            return Err(Failure::broke(
                "the prewrite of a pessimistic transaction has succeeded without its lock",
                format!("the lock of 10 is gone, and there is {}", there.show()),
                "the prewrite was answered without an error",
            ));
        }
        expect_rows(&mut store, "after a refused prewrite", &[there])?;
    }
    Ok(())
}

/// A pessimistic rollback releases locks that hold no value, and leaves no record: the transaction goes on, and may lock the
/// key again. Locks that are prewritten, that are others', or that were taken later than the request says, stay.
fn a_pessimistic_rollback_leaves_no_record(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let stay = [
        locked(b"prewritten", b"k", 10, b"v"),
        Row::Lock(b"other".to_vec(), held(11, 20)),
        Row::Lock(b"later".to_vec(), held(10, 21)),
    ];
    store.load(stay.clone())?;
    store.load([Row::Lock(b"k".to_vec(), held(10, 20))])?;
    let keys = [&b"k"[..], b"prewritten", b"other", b"later", b"absent"];
    let request = PessimisticRollbackRequest {
        start_version: 10,
        for_update_ts: 20,
        keys: keys.iter().map(|key| key.to_vec().into()).collect(),
        ..Default::default()
    };
    expect_ok("a pessimistic rollback", &store.call(&request)?.errors)?;
    expect_rows(&mut store, "after a pessimistic rollback at 20", &stay)?;
    expect_ok("to lock the key again", &store.call(&lock(10, 22, &[b"k"]))?.errors)
}

/// A heart beat makes the primary's lock live longer, never shorter. Without a lock it is an error.
fn a_heart_beat_prolongs_a_life(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([locked(b"k", b"k", 10, b"v")])?;
    for (advised, right) in [(5_000, 5_000), (4_000, 5_000), (6_000, 6_000)] {
        let request = TxnHeartBeatRequest {
            primary_lock: b"k".to_vec().into(),
            start_version: 10,
            advise_lock_ttl: advised,
            ..Default::default()
        };
        let response = store.call(&request)?;
        if response.lock_ttl != right || response.error.is_some() {
            let what = format!("a heart beat that asks for {advised} ms");
            return Err(wrong(what, right, format!("{response:?}")));
        }
    }
    let lock = Lock { ttl: 6_000, ..Lock::put(b"k", 10, TTL, b"v") };
    expect_rows(&mut store, "after three heart beats", &[Row::Lock(b"k".to_vec(), lock)])?;
    let request = TxnHeartBeatRequest {
        primary_lock: b"k".to_vec().into(),
        start_version: 11,
        ..Default::default()
    };
    match store.call(&request)?.error {
        Some(error) if error.txn_not_found.is_some() => Ok(()),
        error => Err(wrong("11 has no lock", "txn_not_found", show_error(error.as_ref()))),
    }
}
