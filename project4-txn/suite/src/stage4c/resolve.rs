//! KvResolveLock and KvScanLock.

use proto::kvrpcpb::{ResolveLockRequest, ResolveLockResponse, ScanLockRequest, TxnInfo};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::protocol::Txn;
use crate::rows::{Kind, Lock, Row, Write, show_rows, text};
use crate::world::{
    Responds, Store, TTL, World, commit, committed, expect_ok, expect_rows, locked, prewrite, put,
    resolve, rollback, rolled_back, wrong,
};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("resolve.rs":
        a_resolve_of_nothing_changes_nothing,
        all_locks_of_a_committed_transaction_are_committed,
        all_locks_of_a_dead_transaction_are_rolled_back,
        what_is_decided_already_stays,
        many_transactions_are_resolved_at_once,
        a_race_of_resolvers_and_owners_ends_in_one_way,
        old_locks_are_listed_in_order,
    )
}

fn succeed(store: &mut Store, request: &ResolveLockRequest) -> Outcome {
    let response = store.call(request)?;
    expect_ok("a resolve", &response.error)
}

/// Without locks there is nothing to do.
fn a_resolve_of_nothing_changes_nothing(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for request in [resolve(0, 0), resolve(10, 15), resolve(10, 0)] {
        succeed(&mut store, &request)?;
        expect_rows(&mut store, "after a resolve without locks", &[])?;
    }
    Ok(())
}

/// Locks of 10 and of 11, all over the region.
fn fill(store: &mut Store) -> Outcome {
    store.load([
        locked(b"a", b"a", 10, b"1"),
        locked(b"b", b"b", 11, b"2"),
        Row::Lock(b"c".to_vec(), Lock::new(Kind::Put, b"a", 10, TTL)),
        Row::Value(b"c".to_vec(), 10, vec![3; 300]),
        Row::Lock(b"d".to_vec(), Lock::new(Kind::Delete, b"a", 10, TTL)),
        Row::Lock(b"e".to_vec(), Lock::new(Kind::Pessimistic, b"a", 10, TTL)),
        locked(b"\xff\xff", b"a", 10, b"last"),
    ])
}

/// With a `commit_version`, all locks that the transaction still has in the region are committed at it, wherever they are.
/// A pessimistic one holds nothing to commit, and goes. Other transactions' locks stay.
fn all_locks_of_a_committed_transaction_are_committed(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    fill(&mut store)?;
    succeed(&mut store, &resolve(10, 15))?;
    let right = [
        committed(b"a", 10, 15, b"1"),
        locked(b"b", b"b", 11, b"2"),
        Row::Write(b"c".to_vec(), 15, Write::new(Kind::Put, 10)),
        Row::Value(b"c".to_vec(), 10, vec![3; 300]),
        Row::Write(b"d".to_vec(), 15, Write::new(Kind::Delete, 10)),
        committed(b"\xff\xff", 10, 15, b"last"),
    ];
    expect_rows(&mut store, "after a resolve of 10 at 15", &right)
}

/// With a `commit_version` of 0, they are rolled back, each with a record. 0 is no timestamp at which anything is committed.
fn all_locks_of_a_dead_transaction_are_rolled_back(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    fill(&mut store)?;
    succeed(&mut store, &resolve(10, 0))?;
    let keys: [&[u8]; 5] = [b"a", b"c", b"d", b"e", b"\xff\xff"];
    let mut right = keys.map(|key| rolled_back(key, 10)).to_vec();
    right.push(locked(b"b", b"b", 11, b"2"));
    expect_rows(&mut store, "after a resolve of 10 at 0", &right)
}

/// What the transaction has committed or rolled back already stays, and so does everything of others.
fn what_is_decided_already_stays(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let there = [
        committed(b"a", 10, 15, b"1"),
        rolled_back(b"b", 10),
        Row::Value(b"c".to_vec(), 10, vec![1; 300]),
        locked(b"d", b"d", 11, b"2"),
    ];
    store.load(there.clone())?;
    for request in [resolve(10, 15), resolve(10, 0)] {
        succeed(&mut store, &request)?;
        expect_rows(&mut store, "after a resolve that has nothing to do", &there)?;
    }
    Ok(())
}

/// `txn_infos` tells the fates of many transactions in one request.
fn many_transactions_are_resolved_at_once(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let key = |n: u64| [b'k', u8::try_from(n).unwrap_or_default()];
    store.load((10..40).map(|n| locked(&key(n), &key(n), n, b"v")))?;
    let txn_infos = (10..30)
        .map(|n| TxnInfo { txn: n, status: if n % 2 == 0 { n + 100 } else { 0 } })
        .collect();
    succeed(&mut store, &ResolveLockRequest { txn_infos, ..Default::default() })?;
    let right: Vec<Row> = (10..40)
        .map(|n| match n {
            30.. => locked(&key(n), &key(n), n, b"v"),
            n if n % 2 == 0 => committed(&key(n), n, n + 100, b"v"),
            n => rolled_back(&key(n), n),
        })
        .collect();
    expect_rows(&mut store, "10 to 29 are decided, 30 to 39 are not", &right)
}

/// A resolver and the owner come in the same instant, twice each, and others begin to write the keys. Whatever the order, each key
/// ends in one way, and it is the way that was decided at the primary.
fn a_race_of_resolvers_and_owners_ends_in_one_way(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for round in 0..20 {
        store.anew()?;
        let keys: [&[u8]; 3] = [b"s", b"t", b"u"];
        store.load(keys.map(|key| locked(key, b"p", 10, b"v")))?;
        let commits = round % 2 == 0;
        let mut calls = vec![resolve(10, if commits { 15 } else { 0 }).call(); 2];
        if commits {
            store.load([committed(b"p", 10, 15, b"v")])?;
            calls.extend([commit(10, 15, &[b"s", b"t"]).call(), commit(10, 15, &keys).call()]);
        } else {
            store.load([rolled_back(b"p", 10)])?;
            calls.extend([rollback(10, &keys).call(), rollback(10, &keys[1..]).call()]);
        }
        calls.push(prewrite(20, &[put(b"t", b"next")]).call());
        let answers = store.race(calls)?;
        for answer in &answers[..2] {
            expect_ok("a resolve", &answer.to::<ResolveLockResponse>()?.error)?;
        }
        let rows = store.rows()?;
        for key in keys {
            let records: Vec<Row> = rows
                .iter()
                .filter(|row| matches!(row, Row::Write(k, ..) if k == key))
                .cloned()
                .collect();
            let right = if commits { committed(key, 10, 15, b"v") } else { rolled_back(key, 10) };
            let own_lock = rows
                .iter()
                .any(|row| matches!(row, Row::Lock(k, lock) if k == key && lock.start == 10));
            if crate::rows::without_marks(&records) != [right.clone()] || own_lock {
                return Err(Failure::broke(
                    format!("{} has not ended in the way that was decided", text(key)),
                    format!("right would be: {}", right.show()),
                    format!("the storage holds: {}", show_rows(&rows)),
                ));
            }
        }
    }
    Ok(())
}

/// KvScanLock lists the locks of a range whose owners started at or before `max_version`, in key order, at most `limit`.
fn old_locks_are_listed_in_order(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    fill(&mut store)?;
    for (start, end, max, limit, right) in [
        (&b""[..], &b""[..], 20, 0, &[&b"a"[..], b"b", b"c", b"d", b"e", b"\xff\xff"][..]),
        (b"", b"", 10, 0, &[b"a", b"c", b"d", b"e", b"\xff\xff"]),
        (b"", b"", 10, 2, &[b"a", b"c"]),
        (b"b", b"d", 20, 0, &[b"b", b"c"]),
        (b"", b"", 9, 0, &[]),
    ] {
        let request = ScanLockRequest {
            max_version: max,
            start_key: start.to_vec().into(),
            end_key: end.to_vec().into(),
            limit,
            ..Default::default()
        };
        let response = store.call(&request)?;
        let seen: Vec<&[u8]> = response.locks.iter().map(|lock| &lock.key[..]).collect();
        if seen != right {
            let what = format!("KvScanLock up to {max}, limit {limit}");
            return Err(wrong(what, format!("{right:?}"), format!("{seen:?}")));
        }
    }
    // Nothing of the stage's own stands under this test but what brings a lock to an end.
    succeed(&mut store, &resolve(11, 0))?;
    let all = ScanLockRequest { max_version: 11, ..Default::default() };
    match store.call(&all)?.locks.len() {
        5 => Ok(()),
        seen => Err(wrong("11 is resolved", 5, seen)),
    }
}
