//! KvGet and KvBatchGet. The data lies there already.

use proto::kvrpcpb::{BatchGetRequest, Context, GetRequest, GetResponse};
use sim::failure::Outcome;
use sim::harness::Test;

use crate::protocol::Txn;
use crate::rows::{Kind, Lock, Row, text};
use crate::world::{Store, World, committed, deleted, get, locked, rolled_back, show_error, wrong};

pub(super) fn tests() -> Vec<Test<Txn>> {
    sim::tests!("get.rs":
        a_read_sees_what_was_committed_before_it,
        an_absent_key_is_not_found,
        a_deleted_key_is_not_found,
        an_empty_value_is_found,
        a_lock_from_before_stops_a_read,
        a_lock_that_cannot_matter_stops_nobody,
        a_batch_get_leaves_absent_keys_out,
    )
}

/// What a read must say.
enum Right<'v> {
    Value(&'v [u8]),
    NotFound,
    LockedBy(u64),
}

fn expect(store: &mut Store, request: &GetRequest, right: &Right, why: &str) -> Outcome {
    let response = store.call(request)?;
    let (key, at) = (text(&request.key), request.version);
    let what = format!("KvGet of {key} at {at} is wrong: {why}");
    let seen = show(&response);
    let right = match right {
        Right::Value(value) => format!("\"{}\"", value.escape_ascii()),
        Right::NotFound => "not found".into(),
        Right::LockedBy(start) => format!("locked: {key} by {start}"),
    };
    if seen == right { Ok(()) } else { Err(wrong(what, right, seen)) }
}

fn show(response: &GetResponse) -> String {
    match response {
        GetResponse { region_error: Some(error), .. } => format!("region error: {error:?}"),
        GetResponse { error: Some(error), .. } => show_error(Some(error)),
        GetResponse { not_found: true, .. } => "not found".into(),
        GetResponse { value, .. } => format!("\"{}\"", value.escape_ascii()),
    }
}

/// A read at a timestamp returns the newest version that was committed at or before it.
fn a_read_sees_what_was_committed_before_it(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    let long = vec![b'l'; 300];
    store.load([
        committed(b"k", 50, 54, b"a"),
        committed(b"k", 60, 66, b"b"),
        Row::Value(b"k".to_vec(), 120, long.clone()),
        Row::Write(b"k".to_vec(), 122, crate::rows::Write::new(Kind::Put, 120)),
    ])?;
    for (at, right) in
        [(54, &b"a"[..]), (60, b"a"), (65, b"a"), (66, b"b"), (121, b"b"), (122, &long)]
    {
        let why = "there are versions from 54, 66 and 122";
        expect(&mut store, &get(b"k", at), &Right::Value(right), why)?;
    }
    expect(&mut store, &get(b"k", u64::MAX), &Right::Value(&long), "122 is the newest")
}

/// A key without a version at or before the read is `not_found`, and nothing else.
fn an_absent_key_is_not_found(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    expect(&mut store, &get(b"k", u64::MAX), &Right::NotFound, "the store is empty")?;
    store.load([committed(b"j", 50, 54, b"v"), committed(b"l", 50, 54, b"v")])?;
    expect(&mut store, &get(b"k", u64::MAX), &Right::NotFound, "only its neighbours are there")?;
    expect(&mut store, &get(b"j", 53), &Right::NotFound, "it was committed at 54")
}

/// From its deletion to its next version a key is `not_found`.
fn a_deleted_key_is_not_found(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([
        committed(b"k", 50, 54, b"old"),
        deleted(b"k", 60, 66),
        committed(b"k", 120, 122, b"new"),
    ])?;
    for (at, right) in [
        (54, Right::Value(b"old")),
        (65, Right::Value(b"old")),
        (66, Right::NotFound),
        (121, Right::NotFound),
        (122, Right::Value(b"new")),
    ] {
        expect(&mut store, &get(b"k", at), &right, "it was deleted from 66 to 122")?;
    }
    Ok(())
}

/// A value may be empty. `not_found` is the only way for a client to tell the two apart.
fn an_empty_value_is_found(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([committed(b"k", 5, 10, b""), rolled_back(b"k", 20)])?;
    expect(&mut store, &get(b"k", 30), &Right::Value(b""), "it has an empty value")
}

/// A lock whose owner started at or before the read may become a version within the reader's snapshot: at any moment,
/// without asking the reader. So the reader must not go past it, or it would see some of a transaction's keys as they were
/// before it and others as they are after it. The answer is `locked`, with everything that is needed to find out about
/// the owner.
///
/// Hint: compare the lock's `start_ts` with the read's timestamp. An owner who started later will commit later.
fn a_lock_from_before_stops_a_read(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([committed(b"k", 50, 54, b"v"), locked(b"k", b"primary", 200, b"w")])?;
    expect(&mut store, &get(b"k", 199), &Right::Value(b"v"), "the owner started at 200")?;
    for at in [200, 300, u64::MAX] {
        let why = "200 may commit at or before it";
        expect(&mut store, &get(b"k", at), &Right::LockedBy(200), why)?;
    }
    store.load([Row::Lock(b"d".to_vec(), Lock::new(Kind::Delete, b"primary", 200, 3_000))])?;
    expect(&mut store, &get(b"d", 300), &Right::LockedBy(200), "it is about to be deleted")?;

    let info =
        store.call(&get(b"k", 300))?.error.and_then(|error| error.locked).unwrap_or_default();
    let seen = (&info.primary_lock[..], info.lock_version, &info.key[..], info.lock_ttl);
    let right = (&b"primary"[..], 200, &b"k"[..], 3_000);
    if seen != right {
        let what = "the lock that a read reports is not the one that is there";
        return Err(wrong(what, format!("{right:?}"), format!("{seen:?}")));
    }
    Ok(())
}

/// Some locks cannot become a version that the reader should see, and it passes them: locks that change nothing (kind
/// Lock, and pessimistic ones), locks that have promised to commit later than the read (`min_commit_ts`), and locks
/// of transactions that the client knows about (`resolved_locks`).
///
/// Hint: `Lock::blocks` knows them all.
fn a_lock_that_cannot_matter_stops_nobody(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    for kind in [Kind::Lock, Kind::Pessimistic] {
        store.load([
            committed(b"k", 50, 54, b"v"),
            Row::Lock(b"k".to_vec(), Lock::new(kind, b"k", 60, 3_000)),
        ])?;
        expect(&mut store, &get(b"k", 100), &Right::Value(b"v"), "its lock changes nothing")?;
    }
    let promise = Lock { min_commit: 101, ..Lock::put(b"k", 60, 3_000, b"w") };
    store.load([Row::Lock(b"k".to_vec(), promise)])?;
    let why = "the owner has promised not to commit below 101";
    expect(&mut store, &get(b"k", 100), &Right::Value(b"v"), why)?;
    expect(&mut store, &get(b"k", 101), &Right::LockedBy(60), why)?;
    let context = Some(Context { resolved_locks: vec![60], ..Default::default() });
    let knowing = GetRequest { context, ..get(b"k", 101) };
    expect(&mut store, &knowing, &Right::Value(b"v"), "the client knows that 60 is no obstacle")
}

/// KvBatchGet returns the present keys. An absent one is left out, and a locked one is a pair with an error.
fn a_batch_get_leaves_absent_keys_out(run: &mut World) -> Outcome {
    let mut store = Store::in_memory(run)?;
    store.load([
        committed(b"a", 50, 54, b"1"),
        committed(b"c", 50, 54, b"3"),
        locked(b"d", b"a", 60, b"4"),
    ])?;
    let request = BatchGetRequest {
        keys: [&b"a"[..], b"b", b"c", b"d"].iter().map(|key| key.to_vec().into()).collect(),
        version: 100,
        ..Default::default()
    };
    let response = store.call(&request)?;
    let seen: Vec<String> = response
        .pairs
        .iter()
        .map(|pair| match &pair.error {
            Some(error) => show_error(Some(error)),
            None => format!("{}={}", text(&pair.key), pair.value.escape_ascii()),
        })
        .collect();
    let right = ["a=1", "c=3", "locked: d by 60"];
    if seen != right {
        let what = "KvBatchGet of a, b, c and d is wrong: b is absent, d is locked";
        return Err(wrong(what, right.join(", "), seen.join(", ")));
    }
    Ok(())
}
