//! KvScan.

use proto::kvrpcpb::{ScanRequest, ScanResponse};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::protocol::Txn;
use crate::rows::{Kind, Lock, Row, Write, text};
use crate::world::{
    Store, TTL, World, committed, deleted, locked, rolled_back, scan, show_error, wrong,
};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("scan.rs":
        a_scan_returns_what_its_time_sees_in_order,
        the_limit_is_kept_exactly,
        the_start_is_in_and_the_end_is_out,
        a_deleted_key_is_left_out,
        a_scan_sees_through_rollbacks_and_locks_records,
        a_scan_reports_the_locks_that_it_meets,
        a_reverse_scan_goes_down_from_its_upper_bound,
        keys_only_leaves_the_values_out,
        a_scan_does_not_read_what_it_skips,
        a_scan_sees_what_a_map_of_versions_would,
    )
}

fn shown(response: &ScanResponse) -> Vec<String> {
    let pair = |pair: &proto::kvrpcpb::KvPair| match &pair.error {
        Some(error) => show_error(Some(error)),
        None if pair.value.len() > 20 => format!("{}={} bytes", text(&pair.key), pair.value.len()),
        None => format!("{}={}", text(&pair.key), pair.value.escape_ascii()),
    };
    response.pairs.iter().map(pair).collect()
}

fn expect(store: &mut Store, request: &ScanRequest, right: &[&str], why: &str) -> Outcome {
    let seen = shown(&store.call(request)?);
    if seen == right {
        return Ok(());
    }
    let way = if request.reverse { "down " } else { "" };
    let what = format!(
        "a scan {way}from {} to {} at {}, limit {}, is wrong: {why}",
        text(&request.start_key),
        text(&request.end_key),
        request.version,
        request.limit
    );
    Err(wrong(what, format!("[{}]", right.join(", ")), format!("[{}]", seen.join(", "))))
}

/// Keys that begin with each other, some committed before 100, some after.
fn fill(store: &mut Store) -> Outcome {
    store.load([
        committed(b"a", 80, 99, b"1"),
        committed(b"a\x00", 80, 99, b"2"),
        committed(b"b", 80, 99, b"3"),
        committed(b"b", 110, 116, b"new"),
        committed(b"late", 97, 101, b"4"),
        Row::Value(b"long".to_vec(), 80, vec![7; 300]),
        Row::Write(b"long".to_vec(), 99, Write::new(Kind::Put, 80)),
        committed(b"z", 80, 99, b""),
    ])
}

/// A scan returns the keys that have a value at its timestamp, each with that value, in the order of keys.
fn a_scan_returns_what_its_time_sees_in_order(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    expect(&mut store, &scan(b"", 100, 100), &[], "the store is empty")?;
    fill(&mut store)?;
    let at_100 = ["a=1", "a\\x00=2", "b=3", "long=300 bytes", "z="];
    expect(&mut store, &scan(b"", 100, 100), &at_100, "these were committed up to 100")?;
    let at_200 = ["a=1", "a\\x00=2", "b=new", "late=4", "long=300 bytes", "z="];
    expect(&mut store, &scan(b"", 100, 200), &at_200, "late came at 101, a new b at 116")?;
    expect(&mut store, &scan(b"", 100, 98), &[], "nothing was committed before 99")?;
    expect(&mut store, &scan(b"zz", 100, 200), &[], "it starts behind the last key")
}

/// At most `limit` pairs, and none for a limit of 0. Keys that are passed over do not count.
fn the_limit_is_kept_exactly(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    fill(&mut store)?;
    store.load([deleted(b"a\x00\x00", 80, 99), rolled_back(b"aa", 90)])?;
    let all = ["a=1", "a\\x00=2", "b=3", "long=300 bytes", "z="];
    for limit in [0, 1, 2, 3, 4, 5, 6, u32::MAX] {
        let right = &all[..all.len().min(limit as usize)];
        expect(&mut store, &scan(b"", limit, 100), right, "five keys have a value at 100")?;
    }
    Ok(())
}

/// A scan begins with its start key, if that is there, and ends before its end key.
fn the_start_is_in_and_the_end_is_out(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    fill(&mut store)?;
    for (start, end, right) in [
        (&b"b"[..], &b"long"[..], &["b=3"][..]),
        (b"a", b"b", &["a=1", "a\\x00=2"]),
        (b"a\x00", b"a\x01", &["a\\x00=2"]),
        (b"a\x00\x00", b"z", &["b=3", "long=300 bytes"]),
        (b"b", b"b", &[]),
        (b"z", b"a", &[]),
    ] {
        let request = ScanRequest { end_key: end.to_vec().into(), ..scan(start, 100, 100) };
        expect(&mut store, &request, right, "the start is in, the end is out")?;
    }
    Ok(())
}

/// A key that is deleted at the scan's timestamp is left out; before and after that it is there.
fn a_deleted_key_is_left_out(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([
        committed(b"a", 1, 2, b"x"),
        committed(b"k", 80, 99, b"old"),
        deleted(b"k", 97, 101),
        committed(b"k", 110, 116, b"new"),
        committed(b"z", 1, 2, b"y"),
    ])?;
    expect(&mut store, &scan(b"", 9, 100), &["a=x", "k=old", "z=y"], "k is deleted at 101")?;
    expect(&mut store, &scan(b"", 9, 105), &["a=x", "z=y"], "k is deleted from 101 to 116")?;
    expect(&mut store, &scan(b"", 9, 120), &["a=x", "k=new", "z=y"], "k is there again at 116")
}

/// Records of rollbacks and of locks hide nothing, in a scan as in a single read.
fn a_scan_sees_through_rollbacks_and_locks_records(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([
        committed(b"a", 5, 10, b"1"),
        rolled_back(b"a", 20),
        committed(b"b", 5, 10, b"2"),
        Row::Write(b"b".to_vec(), 25, Write::new(Kind::Lock, 20)),
        rolled_back(b"b", 26),
        rolled_back(b"c", 20),
        committed(b"d", 5, 10, b"4"),
    ])?;
    let why = "what is above 10 are rollbacks, and a lock's record";
    expect(&mut store, &scan(b"", 9, 30), &["a=1", "b=2", "d=4"], why)
}

/// A key whose lock may become a version within the snapshot is a pair with `locked`, in its place among the others; also a
/// key that has no version yet. It counts towards the limit. A lock that cannot matter is passed.
fn a_scan_reports_the_locks_that_it_meets(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([
        committed(b"a", 5, 10, b"1"),
        locked(b"b", b"b", 20, b"first version"),
        committed(b"c", 5, 10, b"3"),
        locked(b"c", b"b", 20, b"second version"),
        committed(b"d", 5, 10, b"4"),
        locked(b"d", b"d", 40, b"later"),
        Row::Lock(b"e".to_vec(), Lock::new(Kind::Pessimistic, b"b", 20, TTL)),
        committed(b"f", 5, 10, b"6"),
        Row::Lock(b"f".to_vec(), Lock::new(Kind::Lock, b"b", 20, TTL)),
    ])?;
    let right = ["a=1", "locked: b by 20", "locked: c by 20", "d=4", "f=6"];
    expect(&mut store, &scan(b"", 9, 30), &right, "20 may commit up to 30, 40 may not")?;
    expect(&mut store, &scan(b"", 2, 30), &right[..2], "a locked key counts")?;
    expect(&mut store, &scan(b"", 9, 19), &["a=1", "c=3", "d=4", "f=6"], "nobody had started")?;
    let down = ScanRequest { reverse: true, ..scan(b"", 9, 30) };
    let mut backwards = right;
    backwards.reverse();
    expect(&mut store, &down, &backwards, "20 may commit up to 30, 40 may not")
}

/// In reverse, `start_key` is the upper bound and is out, `end_key` the lower and is in; an empty upper bound is none.
fn a_reverse_scan_goes_down_from_its_upper_bound(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    fill(&mut store)?;
    for (start, end, limit, right) in [
        (&b""[..], &b""[..], 9, &["z=", "long=300 bytes", "b=3", "a\\x00=2", "a=1"][..]),
        (b"b", b"", 9, &["a\\x00=2", "a=1"]),
        (b"z", b"b", 9, &["long=300 bytes", "b=3"]),
        (b"", b"", 2, &["z=", "long=300 bytes"]),
        (b"a\x00", b"a", 9, &["a=1"]),
        (b"a", b"z", 9, &[]),
    ] {
        let end_key = end.to_vec().into();
        let request = ScanRequest { reverse: true, end_key, ..scan(start, limit, 100) };
        expect(&mut store, &request, right, "the upper bound is out, the lower is in")?;
    }
    Ok(())
}

/// With `key_only` the keys are the same, and the values stay behind.
fn keys_only_leaves_the_values_out(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    fill(&mut store)?;
    let request = ScanRequest { key_only: true, ..scan(b"", 100, 100) };
    expect(&mut store, &request, &["a=", "a\\x00=", "b=", "long=", "z="], "only keys are wanted")
}

/// A key that was written a thousand times costs a scan no more than one that was written once. A scan that walks over all
/// versions is right, and as slow as the history is long.
///
/// Hint: `seek` past the versions of a key.
fn a_scan_does_not_read_what_it_skips(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for key in [b"a", b"b", b"c"] {
        store.load((1..500).map(|n| committed(key, 2 * n, 2 * n + 1, &n.to_be_bytes()[7..])))?;
    }
    for (reverse, at) in [(false, 2_000), (false, 500), (true, 2_000), (true, 500)] {
        store.count_reads()?;
        let response = store.call(&ScanRequest { reverse, ..scan(b"", 10, at) })?;
        let operations = store.count_reads()?;
        if response.pairs.len() != 3 {
            return Err(wrong("there are three keys", 3, response.pairs.len()));
        }
        if operations > 60 {
            return Err(Failure::broke(
                "a scan reads the versions that it skips",
                "three keys with 500 versions each were scanned",
                format!("that took {operations} steps in the storage; 60 are plenty"),
            ));
        }
    }
    Ok(())
}

/// Random versions and locks under keys that begin with each other, random bounds, both directions: every scan has the answer
/// that a plain map gives.
fn a_scan_sees_what_a_map_of_versions_would(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    // In order.
    let keys: [&[u8]; 8] =
        [b"", b"a", b"a\x00", b"aaaaaaaa", b"aaaaaaaa\x00", b"a\xff", b"b", b"\xff"];
    for _ in 0..8 {
        store.anew()?;
        let mut rows = Vec::new();
        for key in keys {
            let mut ts = 0;
            while ts < 20 && store.rng().chance(80) {
                let start = ts + 1 + store.rng().below(4) as u64;
                ts = start + 1;
                rows.push(match store.rng().below(4) {
                    0 => deleted(key, start, ts),
                    1 => rolled_back(key, start),
                    _ => committed(key, start, ts, &ts.to_be_bytes()[7..]),
                });
            }
            if store.rng().chance(20) {
                rows.push(locked(key, b"p", ts + 2, b"x"));
            }
        }
        store.load(rows.clone())?;
        for _ in 0..12 {
            let at = store.rng().below(26) as u64;
            let (from, to) = (*store.rng().pick(&keys), *store.rng().pick(&keys));
            let reverse = store.rng().chance(50);
            let limit = *store.rng().pick(&[1, 2, 100]);
            let (low, high) = if reverse { (to, from) } else { (from, to) };
            let mut right: Vec<String> = Vec::new();
            for key in keys.iter().filter(|key| **key >= low && (high.is_empty() || **key < high)) {
                if let Some(found) = visible(&rows, key, at) {
                    right.push(found);
                }
            }
            if reverse {
                right.reverse();
            }
            right.truncate(limit as usize);
            let end_key = to.to_vec().into();
            let request = ScanRequest { reverse, end_key, ..scan(from, limit, at) };
            let right: Vec<&str> = right.iter().map(String::as_str).collect();
            expect(&mut store, &request, &right, "a map says otherwise")?;
        }
    }
    Ok(())
}

fn visible(rows: &[Row], key: &[u8], at: u64) -> Option<String> {
    let lock = rows.iter().find_map(|row| match row {
        Row::Lock(k, lock) if k == key && lock.start <= at => Some(lock.start),
        _ => None,
    });
    if let Some(start) = lock {
        return Some(format!("locked: {} by {start}", text(key)));
    }
    let change = rows.iter().rev().find_map(|row| match row {
        Row::Write(k, ts, write) if k == key && *ts <= at && write.kind != Kind::Rollback => {
            Some(write)
        }
        _ => None,
    })?;
    let value = change.value.as_ref()?;
    Some(format!("{}={}", text(key), value.escape_ascii()))
}
