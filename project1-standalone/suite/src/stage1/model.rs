//! The whole stack against a map: random calls, crashes in between, every answer compared.

use std::collections::BTreeMap;

use proto::kvrpcpb::{
    RawDeleteRangeRequest, RawDeleteRequest, RawGetRequest, RawPutRequest, RawScanRequest,
};
use sim::failure::{Failure, Outcome, show};
use sim::harness::Test;

use crate::protocol::{CFS, Cf, Standalone};
use crate::world::{Kv, World, cf_name, show_pairs, show_value};

pub(super) fn tests() -> Vec<Test<Standalone>> {
    sim::tests!("model.rs": a_store_behaves_like_a_map_over_crashes)
}

type Maps = BTreeMap<Cf, BTreeMap<Vec<u8>, Vec<u8>>>;

/// The keys are few and short, so that calls meet each other.
fn draw_key(kv: &mut Kv) -> Vec<u8> {
    const LETTERS: &[u8] = b"\x00ab\xff";
    let len = kv.rng().below(3);
    (0..len).map(|_| *kv.rng().pick(LETTERS)).collect()
}

/// Any sequence of calls answers as a sorted map per column family would, and a crash changes nothing: each
/// call was answered, so each is durable.
///
/// Hint: when only this test fails, look at the failing call, then for the smaller test of the same handler
/// that should have caught it, and at what this one adds: other families, other calls, crashes.
fn a_store_behaves_like_a_map_over_crashes(run: &mut World) -> Outcome {
    let mut kv = Kv::on_disk(run)?;
    let mut maps: Maps = CFS.into_iter().map(|cf| (cf, BTreeMap::new())).collect();
    for step in 0..150 {
        let cf = *kv.rng().pick(&CFS);
        let map = maps.entry(cf).or_default();
        let (key, other) = (draw_key(&mut kv), draw_key(&mut kv));
        let name = || cf_name(cf).to_owned();
        match kv.rng().below(100) {
            0..40 => {
                let value = format!("{step}").into_bytes();
                kv.call(RawPutRequest {
                    key: key.clone().into(),
                    value: value.clone().into(),
                    cf: name(),
                    ..Default::default()
                })?;
                map.insert(key, value);
            }
            40..55 => {
                kv.call(RawDeleteRequest {
                    key: key.clone().into(),
                    cf: name(),
                    ..Default::default()
                })?;
                map.remove(&key);
            }
            55..60 => {
                kv.call(RawDeleteRangeRequest {
                    start_key: key.clone().into(),
                    end_key: other.clone().into(),
                    cf: name(),
                    ..Default::default()
                })?;
                map.retain(|k, _| *k < key || (!other.is_empty() && *k >= other));
            }
            60..80 => check_get(&mut kv, cf, map, key, step)?,
            80..97 => check_scan(&mut kv, cf, map, key, other, step)?,
            _ => kv.crash()?,
        }
    }
    for (cf, map) in &maps {
        check_scan(&mut kv, *cf, map, Vec::new(), Vec::new(), 150)?;
    }
    Ok(())
}

type Map = BTreeMap<Vec<u8>, Vec<u8>>;

fn check_get(kv: &mut Kv, cf: Cf, map: &Map, key: Vec<u8>, step: u32) -> Outcome {
    let request =
        RawGetRequest { key: key.clone().into(), cf: cf_name(cf).into(), ..Default::default() };
    let seen = kv.call(request)?;
    let seen = (!seen.not_found).then(|| seen.value.to_vec());
    if seen.as_ref() == map.get(&key) {
        return Ok(());
    }
    Err(Failure::broke(
        format!("call {step}: RawGet of {} in {cf:?} is wrong", show(&key)),
        format!("the calls before make it {}", show_value(map.get(&key))),
        format!("it returned {}", show_value(seen.as_ref())),
    ))
}

fn check_scan(kv: &mut Kv, cf: Cf, map: &Map, from: Vec<u8>, to: Vec<u8>, step: u32) -> Outcome {
    let reverse = kv.rng().chance(50);
    let limit = if step == 150 { u32::MAX } else { u32::try_from(kv.rng().below(6)).unwrap_or(0) };
    let request = RawScanRequest {
        start_key: from.clone().into(),
        end_key: to.clone().into(),
        limit,
        reverse,
        cf: cf_name(cf).into(),
        ..Default::default()
    };
    let (low, high) = if reverse { (&to, &from) } else { (&from, &to) };
    let mut expected: Vec<(&[u8], &[u8])> = map
        .iter()
        .filter(|(key, _)| *key >= low && (high.is_empty() || *key < high))
        .map(|(key, value)| (&key[..], &value[..]))
        .collect();
    if reverse {
        expected.reverse();
    }
    expected.truncate(limit as usize);
    let response = kv.call(request)?;
    let seen: Vec<(&[u8], &[u8])> =
        response.kvs.iter().map(|pair| (&pair.key[..], &pair.value[..])).collect();
    if seen == expected {
        return Ok(());
    }
    Err(Failure::broke(
        format!(
            "call {step}: RawScan of [{}, {}) in {cf:?}, reverse={reverse}, limit {limit}, is wrong",
            show(low),
            show(high)
        ),
        format!("the calls before make it {}", show_pairs(expected)),
        format!("it returned {}", show_pairs(seen)),
    ))
}
