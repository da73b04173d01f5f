//! The map of regions, as a restart finds it on the disk.

use std::collections::BTreeMap;

use prost::Message;
use proto::pdpb::{GetRegionResponse, ScanRegionsRequest};
use sim::failure::{Failure, Outcome, show};
use sim::harness::Test;

use super::protocol::{Scheduler, Settings};
use super::world::{Pd, Shape, TAIL, TAIL_START, World};

pub(super) fn tests() -> Vec<Test<Scheduler>> {
    sim::tests!("map.rs":
        a_key_belongs_to_one_region,
        a_key_in_a_hole_belongs_to_nobody,
        the_region_before_ends_where_this_one_starts,
        a_scan_lists_the_regions_of_a_range,
        a_region_is_found_by_its_id,
        nobody_is_told_the_way_before_the_tail_is_split_off,
    )
}

// A disk with these regions, as `multiraft::scheduler`'s file `saved.rs` describes it.
fn disk(shapes: &[Shape]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let number = |n: u64| n.to_be_bytes().to_vec();
    let region = |shape: &Shape| {
        ([&b"region/"[..], &shape.id.to_be_bytes()].concat(), shape.region().encode_to_vec())
    };
    shapes
        .iter()
        .map(region)
        .chain([
            (b"cluster_id".to_vec(), number(9)),
            (b"bootstrapped".to_vec(), number(1)),
            (b"id_bound".to_vec(), number(1000)),
        ])
        .collect()
}

// a-c, c-f, (f-h is a hole), h-tail, tail
fn shapes() -> Vec<Shape> {
    let mut last = Shape::new(6, "h", "").on(&[3]);
    last.end = TAIL_START.to_vec();
    vec![
        Shape::new(3, "", "c").on(&[1, 2]),
        Shape::new(5, "c", "f").on(&[2, 3]),
        last,
        Shape::tail(&[1]),
    ]
}

fn expect(what: &str, key: &[u8], answer: &GetRegionResponse, wanted: u64) -> Outcome {
    let seen = answer.region.as_ref().map_or(0, |region| region.id);
    if seen == wanted {
        return Ok(());
    }
    let name = |id: u64| if id == 0 { "none".into() } else { format!("region {id}") };
    Err(Failure::broke(
        format!("{what} {} is {}, not {}", show(key), name(wanted), name(seen)),
        "regions: r3 [\"\", \"c\"), r5 [\"c\", \"f\"), a hole [\"f\", \"h\"), r6 [\"h\", tail), r2 the tail",
        format!("answered: {answer:?}"),
    ))
}

/// A region has the keys from its start (included) to its end (excluded); the empty key is the first of all.
///
/// Hint: the last region that starts at or before the key, if it reaches to it.
fn a_key_belongs_to_one_region(run: &mut World) -> Outcome {
    let mut pd = Pd::start_on(run, Settings::default(), disk(&shapes()))?;
    let cases: [(&[u8], u64); 9] = [
        (b"", 3),
        (b"a", 3),
        (b"b\xff\xff", 3),
        (b"c", 5),
        (b"e", 5),
        (b"h", 6),
        (b"zzz", 6),
        (&TAIL_START, TAIL),
        (&[0xff; 30], TAIL),
    ];
    for (key, id) in cases {
        let answer = pd.get_region(key)?;
        expect("the region with the key", key, &answer, id)?;
    }
    Ok(())
}

/// Between two regions there may be a hole: a half of a split that nobody has reported yet. The honest answer is that
/// nobody has the key; the region before it does not have it.
fn a_key_in_a_hole_belongs_to_nobody(run: &mut World) -> Outcome {
    let mut pd = Pd::start_on(run, Settings::default(), disk(&shapes()))?;
    for key in [&b"f"[..], b"g"] {
        let answer = pd.get_region(key)?;
        expect("the region with the key", key, &answer, 0)?;
        if answer.header.and_then(|header| header.error).is_none() {
            return Err(Failure::broke(
                "a key that nobody has was answered without an error",
                format!("the key {} lies in a hole", show(key)),
                "an official client takes an answer without region and error for a fault of the line",
            ));
        }
    }
    Ok(())
}

/// GetPrevRegion gives the region that ends where the key's region starts. Before the first region there is none, and
/// before a hole neither.
///
/// Hint: not the region before the *key*: the one before the key's *region*.
fn the_region_before_ends_where_this_one_starts(run: &mut World) -> Outcome {
    let mut pd = Pd::start_on(run, Settings::default(), disk(&shapes()))?;
    let cases: [(&[u8], u64); 5] = [(b"", 0), (b"b", 0), (b"d", 3), (b"z", 0), (&TAIL_START, 6)];
    for (key, id) in cases {
        let answer = pd.get_prev_region(key)?;
        expect("the region before the one with the key", key, &answer, id)?;
    }
    Ok(())
}

/// ScanRegions lists the regions that have keys in the range, in key order: the first one may begin before the start,
/// the end is excluded, an empty end is no bound, and a limit is kept.
fn a_scan_lists_the_regions_of_a_range(run: &mut World) -> Outcome {
    let mut pd = Pd::start_on(run, Settings::default(), disk(&shapes()))?;
    let cases: [(&str, &str, i32, &[u64]); 8] = [
        ("", "", 0, &[3, 5, 6, TAIL]),
        ("b", "d", 0, &[3, 5]),
        ("c", "c\0", 0, &[5]),
        ("b", "c", 0, &[3]),
        ("g", "", 0, &[6, TAIL]),
        ("f", "h", 0, &[]),
        ("", "", 2, &[3, 5]),
        ("d", "z", 1, &[5]),
    ];
    for (start, end, limit, wanted) in cases {
        let answer = pd.done(ScanRegionsRequest {
            start_key: start.as_bytes().to_vec().into(),
            end_key: end.as_bytes().to_vec().into(),
            limit,
            ..Default::default()
        })?;
        let seen: Vec<u64> = answer.region_metas.iter().map(|region| region.id).collect();
        let forms = answer.leaders.len() == seen.len() && answer.regions.len() == seen.len();
        if seen != wanted || !forms {
            return Err(Failure::broke(
                format!("a scan of [\"{start}\", \"{end}\") with limit {limit} is wrong"),
                format!("regions {wanted:?} have keys there"),
                format!(
                    "answered: {seen:?}, {} leaders, {} regions",
                    answer.leaders.len(),
                    answer.regions.len()
                ),
            ));
        }
    }
    Ok(())
}

/// GetRegionByID finds every region as it was saved, and refuses an id that no region has.
fn a_region_is_found_by_its_id(run: &mut World) -> Outcome {
    let mut pd = Pd::start_on(run, Settings::default(), disk(&shapes()))?;
    for shape in shapes() {
        let answer = pd.by_id(shape.id)?;
        if answer.region != Some(shape.region()) {
            return Err(Failure::broke(
                "a region is not as it was saved",
                format!("saved: {shape}"),
                format!("answered: {:?}", answer.region),
            ));
        }
    }
    let answer = pd.by_id(4)?;
    if answer.region.is_none() && answer.header.and_then(|header| header.error).is_some() {
        return Ok(());
    }
    Err(Failure::broke(
        "an unknown region was answered",
        "no region has the id 4",
        format!("answered: {:?}", answer.region),
    ))
}

/// Between bootstrap and the first split one region covers everything, the tail included. Nobody is told the way by
/// such a map: official raw clients scan in circles when they meet a region without an end that holds data.
fn nobody_is_told_the_way_before_the_tail_is_split_off(run: &mut World) -> Outcome {
    let whole = Shape::new(3, "", "").on(&[1]);
    let mut pd = Pd::start_on(run, Settings::default(), disk(&[whole]))?;
    let answers = [pd.get_region(b"k")?, pd.get_prev_region(b"k")?, pd.by_id(3)?];
    for answer in answers {
        if answer.region.is_some() || answer.header.and_then(|header| header.error).is_none() {
            return Err(Failure::broke(
                "a client was told the way by a map without a tail",
                "region 3 is [\"\", \"\"): the tail is not split off yet",
                format!("answered: {:?}", answer.region),
            ));
        }
    }
    Ok(())
}
