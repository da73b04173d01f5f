//! Expiry, through the handlers and under a clock that the judge sets.

use proto::kvrpcpb::{
    KvPair, RawBatchPutRequest, RawCasRequest, RawGetKeyTtlRequest, RawPutRequest,
};
use sim::failure::{Failure, Outcome, show};
use sim::harness::Test;

use crate::protocol::Standalone;
use crate::world::{Kv, World};

pub(super) fn tests() -> Vec<Test<Standalone>> {
    sim::tests!("raw_ttl.rs":
        a_ttl_counts_down_and_ends,
        each_pair_of_a_batch_has_its_own_ttl,
        an_expired_value_can_be_swapped_as_absent,
    )
}

fn expect_ttl(kv: &mut Kv, key: &[u8], expected: Option<u64>) -> Outcome {
    let seen = kv.call(RawGetKeyTtlRequest { key: key.to_vec().into(), ..Default::default() })?;
    if seen.not_found == expected.is_none() && seen.ttl == expected.unwrap_or_default() {
        return Ok(());
    }
    Err(Failure::broke(
        format!("the time that {} still has is wrong", show(key)),
        expected.map_or("it is over: not_found".into(), |ttl| format!("{ttl} s (0: for ever)")),
        format!("RawGetKeyTTL answers ttl={} not_found={}", seen.ttl, seen.not_found),
    ))
}

fn put(kv: &mut Kv, key: &[u8], ttl: u64) -> Outcome {
    let key = key.to_vec().into();
    kv.call(RawPutRequest { key, value: b"v".to_vec().into(), ttl, ..Default::default() })?;
    Ok(())
}

/// RawGetKeyTTL answers the seconds that are left, 0 for a value that never expires, and `not_found`
/// when the time is over. A later put sets the time anew.
fn a_ttl_counts_down_and_ends(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    kv.set_clock(1000)?;
    put(&mut kv, b"k", 60)?;
    put(&mut kv, b"forever", 0)?;
    expect_ttl(&mut kv, b"k", Some(60))?;
    kv.set_clock(1059)?;
    expect_ttl(&mut kv, b"k", Some(1))?;
    expect_ttl(&mut kv, b"forever", Some(0))?;
    kv.set_clock(1060)?;
    expect_ttl(&mut kv, b"k", None)?;
    put(&mut kv, b"k", 0)?;
    expect_ttl(&mut kv, b"k", Some(0))
}

/// RawBatchPut has a ttl for each pair, or one for all, or none.
fn each_pair_of_a_batch_has_its_own_ttl(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    kv.set_clock(50)?;
    let pair = |key: &'static [u8]| KvPair {
        key: key.into(),
        value: b"v"[..].into(),
        ..Default::default()
    };
    let pairs = vec![pair(b"a"), pair(b"b")];
    let put = RawBatchPutRequest { pairs, ttls: vec![10, 0], ..Default::default() };
    kv.call(put.clone())?;
    expect_ttl(&mut kv, b"a", Some(10))?;
    expect_ttl(&mut kv, b"b", Some(0))?;
    kv.call(RawBatchPutRequest { ttls: vec![30], ..put })?;
    expect_ttl(&mut kv, b"a", Some(30))?;
    expect_ttl(&mut kv, b"b", Some(30))
}

/// An expired value is absent for compare-and-swap, too.
fn an_expired_value_can_be_swapped_as_absent(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    kv.set_clock(100)?;
    put(&mut kv, b"k", 5)?;
    kv.set_clock(105)?;
    let request = RawCasRequest {
        key: b"k".to_vec().into(),
        value: b"new".to_vec().into(),
        previous_not_exist: true,
        ..Default::default()
    };
    let seen = kv.call(request)?;
    if seen.succeed && seen.previous_not_exist {
        return Ok(());
    }
    Err(Failure::broke(
        "an expired value is present for compare-and-swap",
        "the value expired in this second",
        format!("a swap that expects no value is answered {seen:?}"),
    ))
}
