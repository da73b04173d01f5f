//! RawScan: limits, bounds, directions, column families.

use std::collections::BTreeMap;

use proto::kvrpcpb::{RawDeleteRequest, RawPutRequest, RawScanRequest};
use sim::failure::{Failure, Outcome, show};
use sim::harness::Test;

use crate::protocol::{CFS, Cf, Change, Standalone};
use crate::world::{Kv, World, cf_name, raw_key, raw_pair, raw_value, show_pairs};

pub(super) fn tests() -> Vec<Test<Standalone>> {
    sim::tests!("raw_scan.rs":
        a_scan_returns_the_range_in_order,
        the_limit_is_kept_exactly,
        the_start_is_in_and_the_end_is_out,
        a_reverse_scan_goes_down_from_its_upper_bound,
        a_scan_ends_with_its_column_family,
        keys_only_leaves_the_values_out,
        an_expired_pair_is_neither_returned_nor_counted,
        a_scan_sees_the_latest_writes,
    )
}

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn ask(start: &[u8], end: &[u8], limit: u32) -> RawScanRequest {
    RawScanRequest {
        start_key: start.to_vec().into(),
        end_key: end.to_vec().into(),
        limit,
        cf: "default".into(),
        ..Default::default()
    }
}

/// What a scan of `map` must return, in the words of the request.
fn model(map: &Map, request: &RawScanRequest) -> Vec<(Vec<u8>, Vec<u8>)> {
    let (low, high) = if request.reverse {
        (&request.end_key, &request.start_key)
    } else {
        (&request.start_key, &request.end_key)
    };
    let mut pairs: Vec<_> = map
        .iter()
        .filter(|(key, _)| low[..] <= key[..] && (high.is_empty() || key[..] < high[..]))
        .map(|(key, value)| {
            (key.clone(), if request.key_only { Vec::new() } else { value.clone() })
        })
        .collect();
    if request.reverse {
        pairs.reverse();
    }
    pairs.truncate(request.limit as usize);
    pairs
}

fn check(kv: &mut Kv, map: &Map, request: RawScanRequest) -> Outcome {
    let expected = model(map, &request);
    let (low, high, way) = if request.reverse {
        (show(&request.end_key), show(&request.start_key), "downwards")
    } else {
        (show(&request.start_key), show(&request.end_key), "upwards")
    };
    let what = format!(
        "RawScan of [{low}, {high}) {way} in {:?}, at most {} pairs",
        request.cf, request.limit
    );
    let response = kv.call(request)?;
    let error = response.kvs.iter().find_map(|pair| pair.error.as_ref());
    let seen: Vec<(Vec<u8>, Vec<u8>)> =
        response.kvs.iter().map(|pair| (pair.key.to_vec(), pair.value.to_vec())).collect();
    if seen == expected && error.is_none() && response.region_error.is_none() {
        return Ok(());
    }
    let text = |pairs: &[(Vec<u8>, Vec<u8>)]| {
        show_pairs(pairs.iter().map(|(key, value)| (&key[..], &value[..])))
    };
    Err(Failure::broke(
        format!("{what}, is wrong"),
        format!("the data makes it {}", text(&expected)),
        match error {
            Some(error) => format!("it returned an error: {error:?}"),
            None => format!("it returned {}", text(&seen)),
        },
    ))
}

fn fill(kv: &mut Kv, keys: &[&[u8]]) -> Outcome<Map> {
    let map: Map = keys.iter().map(|key| (key.to_vec(), [b"v-", *key].concat())).collect();
    kv.write(map.iter().map(|(k, v)| raw_pair(Cf::Default, k, v)).collect())?;
    Ok(map)
}

const KEYS: [&[u8]; 6] = [b"a", b"aa", b"b", b"c\x00", b"d", b"\xff\xfe"];

/// A scan returns the pairs of its range in ascending order of their keys. An empty end means no bound.
///
/// Hint: keys come back as the user wrote them: `keys::user_key`.
fn a_scan_returns_the_range_in_order(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    let map = fill(&mut kv, &KEYS)?;
    for (start, end) in [(&b""[..], &b""[..]), (b"a", b"d"), (b"b", b""), (b"", b"b"), (b"x", b"y")]
    {
        check(&mut kv, &map, ask(start, end, 100))?;
    }
    Ok(())
}

/// A scan returns at most `limit` pairs, and a limit of 0 asks for none. One pair too many crashes a
/// client: the official one subtracts what it got from what it wanted, in an unsigned number.
///
/// Hint: look at the limit before you take a pair, not after.
fn the_limit_is_kept_exactly(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    let map = fill(&mut kv, &KEYS)?;
    for limit in [0, 1, 5, 6, 7, u32::MAX] {
        for reverse in [false, true] {
            check(&mut kv, &map, RawScanRequest { reverse, ..ask(b"", b"", limit) })?;
        }
    }
    Ok(())
}

/// A range includes its start key and excludes its end key, whether or not they are present.
fn the_start_is_in_and_the_end_is_out(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    let map = fill(&mut kv, &KEYS)?;
    for start in KEYS {
        for end in KEYS {
            check(&mut kv, &map, ask(start, end, 10))?;
        }
    }
    check(&mut kv, &map, ask(b"a\x00", b"c", 10))
}

/// With `reverse` the request is turned round: `start_key` is the upper bound and is excluded (empty: no
/// bound), `end_key` the lower one and is included; pairs come in descending order.
fn a_reverse_scan_goes_down_from_its_upper_bound(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    let map = fill(&mut kv, &KEYS)?;
    for upper in [&b""[..], b"a", b"b", b"c", b"\xff\xff"] {
        for lower in [&b""[..], b"a", b"aa", b"c"] {
            for limit in [1, 3, 10] {
                check(&mut kv, &map, RawScanRequest { reverse: true, ..ask(upper, lower, limit) })?;
            }
        }
    }
    Ok(())
}

/// A scan sees one column family; where its keys end, the scan ends, though others have more.
fn a_scan_ends_with_its_column_family(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    let families = CFS.into_iter().zip([[&b"a"[..], b"x"], [b"b", b"y"], [b"c", b"z"]]);
    let mut maps = Vec::new();
    for (cf, keys) in families {
        let map: Map = keys.iter().map(|key| (key.to_vec(), cf_name(cf).into())).collect();
        kv.write(map.iter().map(|(k, v)| raw_pair(cf, k, v)).collect())?;
        maps.push((cf, map));
    }
    // Transactional data of the same store must not show up in a raw scan, either.
    kv.write(vec![Change::Put(Cf::Default, b"xkey".to_vec(), raw_value(b"a transaction's", 0))])?;
    for (cf, map) in &maps {
        for reverse in [false, true] {
            let request = RawScanRequest { cf: cf_name(*cf).into(), reverse, ..ask(b"", b"", 100) };
            check(&mut kv, map, request)?;
        }
    }
    Ok(())
}

/// With `key_only` the values stay behind; the keys are the same.
fn keys_only_leaves_the_values_out(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    let map = fill(&mut kv, &KEYS)?;
    check(&mut kv, &map, RawScanRequest { key_only: true, ..ask(b"", b"", 4) })
}

/// An expired pair is absent: it is not returned, and it does not use up the limit.
///
/// Hint: count pairs that you return, not pairs that you pass.
fn an_expired_pair_is_neither_returned_nor_counted(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    let map = fill(&mut kv, &KEYS)?;
    let expired = [&b"0"[..], b"ab", b"c", b"e"];
    kv.write(
        expired.map(|key| Change::Put(Cf::Default, raw_key(key), raw_value(b"old", 500))).to_vec(),
    )?;
    kv.set_clock(500)?;
    for limit in [1, 3, 100] {
        for reverse in [false, true] {
            check(&mut kv, &map, RawScanRequest { reverse, ..ask(b"", b"", limit) })?;
        }
    }
    Ok(())
}

/// A scan after a put or a delete shows it.
fn a_scan_sees_the_latest_writes(run: &mut World) -> Outcome {
    let mut kv = Kv::in_memory(run)?;
    let mut map = fill(&mut kv, &KEYS)?;
    kv.call(RawPutRequest {
        key: b"bb".to_vec().into(),
        value: b"new".to_vec().into(),
        cf: "default".into(),
        ..Default::default()
    })?;
    map.insert(b"bb".to_vec(), b"new".to_vec());
    check(&mut kv, &map, ask(b"", b"", 100))?;
    let delete =
        RawDeleteRequest { key: b"aa".to_vec().into(), cf: "default".into(), ..Default::default() };
    kv.call(delete)?;
    map.remove(&b"aa"[..]);
    check(&mut kv, &map, ask(b"", b"", 100))
}
