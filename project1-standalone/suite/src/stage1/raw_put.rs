//! RawPut, seen from the storage below it and from RawGet.

use proto::kvrpcpb::{RawGetRequest, RawPutRequest, RawPutResponse};
use sim::failure::{Failure, Outcome, show};
use sim::harness::Test;

use crate::protocol::{Cf, Standalone};
use crate::world::{Kv, World, raw_key, raw_pair, raw_value, show_value};

pub(super) fn tests() -> Vec<Test<Standalone>> {
    sim::tests!("raw_put.rs":
        a_put_is_stored,
        a_put_replaces,
        a_put_goes_to_its_column_family,
        an_expiry_is_stored_as_a_point_in_time,
        a_get_after_a_put_returns_it,
    )
}

fn put(kv: &mut Kv, request: RawPutRequest) -> Outcome {
    let text = format!("{request:?}");
    let seen = kv.call(request)?;
    if seen == RawPutResponse::default() {
        return Ok(());
    }
    Err(Failure::broke(
        "a valid RawPut was not simply accepted",
        format!("asked: {text}"),
        format!("answered: {seen:?}, where every field should be empty"),
    ))
}

fn request(cf: &str, key: &[u8], value: &[u8]) -> RawPutRequest {
    RawPutRequest {
        key: key.to_vec().into(),
        value: value.to_vec().into(),
        cf: cf.into(),
        ..Default::default()
    }
}

fn expect_stored(kv: &mut Kv, cf: Cf, key: &[u8], expected: Option<Vec<u8>>) -> Outcome {
    let seen = kv.get_now(cf, &raw_key(key))?;
    if seen == expected {
        return Ok(());
    }
    Err(Failure::broke(
        format!("RawPut was answered, but the storage does not hold {}", show(key)),
        format!(
            "under the engine key {} there must be {}",
            show(&raw_key(key)),
            show_value(expected.as_ref())
        ),
        format!("there is {}", show_value(seen.as_ref())),
    ))
}

/// An answered put is in the storage: the value and its expiry (`stored_value`), under the engine key
/// of its key (`keys::raw_key`).
///
/// Hint: await the write before you answer.
fn a_put_is_stored(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    put(&mut kv, request("default", b"k", b"v"))?;
    expect_stored(&mut kv, Cf::Default, b"k", Some(raw_value(b"v", 0)))?;
    put(&mut kv, request("", b"", b""))?;
    expect_stored(&mut kv, Cf::Default, b"", Some(raw_value(b"", 0)))
}

/// A put of a present key replaces its value, and leaves its neighbours.
fn a_put_replaces(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    kv.write(vec![raw_pair(Cf::Default, b"k", b"old"), raw_pair(Cf::Default, b"kk", b"old")])?;
    put(&mut kv, request("default", b"k", b"new"))?;
    expect_stored(&mut kv, Cf::Default, b"k", Some(raw_value(b"new", 0)))?;
    expect_stored(&mut kv, Cf::Default, b"kk", Some(raw_value(b"old", 0)))
}

/// A put goes to the column family it names, and to no other.
fn a_put_goes_to_its_column_family(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    put(&mut kv, request("write", b"k", b"v"))?;
    expect_stored(&mut kv, Cf::Write, b"k", Some(raw_value(b"v", 0)))?;
    expect_stored(&mut kv, Cf::Default, b"k", None)?;
    expect_stored(&mut kv, Cf::Lock, b"k", None)
}

/// A value with a ttl is stored with the second at which it expires, not with the ttl: a replica that
/// applies the write later must come to the same second. ttl 0 means for ever.
///
/// Hint: `stored_value` takes the request's `ttl`.
fn an_expiry_is_stored_as_a_point_in_time(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    kv.set_clock(1000)?;
    put(&mut kv, RawPutRequest { ttl: 60, ..request("default", b"k", b"v") })?;
    expect_stored(&mut kv, Cf::Default, b"k", Some(raw_value(b"v", 1060)))?;
    put(&mut kv, RawPutRequest { ttl: u64::MAX, ..request("default", b"far", b"v") })?;
    expect_stored(&mut kv, Cf::Default, b"far", Some(raw_value(b"v", u64::MAX)))
}

/// What a put stored, a get returns: through the handlers, for many keys and any bytes.
fn a_get_after_a_put_returns_it(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    for _ in 0..30 {
        let (key_len, value_len) = (kv.rng().below(20), kv.rng().below(200));
        let (key, value) = (kv.rng().bytes(key_len), kv.rng().bytes(value_len));
        put(&mut kv, request("lock", &key, &value))?;
        let ask =
            RawGetRequest { key: key.clone().into(), cf: "lock".into(), ..Default::default() };
        let seen = kv.call(ask)?;
        if seen.value != value || seen.not_found {
            return Err(Failure::broke(
                "RawGet does not return what RawPut was told to store",
                format!("put {}={}", show(&key), show(&value)),
                format!("got {seen:?}"),
            ));
        }
    }
    Ok(())
}
