//! `Storage::write` and `Storage::reader` on the student's `StandaloneStorage`.

use sim::failure::{Failure, Outcome, show};
use sim::harness::Test;

use crate::protocol::{CFS, Cf, Change, Move, Standalone};
use crate::world::{Kv, World, show_value};

pub(super) fn tests() -> Vec<Test<Standalone>> {
    sim::tests!("storage.rs":
        a_new_store_is_empty,
        a_write_is_seen_by_the_next_reader,
        an_empty_value_is_not_an_absent_one,
        a_batch_is_applied_in_its_order,
        deleting_an_absent_key_is_no_error,
        delete_range_takes_its_start_and_leaves_its_end,
        column_families_are_separate,
        a_reader_keeps_its_moment,
        an_unknown_column_family_is_refused_as_a_whole,
        an_empty_batch_is_fine,
    )
}

fn expect_value(kv: &mut Kv, cf: Cf, key: &[u8], expected: Option<&[u8]>, why: &str) -> Outcome {
    let seen = kv.get_now(cf, key)?;
    if seen.as_deref() == expected {
        return Ok(());
    }
    Err(Failure::broke(
        format!("a reader does not see what was written: {why}"),
        format!(
            "{cf:?} {} must be {}",
            show(key),
            show_value(expected.map(<[u8]>::to_vec).as_ref())
        ),
        format!("a reader opened afterwards returns {}", show_value(seen.as_ref())),
    ))
}

fn put(cf: Cf, key: &[u8], value: &[u8]) -> Change {
    Change::Put(cf, key.to_vec(), value.to_vec())
}

fn delete(cf: Cf, key: &[u8]) -> Change {
    Change::Delete(cf, key.to_vec())
}

/// A store that was never written to can be read: no key has a value, and a cursor finds no pair, in every
/// column family.
///
/// Hint: a reader is a snapshot of the engine (`Engine::snapshot`), wrapped in an `EngineReader`.
fn a_new_store_is_empty(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let reader = kv.open_reader(1)?;
    for cf in CFS {
        let value = kv.get(reader, cf, b"k")?;
        let pairs = kv.walk(reader, cf, (b"", b"\xff"), false, vec![Move::Advance])?;
        if value.is_some() || pairs != [None] {
            return Err(Failure::broke(
                "a new store is not empty",
                "nothing was ever written to it",
                format!(
                    "{cf:?} holds k={}, and a cursor finds {pairs:?}",
                    show_value(value.as_ref())
                ),
            ));
        }
    }
    Ok(())
}

/// When `write` has returned, every reader that is opened from then on sees the batch: this is the
/// first half of the contract of `Storage` (see the module `storage`).
///
/// Hint: nothing may wait in a buffer of yours; commit before you return.
fn a_write_is_seen_by_the_next_reader(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    expect_value(&mut kv, Cf::Default, b"k", None, "nothing was written yet")?;
    kv.write(vec![put(Cf::Default, b"k", b"one")])?;
    expect_value(&mut kv, Cf::Default, b"k", Some(b"one"), "one was put")?;
    kv.write(vec![put(Cf::Default, b"k", b"two"), put(Cf::Default, b"l", b"three")])?;
    expect_value(&mut kv, Cf::Default, b"k", Some(b"two"), "two was put over one")?;
    expect_value(&mut kv, Cf::Default, b"l", Some(b"three"), "both puts of a batch count")?;
    kv.write(vec![delete(Cf::Default, b"k")])?;
    expect_value(&mut kv, Cf::Default, b"k", None, "it was deleted")?;
    expect_value(&mut kv, Cf::Default, b"l", Some(b"three"), "only its neighbour was deleted")
}

/// A key with an empty value is present. TiKV accepts empty values, and its clients tell them from
/// absent keys, so storage must, too.
///
/// Hint: an `Option` says "absent"; an empty vector does not.
fn an_empty_value_is_not_an_absent_one(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    kv.write(vec![put(Cf::Default, b"k", b""), put(Cf::Write, b"", b"v")])?;
    expect_value(&mut kv, Cf::Default, b"k", Some(b""), "an empty value was put")?;
    expect_value(&mut kv, Cf::Write, b"", Some(b"v"), "a value was put at the empty key")
}

/// The changes of a batch count in their order: of two on one key, the later one wins. A handler may
/// delete a range and put a key of it again in one batch.
///
/// Hint: go through the batch once, from the front; do not sort it by kind.
fn a_batch_is_applied_in_its_order(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let cf = Cf::Lock;
    let range = Change::DeleteRange(cf, b"a".to_vec(), b"z".to_vec());
    kv.write(vec![
        put(cf, b"a", b"1"),
        delete(cf, b"a"),
        put(cf, b"b", b"1"),
        put(cf, b"b", b"2"),
    ])?;
    expect_value(&mut kv, cf, b"a", None, "the batch put it, then deleted it")?;
    expect_value(&mut kv, cf, b"b", Some(b"2"), "the batch put it twice")?;
    kv.write(vec![delete(cf, b"b"), put(cf, b"b", b"3")])?;
    expect_value(&mut kv, cf, b"b", Some(b"3"), "the batch deleted it, then put it")?;
    kv.write(vec![put(cf, b"c", b"1"), range, put(cf, b"d", b"1")])?;
    expect_value(&mut kv, cf, b"c", None, "the batch put it, then deleted its range")?;
    expect_value(&mut kv, cf, b"d", Some(b"1"), "the batch deleted its range, then put it")
}

/// Deleting what is not there is success: the state after it is the one that was asked for. Clients
/// repeat deletes whose answer was lost.
fn deleting_an_absent_key_is_no_error(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    kv.write(vec![delete(Cf::Default, b"never"), put(Cf::Default, b"k", b"v")])?;
    kv.write(vec![delete(Cf::Write, b"k")])?;
    expect_value(&mut kv, Cf::Default, b"k", Some(b"v"), "only other keys were deleted")
}

/// A range includes its start and excludes its end, and an inverted or empty one holds nothing.
///
/// Hint: pass the range on as it is; the engine knows the rule.
fn delete_range_takes_its_start_and_leaves_its_end(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let keys: [&[u8]; 5] = [b"a", b"b", b"bb", b"c", b"d"];
    kv.write(keys.iter().flat_map(|key| CFS.map(|cf| put(cf, key, b"v"))).collect())?;
    let delete = |start: &[u8], end: &[u8]| {
        vec![Change::DeleteRange(Cf::Default, start.to_vec(), end.to_vec())]
    };
    kv.write(delete(b"d", b"a"))?;
    kv.write(delete(b"a", b"a"))?;
    for key in keys {
        expect_value(&mut kv, Cf::Default, key, Some(b"v"), "only empty ranges were deleted")?;
    }
    kv.write(delete(b"b", b"c"))?;
    for (key, left) in
        [(&b"a"[..], true), (b"b", false), (b"bb", false), (b"c", true), (b"d", true)]
    {
        let expected = left.then_some(&b"v"[..]);
        expect_value(&mut kv, Cf::Default, key, expected, "the range [b, c) was deleted")?;
    }
    expect_value(&mut kv, Cf::Lock, b"b", Some(b"v"), "the range was of another column family")
}

/// A column family is a key space of its own: the same key has a value in each, and deleting it in one
/// leaves the others.
///
/// Hint: does every branch of your `match` pass on the `cf` of its change?
fn column_families_are_separate(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let values = [&b"in default"[..], b"in lock", b"in write"];
    kv.write(CFS.iter().zip(values).map(|(&cf, value)| put(cf, b"k", value)).collect())?;
    for (cf, value) in CFS.into_iter().zip(values) {
        expect_value(&mut kv, cf, b"k", Some(value), "each family got a value of its own")?;
    }
    kv.write(vec![delete(Cf::Lock, b"k")])?;
    expect_value(&mut kv, Cf::Lock, b"k", None, "it was deleted in this family")?;
    expect_value(&mut kv, Cf::Write, b"k", Some(values[2]), "it was deleted in another family")
}

/// A reader sees the moment at which it was opened, however often it is asked and whatever is written
/// in between. A scan that saw half of a batch would break every promise made on top of it.
///
/// Hint: take one snapshot when the reader is opened, not one for each read.
fn a_reader_keeps_its_moment(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    kv.write(vec![put(Cf::Default, b"a", b"old"), put(Cf::Default, b"b", b"old")])?;
    let early = kv.open_reader(1)?;
    kv.write(vec![
        put(Cf::Default, b"a", b"new"),
        delete(Cf::Default, b"b"),
        put(Cf::Default, b"c", b"new"),
    ])?;
    let late = kv.open_reader(2)?;
    let rows = [
        (early, &b"a"[..], Some(&b"old"[..])),
        (early, b"b", Some(b"old")),
        (early, b"c", None),
        (late, b"a", Some(b"new")),
        (late, b"b", None),
        (late, b"c", Some(b"new")),
    ];
    for (reader, key, expected) in rows {
        let seen = kv.get(reader, Cf::Default, key)?;
        if seen.as_deref() != expected {
            return Err(Failure::broke(
                "a reader does not show the moment at which it was opened",
                format!(
                    "{} was {} when the reader was opened",
                    show(key),
                    show_value(expected.map(<[u8]>::to_vec).as_ref())
                ),
                format!("the reader returns {}", show_value(seen.as_ref())),
            ));
        }
    }
    Ok(())
}

/// A batch that names a column family which does not exist is refused, and nothing of it happens: all or
/// nothing. The error is definite: it surely did not happen.
fn an_unknown_column_family_is_refused_as_a_whole(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let result = kv.try_write(vec![put(Cf::Default, b"k", b"v"), put(Cf::Unknown, b"k", b"v")])?;
    match result {
        Err(error) if error.definite => {}
        Err(error) => {
            return Err(Failure::broke(
                "a refused batch must say that it surely did not happen",
                "the batch names an unknown column family, so nothing of it may be written",
                format!("the error {:?} is not definite", error.text),
            ));
        }
        Ok(()) => {
            return Err(Failure::broke(
                "a write to an unknown column family was acknowledged",
                "the engine has the column families default, lock and write",
                "write() returned Ok for another one",
            ));
        }
    }
    expect_value(&mut kv, Cf::Default, b"k", None, "the batch was refused as a whole")?;
    let reader = kv.open_reader(1)?;
    match kv.try_get(reader, Cf::Unknown, b"k")? {
        Err(_) => Ok(()),
        Ok(value) => Err(Failure::broke(
            "a read of an unknown column family was answered",
            "the engine has the column families default, lock and write",
            format!("get_cf returned {}", show_value(value.as_ref())),
        )),
    }
}

/// A batch without changes is written at once. A delete of several keys that turn out to be none makes
/// one.
fn an_empty_batch_is_fine(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    kv.write(Vec::new())?;
    kv.write(vec![put(Cf::Default, b"k", b"v")])?;
    kv.write(Vec::new())?;
    expect_value(&mut kv, Cf::Default, b"k", Some(b"v"), "only empty batches came after it")
}
