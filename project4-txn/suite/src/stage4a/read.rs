//! What a reader finds: locks, records, values.

use serde_bytes::ByteBuf;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::protocol::{Fact, Question, Txn};
use crate::rows::{Kind, Lock, Row, Write, text};
use crate::world::{Store, World, committed, deleted, locked, rolled_back, wrong};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("read.rs":
        the_lock_of_a_key_is_found,
        a_seek_finds_the_newest_record_that_is_not_too_new,
        a_seek_stays_with_its_key,
        a_value_is_found_by_the_time_of_its_commit,
        an_absent_key_has_no_value,
        a_reader_sees_the_newest_version_before_it,
        a_deleted_key_has_no_value_until_it_is_written_again,
        a_rollback_hides_nothing,
        a_lock_record_hides_nothing,
        an_empty_value_is_a_value,
        a_long_value_lies_under_its_start,
    )
}

pub(super) fn expect(
    store: &mut Store,
    key: &[u8],
    question: Question,
    right: &Fact,
    why: &str,
) -> Outcome {
    let seen = store.ask(key, question)?;
    if seen == *right {
        return Ok(());
    }
    let what = format!("{question:?} of {} is wrong: {why}", text(key));
    Err(wrong(what, show(right), show(&seen)))
}

fn show(fact: &Fact) -> String {
    match fact {
        Fact::Write(ts, bytes) => match Write::parse(bytes) {
            Some(write) => format!("@{ts} {}", crate::rows::show_write(&write)),
            None => format!("@{ts} {}", bytes.escape_ascii()),
        },
        Fact::Bytes(bytes) => sim::failure::show(bytes),
        fact => format!("{fact:?}"),
    }
}

pub(super) fn record(ts: u64, write: &Write) -> Fact {
    Fact::Write(ts, ByteBuf::from(write.bytes()))
}

fn value(value: &[u8]) -> Fact {
    Fact::Bytes(ByteBuf::from(value.to_vec()))
}

/// Whoever asks for the lock of a key gets it, whosever lock it is; and no other key's.
fn the_lock_of_a_key_is_found(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([locked(b"k", b"primary", 10, b"v"), locked(b"kk", b"primary", 11, b"w")])?;
    let right = Fact::Bytes(ByteBuf::from(Lock::put(b"primary", 10, 3_000, b"v").bytes()));
    expect(&mut store, b"k", Question::Lock, &right, "transaction 10 holds it")?;
    expect(&mut store, b"kkk", Question::Lock, &Fact::Nothing, "only shorter keys are locked")
}

/// `seek_write` at a timestamp finds the newest record that was committed at or before it, of any kind.
///
/// Hint: a range from `(key, ts)` to the end of the key's versions, and one step.
fn a_seek_finds_the_newest_record_that_is_not_too_new(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([committed(b"k", 10, 15, b"a"), deleted(b"k", 20, 25), rolled_back(b"k", 30)])?;
    let put = record(15, &Write::put(10, b"a"));
    let gone = record(25, &Write::new(Kind::Delete, 20));
    let rolled = record(30, &Write::new(Kind::Rollback, 30));
    for (ts, right) in [
        (14, &Fact::Nothing),
        (15, &put),
        (24, &put),
        (25, &gone),
        (29, &gone),
        (30, &rolled),
        (u64::MAX, &rolled),
    ] {
        expect(
            &mut store,
            b"k",
            Question::SeekWrite(ts),
            right,
            "there are records at 15, 25, 30",
        )?;
    }
    Ok(())
}

/// A seek on a key without records finds nothing, and not the next key's record.
///
/// Hint: a range has an end.
fn a_seek_stays_with_its_key(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([
        committed(b"a", 1, 2, b"v"),
        committed(b"c", 1, 2, b"v"),
        committed(b"a\x00", 90, 95, b"v"),
    ])?;
    for key in [&b"b"[..], b"", b"a\xff"] {
        let question = Question::SeekWrite(u64::MAX);
        expect(&mut store, key, question, &Fact::Nothing, "it has no record, its neighbours have")?;
    }
    let question = Question::SeekWrite(1);
    expect(&mut store, b"a", question, &Fact::Nothing, "its only record is from 2")
}

/// A version is visible from the timestamp of its *commit* on. That it was written earlier means nothing: nobody knew
/// then whether it would ever commit.
fn a_value_is_found_by_the_time_of_its_commit(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([committed(b"k", 40, 42, b"v")])?;
    for (ts, right) in [(41, Fact::Nothing), (42, value(b"v")), (43, value(b"v"))] {
        expect(&mut store, b"k", Question::Value(ts), &right, "it was committed at 42")?;
    }
    Ok(())
}

/// A key that was never written has no value, whatever its neighbours have.
fn an_absent_key_has_no_value(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([committed(&[16, 240], 40, 42, b"v")])?;
    for key in [&[16, 241][..], &[16], &[16, 240, 0]] {
        expect(&mut store, key, Question::Value(43), &Fact::Nothing, "only \\x10\\xf0 is there")?;
    }
    Ok(())
}

/// Of several versions, a reader sees the newest that is not newer than itself. One that was *begun* before the reader
/// and committed after it is too new.
fn a_reader_sees_the_newest_version_before_it(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([committed(b"k", 40, 42, b"old"), committed(b"k", 50, 52, b"new")])?;
    for (ts, right) in [(42, "old"), (50, "old"), (51, "old"), (52, "new"), (u64::MAX, "new")] {
        let why = "there are versions committed at 42 and 52";
        expect(&mut store, b"k", Question::Value(ts), &value(right.as_bytes()), why)?;
    }
    Ok(())
}

/// A deletion is a version, too: whoever reads after it sees nothing, whoever reads before it sees what was there.
fn a_deleted_key_has_no_value_until_it_is_written_again(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([
        committed(b"k", 40, 42, b"old"),
        deleted(b"k", 50, 52),
        committed(b"k", 60, 62, b"new"),
    ])?;
    for (ts, right) in
        [(51, value(b"old")), (52, Fact::Nothing), (61, Fact::Nothing), (62, value(b"new"))]
    {
        expect(&mut store, b"k", Question::Value(ts), &right, "it is deleted from 52 to 62")?;
    }
    Ok(())
}

/// The record of a rollback says that a transaction did *not* happen. It changes nothing, so a reader looks past it, at
/// what was there before. To take it for a deletion would lose the value of every key that somebody once gave up on.
///
/// Hint: go on below the record, until there is a Put or a Delete.
fn a_rollback_hides_nothing(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([committed(b"k", 5, 10, b"v"), rolled_back(b"k", 20), rolled_back(b"k", 21)])?;
    for ts in [10, 20, 30] {
        expect(
            &mut store,
            b"k",
            Question::Value(ts),
            &value(b"v"),
            "only 20 and 21 were rolled back",
        )?;
    }
    store.load([rolled_back(b"fresh", 20)])?;
    expect(&mut store, b"fresh", Question::Value(30), &Fact::Nothing, "nothing was ever committed")
}

/// A transaction that only *locked* a key, to keep others out, leaves a record without a value. A reader looks past it.
fn a_lock_record_hides_nothing(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let lock = Row::Write(b"k".to_vec(), 25, Write::new(Kind::Lock, 20));
    store.load([committed(b"k", 5, 10, b"v"), lock])?;
    expect(&mut store, b"k", Question::Value(30), &value(b"v"), "the record at 25 changes nothing")
}

/// A Put of an empty value is a Put.
///
/// Hint: whether there is a value is said by the record's kind, not by the length of the value.
fn an_empty_value_is_a_value(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([committed(b"k", 5, 10, b"v"), committed(b"k", 15, 20, b"")])?;
    expect(&mut store, b"k", Question::Value(30), &value(b""), "it was set to the empty value")
}

/// A value over 255 bytes stands not in the record, but in `default`, under the timestamp at which it was *written*. The
/// record knows that timestamp; its own place is under that of the commit.
fn a_long_value_lies_under_its_start(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let (old, new) = (vec![1; 300], vec![2; 256]);
    store.load([
        Row::Value(b"k".to_vec(), 10, old.clone()),
        Row::Write(b"k".to_vec(), 20, Write::new(Kind::Put, 10)),
        // Somebody's who started exactly when the first committed, and has not committed.
        Row::Value(b"k".to_vec(), 20, vec![3; 300]),
        Row::Value(b"k".to_vec(), 25, new.clone()),
        Row::Write(b"k".to_vec(), 30, Write::new(Kind::Put, 25)),
    ])?;
    expect(&mut store, b"k", Question::Value(29), &value(&old), "it was written at 10")?;
    expect(&mut store, b"k", Question::Value(30), &value(&new), "it was written at 25")
}
