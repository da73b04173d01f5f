//! What is on record about a transaction, and who came last.

use sim::failure::Outcome;
use sim::harness::Test;

use super::read::{expect, record};
use crate::protocol::{Fact, Question, Txn};
use crate::rows::{Kind, Row, Write};
use crate::world::{Store, World, committed, deleted, rolled_back};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("record.rs":
        a_transactions_commit_is_found_by_its_start,
        a_transactions_rollback_is_found,
        an_overlapped_rollback_is_found,
        the_newest_commit_is_found_whoever_asks,
        the_newest_commit_is_no_rollback,
    )
}

/// A retried request has to find out whether its transaction is over already. The record is found by the `start_ts`,
/// which stands in the record; in its key stands the `commit_ts`, which the asker does not know.
///
/// Hint: from the newest record downwards; below the start there can be nothing of this transaction.
fn a_transactions_commit_is_found_by_its_start(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([
        committed(b"k", 40, 42, b"a"),
        committed(b"k", 30, 52, b"b"),
        deleted(b"k", 60, 62),
        committed(b"j", 41, 43, b"other key"),
    ])?;
    let a = record(42, &Write::put(40, b"a"));
    let b = record(52, &Write::put(30, b"b"));
    let gone = record(62, &Write::new(Kind::Delete, 60));
    for (start, right) in [
        (40, &a),
        (30, &b),
        (60, &gone),
        (41, &Fact::Nothing),
        (42, &Fact::Nothing),
        (52, &Fact::Nothing),
        (70, &Fact::Nothing),
        (1, &Fact::Nothing),
    ] {
        let why = "40 committed at 42, 30 at 52, 60 at 62";
        expect(&mut store, b"k", Question::Record(start), right, why)?;
    }
    Ok(())
}

/// A rollback lies at its own `start_ts`, whatever has been committed since.
fn a_transactions_rollback_is_found(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([rolled_back(b"k", 20), committed(b"k", 25, 30, b"v"), rolled_back(b"k", 40)])?;
    for (start, right) in
        [(20, Fact::RolledBack), (40, Fact::RolledBack), (19, Fact::Nothing), (21, Fact::Nothing)]
    {
        expect(&mut store, b"k", Question::Record(start), &right, "20 and 40 were rolled back")?;
    }
    Ok(())
}

/// Two records cannot lie in one place. If transaction 50 is rolled back on a key that another transaction has committed
/// at exactly 50, then the commit's record gets a flag instead.
///
/// Hint: `Write::has_overlapped_rollback`; it is about whoever *started* at the record's commit timestamp.
fn an_overlapped_rollback_is_found(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let flagged = Write { overlapped: true, ..Write::put(10, b"v") };
    store.load([
        Row::Write(b"k".to_vec(), 50, flagged.clone()),
        committed(b"plain", 10, 50, b"v"),
        committed(b"k", 60, 70, b"later"),
    ])?;
    let why = "10 committed at 50, and 50 was rolled back";
    expect(&mut store, b"k", Question::Record(50), &Fact::RolledBack, why)?;
    expect(&mut store, b"k", Question::Record(10), &record(50, &flagged), why)?;
    let why = "10 committed at 50, and 50 has not been here";
    expect(&mut store, b"plain", Question::Record(50), &Fact::Nothing, why)
}

/// Who wants to write has to know who wrote last, also if that was after its own start: that is the very case in which
/// it must give up.
///
/// Hint: from `TimeStamp::MAX`, not from a transaction's timestamp.
fn the_newest_commit_is_found_whoever_asks(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let question = Question::NewestCommit;
    expect(&mut store, b"k", question, &Fact::Nothing, "there is nothing")?;
    store.load([committed(b"k", 40, 42, b"a"), committed(b"k", 50, 52, b"b")])?;
    expect(&mut store, b"k", question, &record(52, &Write::put(50, b"b")), "52 is the newest")?;
    expect(&mut store, b"j", question, &Fact::Nothing, "this key has none")?;
    store.load([deleted(b"k", 53, 54)])?;
    let gone = record(54, &Write::new(Kind::Delete, 53));
    expect(&mut store, b"k", question, &gone, "a deletion is a commit")?;
    let lock = Write::new(Kind::Lock, u64::MAX - 2);
    store.load([Row::Write(b"k".to_vec(), u64::MAX - 1, lock.clone())])?;
    let right = record(u64::MAX - 1, &lock);
    expect(&mut store, b"k", question, &right, "a record of kind Lock is a commit")
}

/// A rollback is no commit: nobody conflicts with somebody who did nothing.
fn the_newest_commit_is_no_rollback(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([rolled_back(b"k", 60), rolled_back(b"k", 70)])?;
    let question = Question::NewestCommit;
    expect(&mut store, b"k", question, &Fact::Nothing, "there are rollbacks only")?;
    store.load([committed(b"k", 50, 52, b"b")])?;
    let right = record(52, &Write::put(50, b"b"));
    expect(&mut store, b"k", question, &right, "what is above it are rollbacks")
}
