//! KvGC, KvDeleteRange and UnsafeDestroyRange.

use proto::kvrpcpb::{DeleteRangeRequest, GcRequest, UnsafeDestroyRangeRequest};
use sim::failure::{Failure, Outcome, show};
use sim::harness::Test;

use crate::protocol::Txn;
use crate::rows::{Kind, Row, Write, text};
use crate::world::{
    Store, World, committed, deleted, expect_rows, get, locked, prewrite, put, rolled_back, wrong,
};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("gc.rs":
        garbage_is_what_nobody_can_see,
        no_visible_version_is_ever_collected,
        a_transaction_older_than_the_garbage_is_refused,
        a_deleted_range_is_gone_with_all_its_versions,
    )
}

fn gc(safe_point: u64) -> GcRequest {
    GcRequest { safe_point, ..Default::default() }
}

/// Of each key, the newest version at or below the safe point is the oldest that anybody can still see. What is below it
/// goes, with its values; a deletion goes, too, and so do rollbacks and locks' records. What is above stays as it is.
fn garbage_is_what_nobody_can_see(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let stay = [
        committed(b"k", 40, 45, b"visible at 50"),
        rolled_back(b"k", 60),
        committed(b"k", 70, 75, b"newer"),
        deleted(b"d", 70, 75),
        committed(b"d", 51, 55, b"visible at 55"),
        locked(b"l", b"l", 80, b"new"),
        committed(b"l", 10, 15, b"v"),
    ];
    store.load(stay.clone())?;
    store.load([
        rolled_back(b"k", 47),
        Row::Write(b"k".to_vec(), 20, Write::new(Kind::Put, 12)),
        Row::Value(b"k".to_vec(), 12, vec![1; 300]),
        deleted(b"d", 40, 45),
        committed(b"d", 30, 35, b"hidden by 45"),
        rolled_back(b"only a rollback", 20),
        Row::Write(b"l".to_vec(), 50, Write::new(Kind::Lock, 49)),
    ])?;
    store.call(&gc(50))?;
    expect_rows(&mut store, "after a collection up to 50", &stay)?;
    store.call(&gc(50))?;
    expect_rows(&mut store, "after the same collection again", &stay)
}

/// Whatever lies there, a read at or above the safe point says the same before and after the collection.
fn no_visible_version_is_ever_collected(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for _ in 0..6 {
        store.anew()?;
        let keys: [&[u8]; 4] = [b"a", b"a\x00", b"b", b"c"];
        for key in keys {
            let mut ts = 0;
            while ts < 20 {
                let start = ts + 1 + store.rng().below(3) as u64;
                ts = start + store.rng().below(2) as u64;
                let row = match store.rng().below(5) {
                    0 => deleted(key, start, ts),
                    1 => {
                        ts = start;
                        rolled_back(key, start)
                    }
                    2 => {
                        store.load([Row::Value(key.to_vec(), start, vec![3; 300])])?;
                        Row::Write(key.to_vec(), ts, Write::new(Kind::Put, start))
                    }
                    3 => Row::Write(key.to_vec(), ts, Write::new(Kind::Lock, start)),
                    _ => committed(key, start, ts, &ts.to_be_bytes()),
                };
                store.load([row])?;
            }
        }
        let safe_point = 1 + store.rng().below(20) as u64;
        let mut before = Vec::new();
        for key in keys {
            for at in safe_point..24 {
                before.push((key, at, store.call(&get(key, at))?));
            }
        }
        store.call(&gc(safe_point))?;
        for (key, at, right) in before {
            let seen = store.call(&get(key, at))?;
            if seen != right {
                return Err(Failure::broke(
                    "a version that somebody can see was collected",
                    format!(
                        "before the collection up to {safe_point}, {} at {at} was {}",
                        text(key),
                        show(&right.value)
                    ),
                    format!(
                        "after it, it is {}",
                        if seen.not_found { "not found".into() } else { show(&seen.value) }
                    ),
                ));
            }
        }
    }
    Ok(())
}

/// The rollback that would have told a late prewrite that its transaction is dead may have been collected. So who started at
/// or below the safe point is refused at the door.
fn a_transaction_older_than_the_garbage_is_refused(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([rolled_back(b"k", 40)])?;
    store.call(&gc(50))?;
    for start in [40, 50] {
        let response = store.call(&prewrite(start, &[put(b"k", b"v")]))?;
        if response.errors.is_empty() {
            let what = format!("garbage up to 50 is collected, and {start} prewrites");
            return Err(wrong(what, "an error", "no error"));
        }
    }
    let response = store.call(&prewrite(51, &[put(b"k", b"v")]))?;
    crate::world::expect_ok("a prewrite of 51", &response.errors)
}

/// A range goes with all that belongs to its keys, and no other key's. An empty end means no bound.
fn a_deleted_range_is_gone_with_all_its_versions(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let all = |key: &[u8]| {
        [
            committed(key, 5, 10, b"v"),
            Row::Value(key.to_vec(), 20, vec![1; 300]),
            locked(key, key, 20, b"w"),
        ]
    };
    let keys: [&[u8]; 5] = [b"a", b"b", b"b\xff\xff\xff\xff\xff\xff\xff\xff", b"c", b"d"];
    for key in keys {
        store.load(all(key))?;
    }
    store.call(&DeleteRangeRequest {
        start_key: b"b".to_vec().into(),
        end_key: b"c".to_vec().into(),
        ..Default::default()
    })?;
    let left: Vec<Row> = [b"a", b"c", b"d"].iter().flat_map(|key| all(&key[..])).collect();
    expect_rows(&mut store, "after deleting b to c", &left)?;
    store.call(&UnsafeDestroyRangeRequest {
        start_key: b"c".to_vec().into(),
        ..Default::default()
    })?;
    expect_rows(&mut store, "after destroying all from c on", &all(b"a"))?;
    for (key, found) in [(&b"a"[..], true), (b"b", false), (b"c", false)] {
        let got = store.call(&get(key, 15))?;
        if got.not_found == found || got.error.is_some() {
            let what = format!("a read of {} after both", text(key));
            return Err(wrong(what, if found { "v" } else { "not found" }, format!("{got:?}")));
        }
    }
    Ok(())
}
