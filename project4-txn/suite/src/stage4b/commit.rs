//! KvCommit.

use proto::kvrpcpb::{CommitRequest, CommitResponse};
use sim::failure::Outcome;
use sim::harness::Test;

use crate::protocol::Txn;
use crate::rows::{Kind, Lock, Row, Write};
use crate::world::{
    Store, TTL, World, commit, committed, delete, expect_ok, expect_rows, get, locked, prewrite,
    put, rolled_back, show_error, wrong,
};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("commit.rs":
        an_empty_commit_changes_nothing,
        a_commit_turns_a_lock_into_a_version,
        a_commit_leaves_what_is_not_its_own,
        a_key_may_be_named_twice,
        a_commit_that_comes_twice_is_done_once,
        a_commit_after_the_rollback_fails,
        a_commit_does_not_take_anothers_lock,
        a_commit_without_a_prewrite_fails,
        a_commit_of_several_keys_is_whole,
        a_commit_keeps_the_promise_of_its_lock,
        a_commit_is_after_its_start,
        a_commit_does_not_bury_a_rollback,
        a_committed_transaction_is_read,
        what_was_committed_survives_a_crash,
    )
}

fn succeed(store: &mut Store, request: &CommitRequest) -> Outcome {
    let response = store.call(request)?;
    expect_ok("a commit", &response.error)
}

fn fail(store: &mut Store, request: &CommitRequest, why: &str) -> Outcome {
    let response = store.call(request)?;
    if response.error.as_ref().is_some_and(|error| !error.retryable.is_empty()) {
        return Ok(());
    }
    let what = format!(
        "a commit of {} at {} must fail: {why}",
        request.start_version, request.commit_version
    );
    Err(wrong(what, "`retryable`, with a text", show(&response)))
}

fn show(response: &CommitResponse) -> String {
    show_error(response.error.as_ref())
}

/// A commit of no keys succeeds.
fn an_empty_commit_changes_nothing(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    succeed(&mut store, &commit(10, 15, &[]))?;
    expect_rows(&mut store, "after a commit of nothing", &[])
}

/// The lock goes, and a record at the `commit_ts` comes, in one batch. A long value stays where the prewrite has put it.
fn a_commit_turns_a_lock_into_a_version(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([
        locked(b"short", b"short", 10, b"v"),
        Row::Lock(b"long".to_vec(), Lock::new(Kind::Put, b"short", 10, TTL)),
        Row::Value(b"long".to_vec(), 10, vec![7; 300]),
        Row::Lock(b"gone".to_vec(), Lock::new(Kind::Delete, b"short", 10, TTL)),
        Row::Lock(b"held".to_vec(), Lock::new(Kind::Lock, b"short", 10, TTL)),
    ])?;
    succeed(&mut store, &commit(10, 15, &[b"short", b"long", b"gone", b"held"]))?;
    let right = [
        committed(b"short", 10, 15, b"v"),
        Row::Write(b"long".to_vec(), 15, Write::new(Kind::Put, 10)),
        Row::Value(b"long".to_vec(), 10, vec![7; 300]),
        Row::Write(b"gone".to_vec(), 15, Write::new(Kind::Delete, 10)),
        Row::Write(b"held".to_vec(), 15, Write::new(Kind::Lock, 10)),
    ];
    expect_rows(&mut store, "after a commit at 15", &right)
}

/// A commit touches the keys that it names and the locks of its own transaction: not older versions, not other
/// transactions' locks, not its own locks on other keys.
fn a_commit_leaves_what_is_not_its_own(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let others = [
        committed(b"k", 3, 5, b"old"),
        committed(b"k\x00", 3, 5, b"neighbour"),
        locked(b"later", b"k", 10, b"own, another request"),
        locked(b"m", b"m", 9, b"other"),
        Row::Value(b"n".to_vec(), 9, vec![1; 300]),
    ];
    store.load(others.clone())?;
    store.load([locked(b"k", b"k", 10, b"new"), locked(b"j", b"k", 10, b"new, too")])?;
    succeed(&mut store, &commit(10, 15, &[b"k", b"j"]))?;
    let mut right = others.to_vec();
    right.extend([committed(b"k", 10, 15, b"new"), committed(b"j", 10, 15, b"new, too")]);
    expect_rows(&mut store, "after a commit of k and j", &right)
}

/// A key that is named twice in one request is committed once.
fn a_key_may_be_named_twice(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([locked(b"k", b"k", 10, b"v")])?;
    succeed(&mut store, &commit(10, 15, &[b"k", b"k"]))?;
    expect_rows(&mut store, "after a commit of k and k", &[committed(b"k", 10, 15, b"v")])
}

/// The answer to a commit can be lost. The client sends it again, and must hear "yes": it *is* committed. If it heard "no",
/// it would do the whole transaction once more. This holds for deletions and locks as it does for values.
///
/// Hint: no lock, then ask what is on record about the transaction.
fn a_commit_that_comes_twice_is_done_once(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for kind in [Kind::Put, Kind::Delete, Kind::Lock] {
        store.anew()?;
        store.load([Row::Lock(b"k".to_vec(), Lock::new(kind, b"k", 10, TTL))])?;
        let request = commit(10, 15, &[b"k"]);
        succeed(&mut store, &request)?;
        // Meanwhile somebody else has taken the key.
        let other = locked(b"k", b"k", 20, b"next");
        store.load([other.clone()])?;
        succeed(&mut store, &request)?;
        let right = [Row::Write(b"k".to_vec(), 15, Write::new(kind, 10)), other];
        expect_rows(&mut store, "after the same commit again", &right)?;
    }
    Ok(())
}

/// Somebody has rolled the transaction back. Then it is dead, and the client has to know.
fn a_commit_after_the_rollback_fails(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let there = [rolled_back(b"k", 10), committed(b"k", 3, 5, b"old")];
    store.load(there.clone())?;
    fail(&mut store, &commit(10, 15, &[b"k"]), "it was rolled back")?;
    expect_rows(&mut store, "after a refused commit", &there)
}

/// A lock that another transaction holds on the key is not to be committed, and not to be removed.
fn a_commit_does_not_take_anothers_lock(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let there = [locked(b"k", b"k", 9, b"other")];
    store.load(there.clone())?;
    fail(&mut store, &commit(10, 15, &[b"k"]), "9 holds the key")?;
    expect_rows(&mut store, "after a refused commit", &there)
}

/// If nothing is there of the transaction, nothing can be committed, and to say "yes" would be a lie. (A pessimistic lock is
/// nothing in that sense: it does not say what to write.)
fn a_commit_without_a_prewrite_fails(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let there = [committed(b"k", 3, 5, b"old"), committed(b"k\x00", 10, 15, b"neighbour")];
    store.load(there.clone())?;
    fail(&mut store, &commit(10, 15, &[b"k"]), "there is no lock, and no record of 10 on k")?;
    expect_rows(&mut store, "after a refused commit", &there)?;

    store.anew()?;
    let there = [Row::Lock(b"k".to_vec(), Lock::new(Kind::Pessimistic, b"k", 10, TTL))];
    store.load(there.clone())?;
    fail(&mut store, &commit(10, 15, &[b"k"]), "there is only a pessimistic lock")?;
    expect_rows(&mut store, "after a refused commit", &there)
}

/// If one of the keys cannot be committed, none is.
fn a_commit_of_several_keys_is_whole(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let there =
        [locked(b"a", b"a", 10, b"1"), locked(b"b", b"b", 9, b"2"), locked(b"c", b"a", 10, b"3")];
    store.load(there.clone())?;
    fail(&mut store, &commit(10, 15, &[b"a", b"b", b"c"]), "9 holds b")?;
    expect_rows(&mut store, "after a refused commit", &there)
}

/// A lock with a `min_commit_ts` has promised readers that it will not commit below. They have read past it. A commit
/// below is refused with `commit_ts_expired`, and the client comes again with a newer timestamp.
fn a_commit_keeps_the_promise_of_its_lock(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let lock = Lock { min_commit: 20, ..Lock::put(b"k", 10, TTL, b"v") };
    store.load([Row::Lock(b"k".to_vec(), lock.clone())])?;
    let response = store.call(&commit(10, 19, &[b"k"]))?;
    let seen = response.error.as_ref().and_then(|error| error.commit_ts_expired.as_ref());
    let seen = seen.map(|e| (e.start_ts, e.attempted_commit_ts, &e.key[..], e.min_commit_ts));
    if seen != Some((10, 19, b"k", 20)) {
        let what = "a commit at 19 of a lock that has promised 20";
        return Err(wrong(what, "commit_ts_expired (10, 19, k, 20)", show(&response)));
    }
    expect_rows(&mut store, "after a refused commit", &[Row::Lock(b"k".to_vec(), lock)])?;
    succeed(&mut store, &commit(10, 20, &[b"k"]))
}

/// A commit at or before its own start makes no sense, and is refused.
fn a_commit_is_after_its_start(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([locked(b"k", b"k", 10, b"v")])?;
    for at in [0, 9, 10] {
        let response = store.call(&commit(10, at, &[b"k"]))?;
        if response.error.is_none() {
            let what = format!("a commit of 10 at {at}");
            return Err(wrong(what, "an error", show(&response)));
        }
    }
    expect_rows(&mut store, "after refused commits", &[locked(b"k", b"k", 10, b"v")])
}

/// Transaction 20 was rolled back on this key, and transaction 10 now commits at exactly 20. Its record goes where the
/// rollback's is. Then the record has to say that there was a rollback, or a late prewrite of 20 would go through.
fn a_commit_does_not_bury_a_rollback(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let knowing = Lock { rollbacks: vec![20], ..Lock::put(b"k", 10, TTL, b"v") };
    for there in [
        vec![Row::Lock(b"k".to_vec(), knowing)],
        vec![locked(b"k", b"k", 10, b"v"), rolled_back(b"k", 20)],
    ] {
        store.anew()?;
        store.load(there)?;
        succeed(&mut store, &commit(10, 20, &[b"k"]))?;
        let write = Write { overlapped: true, ..Write::put(10, b"v") };
        expect_rows(&mut store, "after a commit at 20", &[Row::Write(b"k".to_vec(), 20, write)])?;
    }
    Ok(())
}

/// The whole way: prewrite, commit, read.
fn a_committed_transaction_is_read(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for (start, value) in [(10, &b"one"[..]), (20, &[2; 300]), (30, b"")] {
        let response = store.call(&prewrite(start, &[put(b"k", value), delete(b"j")]))?;
        expect_ok("a prewrite", &response.errors)?;
        succeed(&mut store, &commit(start, start + 5, &[b"k", b"j"]))?;
        let got = store.call(&get(b"k", start + 5))?;
        if got.not_found || got.value != value {
            let what = format!("a read at {} does not see what was committed then", start + 5);
            return Err(wrong(what, sim::failure::show(value), format!("{got:?}")));
        }
    }
    Ok(())
}

/// What was answered is on disk: locks, values and records, whole.
fn what_was_committed_survives_a_crash(run: &mut World) -> Outcome {
    let mut store = Store::on_disk(run)?;
    for round in 0..3 {
        let start: u64 = 10 * (round + 1);
        let value = [b"v", &start.to_be_bytes()[..]].concat();
        let response = store.call(&prewrite(start, &[put(b"a", &value), put(b"b", &[7; 300])]))?;
        expect_ok("a prewrite", &response.errors)?;
        let before = store.rows()?;
        store.crash()?;
        expect_rows(&mut store, "after a prewrite and a crash", &before)?;
        succeed(&mut store, &commit(start, start + 5, &[b"a", b"b"]))?;
        let before = store.rows()?;
        store.crash()?;
        expect_rows(&mut store, "after a commit and a crash", &before)?;
    }
    Ok(())
}
