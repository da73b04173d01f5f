//! RawGet. The data lies there already; nothing depends on other handlers.

use proto::kvrpcpb::{RawGetRequest, RawGetResponse};
use sim::failure::{Failure, Outcome, show};
use sim::harness::Test;

use crate::protocol::{CFS, Cf, Change, Standalone};
use crate::world::{Kv, World, cf_name, raw_key, raw_pair, raw_value};

pub(super) fn tests() -> Vec<Test<Standalone>> {
    sim::tests!("raw_get.rs":
        a_present_key_is_returned,
        an_absent_key_is_not_found,
        an_empty_value_is_found,
        the_column_family_is_the_one_asked_for,
        an_expired_value_is_not_found,
    )
}

fn get(kv: &mut Kv, cf: &str, key: &[u8]) -> Outcome<RawGetResponse> {
    kv.call(RawGetRequest { key: key.to_vec().into(), cf: cf.into(), ..Default::default() })
}

fn expect(kv: &mut Kv, cf: &str, key: &[u8], expected: Option<&[u8]>, why: &str) -> Outcome {
    let seen = get(kv, cf, key)?;
    let right = RawGetResponse {
        not_found: expected.is_none(),
        value: expected.unwrap_or_default().to_vec().into(),
        ..Default::default()
    };
    if seen == right {
        return Ok(());
    }
    Err(Failure::broke(
        format!("RawGet of {} in column family {cf:?} is wrong: {why}", show(key)),
        format!("right would be {right:?}"),
        format!("the answer is  {seen:?}"),
    ))
}

/// RawGet returns the value of a key, and leaves `not_found`, `error` and `region_error` empty.
///
/// Hint: a user's key is stored under `keys::raw_key`; `read_live` does that, and takes off the expiry.
fn a_present_key_is_returned(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    kv.write(vec![
        raw_pair(Cf::Default, b"k", b"value"),
        raw_pair(Cf::Default, b"", b"empty key"),
    ])?;
    expect(&mut kv, "default", b"k", Some(b"value"), "the key is there")?;
    expect(&mut kv, "default", b"", Some(b"empty key"), "the empty key is a key, and it is there")
}

/// An absent key is `not_found`, and nothing else: not an error, and no value.
fn an_absent_key_is_not_found(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    kv.write(vec![raw_pair(Cf::Default, b"kk", b"value")])?;
    expect(&mut kv, "default", b"k", None, "this key is absent, only a longer one is there")?;
    expect(&mut kv, "default", b"kkk", None, "this key is absent, only a shorter one is there")
}

/// An empty value is a value: `not_found` is false. It is the only way for a client to tell the two
/// apart, since an absent field and an empty one are the same in protobuf.
fn an_empty_value_is_found(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    kv.write(vec![raw_pair(Cf::Default, b"k", b"")])?;
    expect(&mut kv, "default", b"k", Some(b""), "the key is there, with an empty value")
}

/// The request names the column family; the empty name means `default`.
fn the_column_family_is_the_one_asked_for(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    kv.write(CFS.map(|cf| raw_pair(cf, b"k", cf_name(cf).as_bytes())).to_vec())?;
    kv.write(vec![raw_pair(Cf::Lock, b"only", b"v")])?;
    for cf in CFS.map(cf_name) {
        expect(&mut kv, cf, b"k", Some(cf.as_bytes()), "each family has a value of its own")?;
    }
    expect(&mut kv, "", b"k", Some(b"default"), "the empty name means default")?;
    expect(&mut kv, "write", b"only", None, "the key is in another column family")
}

/// A value whose time is over is absent, though its bytes are still there: nothing removes them but the
/// next write.
///
/// Hint: `read_live` knows the clock.
fn an_expired_value_is_not_found(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    kv.write(vec![Change::Put(Cf::Default, raw_key(b"k"), raw_value(b"v", 1000))])?;
    kv.set_clock(999)?;
    expect(&mut kv, "default", b"k", Some(b"v"), "it expires in a second")?;
    kv.set_clock(1000)?;
    expect(&mut kv, "default", b"k", None, "it expires now")
}
