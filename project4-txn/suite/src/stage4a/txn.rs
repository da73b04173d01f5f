//! What `MvccTxn` collects.

use serde_bytes::ByteBuf;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::protocol::{Cf, Change, Step, Txn};
use crate::rows::{Kind, Lock, Row, Write, lock_key, version_key};
use crate::world::{Store, World, wrong};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("txn.rs":
        a_lock_lies_under_its_key_alone,
        unlocking_removes_the_lock,
        a_value_lies_under_its_transactions_start,
        a_value_can_be_taken_back,
        a_record_lies_under_its_commit,
        changes_keep_their_order,
    )
}

fn expect(store: &mut Store, start: u64, steps: Vec<Step>, right: &[Change]) -> Outcome {
    let asked = format!("{steps:?}");
    let seen = store.steps(start, steps)?;
    if seen == right {
        return Ok(());
    }
    let show = |changes: &[Change]| {
        let one = |change: &Change| match change {
            Change::Put(cf, key, value) => format!("put {}", Row::parse(*cf, key, value).show()),
            Change::Delete(cf, key) => format!("delete {cf:?} {}", key.escape_ascii()),
            Change::DeleteRange(cf, ..) => format!("delete a range of {cf:?}"),
        };
        changes.iter().map(one).collect::<Vec<_>>().join(", ")
    };
    let what = format!("transaction {start} wants to change the wrong thing ({asked})");
    Err(wrong(what, show(right), show(&seen)))
}

/// A lock lies in `lock`, under the key alone. There is no timestamp in its key: that is why there can be only one, and
/// why everybody finds it.
///
/// Hint: `key::lock_key`, and `Lock::to_bytes`.
fn a_lock_lies_under_its_key_alone(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let mut lock = Lock::put(b"first", 10, 3_000, b"v");
    lock.min_commit = 12;
    lock.secondaries = Some(vec![b"b".to_vec(), b"c".to_vec()]);
    lock.rollbacks = vec![11];
    for lock in [Lock::new(Kind::Pessimistic, b"k", 10, 1), lock] {
        let steps = vec![Step::PutLock(b"k".to_vec(), ByteBuf::from(lock.bytes()))];
        expect(&mut store, 10, steps, &[Change::Put(Cf::Lock, lock_key(b"k"), lock.bytes())])?;
    }
    Ok(())
}

/// To unlock is to delete what `put_lock` has put.
fn unlocking_removes_the_lock(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let right = [Change::Delete(Cf::Lock, lock_key(&[1]))];
    expect(&mut store, 42, vec![Step::Unlock(vec![1])], &right)
}

/// A value lies in `default`, under its key and the `start_ts` of the transaction that wrote it: at that time nobody
/// knows yet when it will commit.
///
/// Hint: `key::version_key` with `self.start_ts`.
fn a_value_lies_under_its_transactions_start(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let value = vec![7; 300];
    let right = [Change::Put(Cf::Default, version_key(b"key", 453_325_345), value.clone())];
    let steps = vec![Step::PutValue(b"key".to_vec(), ByteBuf::from(value))];
    expect(&mut store, 453_325_345, steps, &right)
}

/// A rollback removes the value that its own prewrite has left, and no other.
fn a_value_can_be_taken_back(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let right = [Change::Delete(Cf::Default, version_key(&[17, 255, 0], 63_454_245))];
    expect(&mut store, 63_454_245, vec![Step::DeleteValue(vec![17, 255, 0])], &right)
}

/// A record lies in `write`, under its key and the timestamp of the *commit*: that is what readers compare with.
///
/// Hint: `key::version_key` with the timestamp that is handed in, not with `self.start_ts`.
fn a_record_lies_under_its_commit(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for write in
        [Write::put(10, b"v"), Write::new(Kind::Delete, 10), Write::new(Kind::Rollback, 10)]
    {
        let steps = vec![Step::PutWrite(b"k".to_vec(), 15, ByteBuf::from(write.bytes()))];
        let right = [Change::Put(Cf::Write, version_key(b"k", 15), write.bytes())];
        expect(&mut store, 10, steps, &right)?;
    }
    Ok(())
}

/// Changes are written as one batch, in the order in which they were made: of two on one key the later one wins.
///
/// Hint: push them to a list.
fn changes_keep_their_order(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let lock = Lock::put(b"k", 10, 3_000, b"v").bytes();
    let steps = vec![
        Step::PutLock(b"k".to_vec(), ByteBuf::from(lock.clone())),
        Step::PutValue(b"k".to_vec(), ByteBuf::from(b"v".to_vec())),
        Step::Unlock(b"k".to_vec()),
    ];
    let right = [
        Change::Put(Cf::Lock, lock_key(b"k"), lock),
        Change::Put(Cf::Default, version_key(b"k", 10), b"v".to_vec()),
        Change::Delete(Cf::Lock, lock_key(b"k")),
    ];
    expect(&mut store, 10, steps, &right)
}
