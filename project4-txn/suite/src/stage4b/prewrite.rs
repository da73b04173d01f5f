//! KvPrewrite of optimistic transactions.

use proto::kvrpcpb::write_conflict::Reason;
use proto::kvrpcpb::{Assertion, AssertionLevel, Mutation, Op, PrewriteRequest, PrewriteResponse};
use sim::failure::Outcome;
use sim::harness::Test;

use crate::protocol::Txn;
use crate::rows::{Kind, Lock, Row, Write, text};
use crate::world::{
    Store, TTL, World, committed, delete, deleted, expect_ok, expect_rows, locked, mutation,
    prewrite, prewrite_under, put, rolled_back, show_error, wrong,
};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("prewrite.rs":
        an_empty_prewrite_changes_nothing,
        a_prewrite_locks_its_key_and_leaves_the_value,
        a_prewrite_locks_all_its_keys,
        of_two_mutations_of_a_key_the_later_wins,
        a_prewrite_stops_at_another_lock,
        a_commit_after_the_start_is_a_conflict,
        a_commit_before_the_start_is_none,
        a_record_that_changed_nothing_is_a_conflict_too,
        one_bad_key_spoils_the_whole_prewrite,
        a_prewrite_that_comes_twice_is_done_once,
        a_prewrite_after_its_commit_changes_nothing,
        a_prewrite_after_its_rollback_fails,
        an_insert_needs_an_absent_key,
        a_wrong_assertion_fails,
    )
}

fn errors(response: &PrewriteResponse) -> String {
    let errors: Vec<String> = response.errors.iter().map(|e| show_error(Some(e))).collect();
    if errors.is_empty() { "no error".into() } else { errors.join(", ") }
}

fn succeed(store: &mut Store, request: &PrewriteRequest) -> Outcome {
    let response = store.call(request)?;
    expect_ok("a prewrite", &response.errors)
}

/// A prewrite of no keys succeeds.
fn an_empty_prewrite_changes_nothing(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    succeed(&mut store, &prewrite(10, &[]))?;
    expect_rows(&mut store, "after a prewrite of nothing", &[])
}

/// A prewrite leaves a lock that says what it will become, who decides about it, when the transaction started and how
/// long it may live. A value of up to 255 bytes stands in the lock; a longer one lies in `default`; a deletion has none.
fn a_prewrite_locks_its_key_and_leaves_the_value(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let request = PrewriteRequest { txn_size: 3, ..prewrite_under(b"p", 10, &[put(b"k", b"v")]) };
    succeed(&mut store, &request)?;
    let lock = Lock { txn_size: 3, ..Lock::put(b"p", 10, TTL, b"v") };
    expect_rows(
        &mut store,
        "after a prewrite of a short value",
        &[Row::Lock(b"k".to_vec(), lock)],
    )?;

    for (len, long) in [(0, false), (255, false), (256, true)] {
        store.anew()?;
        let value = vec![7; len];
        succeed(&mut store, &prewrite(10, &[put(b"k", &value)]))?;
        let mut rows = vec![Row::Lock(b"k".to_vec(), Lock::put(b"k", 10, TTL, &value))];
        if long {
            let lock = Lock::new(Kind::Put, b"k", 10, TTL);
            rows = vec![Row::Lock(b"k".to_vec(), lock), Row::Value(b"k".to_vec(), 10, value)];
        }
        expect_rows(&mut store, &format!("after a prewrite of {len} bytes"), &rows)?;
    }
    for (op, kind) in [(Op::Del, Kind::Delete), (Op::Lock, Kind::Lock)] {
        store.anew()?;
        succeed(&mut store, &prewrite(10, &[mutation(op, b"k", b"")]))?;
        let lock = Lock::new(kind, b"k", 10, TTL);
        expect_rows(
            &mut store,
            &format!("after a prewrite of {op:?}"),
            &[Row::Lock(b"k".to_vec(), lock)],
        )?;
    }
    Ok(())
}

/// All keys of a prewrite are locked, and all locks name the same primary. Prewrites of other keys are no obstacle.
fn a_prewrite_locks_all_its_keys(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    succeed(&mut store, &prewrite(10, &[put(b"b", b"1"), put(b"a", b"2"), delete(b"c")]))?;
    succeed(&mut store, &prewrite(11, &[put(b"d", b"4")]))?;
    let right = [
        locked(b"b", b"b", 10, b"1"),
        locked(b"a", b"b", 10, b"2"),
        Row::Lock(b"c".to_vec(), Lock::new(Kind::Delete, b"b", 10, TTL)),
        locked(b"d", b"d", 11, b"4"),
    ];
    expect_rows(&mut store, "after prewrites of 10 and 11", &right)
}

/// If a request names a key twice, its later mutation is the one that counts.
fn of_two_mutations_of_a_key_the_later_wins(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let mutations =
        [put(b"k", b"1"), put(b"j", b"2"), delete(b"k"), put(b"k", b"3"), put(b"z", b"4")];
    succeed(&mut store, &prewrite(10, &mutations))?;
    let right =
        [locked(b"k", b"k", 10, b"3"), locked(b"j", b"k", 10, b"2"), locked(b"z", b"k", 10, b"4")];
    expect_rows(&mut store, "after a prewrite that names a key three times", &right)
}

/// A key that another transaction has locked is not to be had. The answer is that lock.
fn a_prewrite_stops_at_another_lock(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for owner in [9, 11] {
        store.anew()?;
        store.load([locked(b"k", b"p", owner, b"v")])?;
        let response = store.call(&prewrite(10, &[put(b"k", b"w")]))?;
        let right = format!("locked: k by {owner}");
        if errors(&response) != right {
            let what = format!("{owner} holds k, and 10 prewrites it");
            return Err(wrong(what, right, errors(&response)));
        }
        let right = [locked(b"k", b"p", owner, b"v")];
        expect_rows(&mut store, "after a refused prewrite", &right)?;
    }
    Ok(())
}

fn conflicts(
    store: &mut Store,
    request: &PrewriteRequest,
    reason: Reason,
    with: (u64, u64),
) -> Outcome {
    let response = store.call(request)?;
    let seen = response.errors.first().and_then(|error| error.conflict.as_ref());
    let found = seen.map(|c| (c.reason(), c.start_ts, c.conflict_ts, c.conflict_commit_ts));
    if found == Some((reason, request.start_version, with.0, with.1)) {
        return Ok(());
    }
    let what =
        format!("transaction {} comes too late, and its prewrite must fail", request.start_version);
    let right = format!("conflict ({reason:?}): {} started, committed {}", with.0, with.1);
    Err(wrong(what, right, errors(&response)))
}

/// A transaction that has committed the key *after* this one started was not in this one's snapshot. To overwrite it
/// would lose it: this one computed what it writes from what it read. What counts is when the other one committed; that it
/// may have *started* earlier is no excuse.
///
/// Hint: compare `commit_ts` of the newest commit with your `start_ts`.
fn a_commit_after_the_start_is_a_conflict(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let other = committed(b"k", 80, 101, b"v");
    store.load([other.clone(), committed(b"k", 10, 20, b"old")])?;
    let request = prewrite(100, &[put(b"k", b"w")]);
    conflicts(&mut store, &request, Reason::Optimistic, (80, 101))?;
    let right = [other, committed(b"k", 10, 20, b"old")];
    expect_rows(&mut store, "after a refused prewrite", &right)?;

    store.anew()?;
    store.load([deleted(b"k", 150, 160)])?;
    conflicts(&mut store, &request, Reason::Optimistic, (150, 160))?;
    // Rollbacks above it do not hide it.
    store.load([rolled_back(b"k", 170), rolled_back(b"k", 180)])?;
    conflicts(&mut store, &request, Reason::Optimistic, (150, 160))
}

/// What was committed before the start is in the snapshot, and no obstacle. Neither is a rollback, whenever it was.
fn a_commit_before_the_start_is_none(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let there = [committed(b"k", 80, 90, b"v"), rolled_back(b"k", 120)];
    store.load(there.clone())?;
    succeed(&mut store, &prewrite(100, &[put(b"k", b"w")]))?;
    let [a, b] = there;
    let right = [a, b, locked(b"k", b"k", 100, b"w")];
    expect_rows(&mut store, "90 is before 100, and 120 did nothing", &right)
}

/// A transaction that only locked the key has changed nothing, but has asked that nobody else change it meanwhile.
fn a_record_that_changed_nothing_is_a_conflict_too(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([Row::Write(b"k".to_vec(), 101, Write::new(Kind::Lock, 80))])?;
    let request = prewrite(100, &[put(b"k", b"w")]);
    conflicts(&mut store, &request, Reason::Optimistic, (80, 101))
}

/// All or nothing: if one key says no, no key is locked, and every key that says no is named.
fn one_bad_key_spoils_the_whole_prewrite(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let there = [locked(b"b", b"b", 9, b"x"), committed(b"d", 90, 110, b"y")];
    store.load(there.clone())?;
    let mutations =
        [put(b"a", b"1"), put(b"b", b"2"), put(b"c", &[3; 300]), put(b"d", b"4"), put(b"e", b"5")];
    let response = store.call(&prewrite(100, &mutations))?;
    if response.errors.len() != 2 {
        let what = "b is locked and d was written since: a prewrite of a to e must name both";
        return Err(wrong(what, "two errors", errors(&response)));
    }
    expect_rows(&mut store, "after a prewrite of which two keys said no", &there)
}

/// An answer can be lost, and then the client sends the prewrite again. It must hear "yes" again, and nothing changes:
/// a transaction never meets its own lock as an obstacle.
fn a_prewrite_that_comes_twice_is_done_once(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let request = prewrite(10, &[put(b"a", b"1"), put(b"b", &[2; 300]), delete(b"c")]);
    succeed(&mut store, &request)?;
    let after_one = store.rows()?;
    for _ in 0..2 {
        succeed(&mut store, &request)?;
        expect_rows(&mut store, "after the same prewrite again", &after_one)?;
    }
    Ok(())
}

/// A prewrite may arrive after the commit of its own transaction (a retry that was overtaken). It has nothing left to do:
/// to lock the key again would leave a lock that nobody will ever take away. It is no conflict with itself either.
fn a_prewrite_after_its_commit_changes_nothing(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for record in [
        committed(b"k", 10, 15, b"v"),
        deleted(b"k", 10, 15),
        Row::Write(b"k".to_vec(), 15, Write::new(Kind::Lock, 10)),
    ] {
        store.anew()?;
        let later = committed(b"k", 20, 25, b"somebody else's");
        store.load([record.clone(), later.clone()])?;
        succeed(&mut store, &prewrite(10, &[put(b"k", b"v")]))?;
        expect_rows(
            &mut store,
            "after a prewrite that its commit has overtaken",
            &[record, later],
        )?;
    }
    Ok(())
}

/// A prewrite may arrive after the *rollback* of its own transaction. Others have been told that the transaction is dead, and
/// have rolled back its other keys. If this key were locked now, it could be committed: half a transaction.
///
/// Hint: the record of the rollback lies at the transaction's `start_ts`, which is not *after* its start; a test for
/// conflicts does not see it.
fn a_prewrite_after_its_rollback_fails(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let overlapped = Write { overlapped: true, ..Write::put(5, b"x") };
    for there in [
        vec![rolled_back(b"k", 10)],
        vec![rolled_back(b"k", 10), committed(b"k", 3, 5, b"old")],
        vec![rolled_back(b"k", 10), rolled_back(b"k", 20)],
        vec![Row::Write(b"k".to_vec(), 10, overlapped)],
    ] {
        store.anew()?;
        store.load(there.clone())?;
        let request = prewrite(10, &[put(b"k", b"v")]);
        conflicts(&mut store, &request, Reason::SelfRolledBack, (10, 0))?;
        expect_rows(&mut store, "after a prewrite that its rollback has overtaken", &there)?;
    }
    Ok(())
}

/// Insert puts a key that must not have a value; CheckNotExists only checks that, and leaves nothing.
fn an_insert_needs_an_absent_key(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let there =
        [committed(b"k", 3, 5, b""), committed(b"gone", 3, 5, b"v"), deleted(b"gone", 6, 8)];
    store.load(there.clone())?;
    for op in [Op::Insert, Op::CheckNotExists] {
        let response = store.call(&prewrite(10, &[mutation(op, b"k", b"w")]))?;
        let seen = response.errors.first().and_then(|error| error.already_exist.clone());
        if seen.as_ref().map(|error| &error.key[..]) != Some(b"k") {
            let what = format!("{op:?} of a key that has a value (an empty one)");
            return Err(wrong(what, "already_exist: k", errors(&response)));
        }
    }
    let mutations = [mutation(Op::Insert, b"gone", b"w"), mutation(Op::CheckNotExists, b"n", b"")];
    succeed(&mut store, &prewrite(10, &mutations))?;
    let [a, b, c] = there;
    let right = [a, b, c, locked(b"gone", b"gone", 10, b"w")];
    expect_rows(&mut store, "after an insert of a deleted key", &right)
}

/// A client may assert what it believes about a key. A wrong belief is a bug of the client's, and the prewrite fails.
fn a_wrong_assertion_fails(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([committed(b"k", 3, 5, b"v")])?;
    let with = |key: &[u8], assertion: Assertion, level: AssertionLevel| {
        let mutation = Mutation { assertion: assertion.into(), ..put(key, b"w") };
        PrewriteRequest { assertion_level: level.into(), ..prewrite(10, &[mutation]) }
    };
    for (key, assertion) in [(&b"k"[..], Assertion::NotExist), (b"absent", Assertion::Exist)] {
        let response = store.call(&with(key, assertion, AssertionLevel::Strict))?;
        let failed = response.errors.first().is_some_and(|error| error.assertion_failed.is_some());
        if !failed {
            let what = format!("the assertion {assertion:?} about {} is wrong", text(key));
            return Err(wrong(what, "assertion_failed", errors(&response)));
        }
    }
    succeed(&mut store, &with(b"k", Assertion::Exist, AssertionLevel::Strict))?;
    succeed(&mut store, &with(b"absent", Assertion::Exist, AssertionLevel::Off))
}
