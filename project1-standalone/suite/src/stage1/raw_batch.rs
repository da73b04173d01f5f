//! The calls with several keys, and delete_range. Their handlers are given; they stand on what the
//! student wrote.

use proto::kvrpcpb::{
    KeyRange, KvPair, RawBatchDeleteRequest, RawBatchGetRequest, RawBatchPutRequest,
    RawBatchScanRequest, RawDeleteRangeRequest,
};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::protocol::{Cf, Standalone};
use crate::world::{Kv, World, raw_pair, show_pairs};

pub(super) fn tests() -> Vec<Test<Standalone>> {
    sim::tests!("raw_batch.rs":
        a_batch_get_leaves_absent_keys_out,
        a_batch_put_and_a_batch_delete_act_on_all_keys,
        a_batch_put_with_one_bad_pair_writes_nothing,
        delete_range_removes_a_raw_range,
        a_batch_scan_puts_its_ranges_one_after_the_other,
    )
}

fn keys(of: &[&[u8]]) -> Vec<prost::bytes::Bytes> {
    of.iter().map(|key| key.to_vec().into()).collect()
}

fn expect_pairs(what: &str, expected: &[(&[u8], &[u8])], seen: &[KvPair]) -> Outcome {
    let plain: Vec<(&[u8], &[u8])> = seen.iter().map(|p| (&p.key[..], &p.value[..])).collect();
    if plain == expected && seen.iter().all(|pair| pair.error.is_none()) {
        return Ok(());
    }
    Err(Failure::broke(
        format!("{what} returns the wrong pairs"),
        format!("the data makes it {}", show_pairs(expected.iter().copied())),
        format!(
            "it returned {}, errors: {}",
            show_pairs(plain),
            seen.iter().any(|p| p.error.is_some())
        ),
    ))
}

fn batch_get(kv: &mut Kv, of: &[&[u8]]) -> Outcome<Vec<KvPair>> {
    Ok(kv.call(RawBatchGetRequest { keys: keys(of), ..Default::default() })?.pairs)
}

/// RawBatchGet returns the present keys, in the order of the request; absent ones are left out.
fn a_batch_get_leaves_absent_keys_out(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    kv.write(vec![raw_pair(Cf::Default, b"a", b"1"), raw_pair(Cf::Default, b"c", b"")])?;
    let seen = batch_get(&mut kv, &[b"c", b"b", b"a"])?;
    expect_pairs("RawBatchGet of c, b, a", &[(b"c", b""), (b"a", b"1")], &seen)
}

/// RawBatchPut and RawBatchDelete act on all their keys, in one batch of the storage.
fn a_batch_put_and_a_batch_delete_act_on_all_keys(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let pair = |key: &'static [u8], value: &'static [u8]| KvPair {
        key: key.into(),
        value: value.into(),
        ..Default::default()
    };
    let pairs = vec![pair(b"a", b"1"), pair(b"b", b"2"), pair(b"c", b"3")];
    kv.call(RawBatchPutRequest { pairs, ..Default::default() })?;
    let seen = batch_get(&mut kv, &[b"a", b"b", b"c"])?;
    expect_pairs(
        "RawBatchGet after RawBatchPut",
        &[(b"a", b"1"), (b"b", b"2"), (b"c", b"3")],
        &seen,
    )?;
    let delete = RawBatchDeleteRequest { keys: keys(&[b"a", b"c", b"x"]), ..Default::default() };
    kv.call(delete)?;
    let seen = batch_get(&mut kv, &[b"a", b"b", b"c"])?;
    expect_pairs("RawBatchGet after RawBatchDelete", &[(b"b", b"2")], &seen)
}

/// A batch with one pair over a limit, or with the wrong number of ttls, is refused in its `error`, and
/// none of its pairs is written.
fn a_batch_put_with_one_bad_pair_writes_nothing(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let good =
        KvPair { key: b"a".to_vec().into(), value: b"1".to_vec().into(), ..Default::default() };
    let other = KvPair { key: b"other".to_vec().into(), ..good.clone() };
    kv.call(RawBatchPutRequest { pairs: vec![other], ..Default::default() })?;
    let long = KvPair { key: vec![b'k'; (8 << 10) + 1].into(), ..good.clone() };
    for (pairs, ttls) in [(vec![good.clone(), long], vec![]), (vec![good.clone(); 3], vec![1, 2])] {
        let response = kv.call(RawBatchPutRequest { pairs, ttls, ..Default::default() })?;
        if response.error.is_empty() {
            return Err(Failure::broke(
                "a bad RawBatchPut was accepted",
                "one of its keys is longer than 8 KiB, or it has 2 ttls for 3 pairs",
                "the response's error is empty",
            ));
        }
    }
    expect_pairs("RawBatchGet after a refused RawBatchPut", &[], &batch_get(&mut kv, &[b"a"])?)
}

/// RawDeleteRange removes the raw keys of [start, end); an empty end means all that follow. Keys of
/// other kinds stay.
fn delete_range_removes_a_raw_range(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let all: [&[u8]; 5] = [b"a", b"b", b"c", b"d", b"\xff"];
    kv.write(all.iter().map(|key| raw_pair(Cf::Default, key, b"v")).collect())?;
    kv.write(vec![crate::protocol::Change::Put(Cf::Default, b"x1".to_vec(), b"t".to_vec())])?;
    let range = |start: &'static [u8], end: &'static [u8]| RawDeleteRangeRequest {
        start_key: start.into(),
        end_key: end.into(),
        ..Default::default()
    };
    kv.call(range(b"b", b"d"))?;
    let seen = batch_get(&mut kv, &all)?;
    let left: [(&[u8], &[u8]); 3] = [(b"a", b"v"), (b"d", b"v"), (b"\xff", b"v")];
    expect_pairs("RawBatchGet after RawDeleteRange [b, d)", &left, &seen)?;
    kv.call(range(b"d", b""))?;
    let seen = batch_get(&mut kv, &all)?;
    expect_pairs("RawBatchGet after RawDeleteRange [d, end)", &[(b"a", b"v")], &seen)?;
    match kv.get_now(Cf::Default, b"x1")? {
        Some(_) => Ok(()),
        None => Err(Failure::broke(
            "a raw range without an end removed what is not raw",
            "the engine key \"x1\" is a transaction's",
            "it is gone after RawDeleteRange [d, end)",
        )),
    }
}

/// RawBatchScan returns the pairs of its ranges one after the other, each with its own limit.
fn a_batch_scan_puts_its_ranges_one_after_the_other(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let all: [&[u8]; 5] = [b"a", b"b", b"c", b"d", b"e"];
    kv.write(all.iter().map(|key| raw_pair(Cf::Default, key, key)).collect())?;
    let range = |start: &'static [u8], end: &'static [u8]| KeyRange {
        start_key: start.into(),
        end_key: end.into(),
    };
    let request = RawBatchScanRequest {
        ranges: vec![range(b"d", b""), range(b"a", b"d"), range(b"x", b"z")],
        each_limit: 2,
        ..Default::default()
    };
    let seen = kv.call(request)?.kvs;
    let expected: [(&[u8], &[u8]); 4] = [(b"d", b"d"), (b"e", b"e"), (b"a", b"a"), (b"b", b"b")];
    expect_pairs("RawBatchScan of [d, end), [a, d), [x, z), 2 each", &expected, &seen)
}
