//! What leaders report: newer replaces older, never the other way round.

use proto::metapb::Peer;
use proto::pdpb::RegionHeartbeatRequest;
use sim::failure::{Failure, Outcome, expect_eq, show};
use sim::harness::Test;

use super::protocol::{Scheduler, Settings};
use super::world::{Pd, Shape, TAIL_START, World};

pub(super) fn tests() -> Vec<Test<Scheduler>> {
    sim::tests!("heartbeat.rs":
        a_report_can_be_repeated,
        a_larger_version_replaces,
        a_smaller_version_is_refused,
        a_smaller_conf_ver_is_refused,
        both_counters_may_grow_at_once,
        leader_size_and_pending_peers_change_without_the_epoch,
        peers_come_and_go,
        of_two_leaders_the_later_term_is_right,
        overlapping_regions_are_replaced,
        an_older_neighbour_replaces_nobody,
        the_halves_of_a_split_come_in_any_order,
        splits_and_merges_keep_the_map_whole,
        reports_in_any_order_end_with_the_newest,
        the_map_survives_a_crash,
        a_leader_on_a_silent_store_is_not_named,
        the_tail_is_ordered_to_be_split_off,
        a_report_that_makes_no_sense_is_refused,
    )
}

fn opened<'w, 'a>(run: &'w mut World<'a>) -> Outcome<Pd<'w, 'a>> {
    let mut pd = Pd::start(run, Settings::default())?;
    pd.open_with_tail(5)?;
    Ok(pd)
}

/// How many keys the test of splits and merges cuts apart.
const CELLS: usize = 32;

// r8 ["c", "f") on three stores, at 3:5.
fn eight() -> Shape {
    Shape::new(8, "c", "f").on(&[1, 2, 3]).at(3, 5)
}

fn expect_known(pd: &mut Pd, shape: &Shape) -> Outcome {
    let answer = pd.by_id(shape.id)?;
    let leader = shape.peer_on(shape.leader_store());
    let pending: Vec<Peer> = shape.pending.iter().filter_map(|&s| shape.peer_on(s)).collect();
    if answer.region == Some(shape.region())
        && answer.leader == leader
        && answer.pending_peers == pending
        && answer.down_peers.len() == shape.down.len()
    {
        return Ok(());
    }
    Err(Failure::broke(
        format!("region {} is not known as it was reported", shape.id),
        format!("reported: {shape}, pending on {:?}, down on {:?}", shape.pending, shape.down),
        format!("answered: {answer:?}"),
    ))
}

fn expect_owner(pd: &mut Pd, key: &[u8], wanted: u64) -> Outcome {
    let answer = pd.get_region(key)?;
    let seen = answer.region.as_ref().map_or(0, |region| region.id);
    expect_eq(|| format!("the region with the key {} (0: nobody)", show(key)), &wanted, &seen)
}

/// The same report twice is accepted twice: leaders report every minute, and mostly nothing has changed.
///
/// Hint: stale is what is *older*, not what is as old.
fn a_report_can_be_repeated(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    for _ in 0..3 {
        pd.beat(&eight())?;
        expect_known(&mut pd, &eight())?;
    }
    Ok(())
}

/// A report with a larger version replaces the region.
fn a_larger_version_replaces(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    pd.beat(&eight())?;
    let newer = Shape { version: 4, end: b"e".to_vec(), ..eight() };
    pd.beat(&newer)?;
    expect_known(&mut pd, &newer)?;
    expect_owner(&mut pd, b"e", 0)
}

/// A report with a smaller version is refused, however large its conf_ver: its range is out of date.
fn a_smaller_version_is_refused(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    pd.beat(&eight())?;
    for conf_ver in [4, 5, 9] {
        pd.stale_beat(&eight().at(2, conf_ver), "r8 at 3:5")?;
        expect_known(&mut pd, &eight())?;
    }
    Ok(())
}

/// A report with a smaller conf_ver is refused, however large its version: its peers are out of date. An old leader would
/// bring removed peers back.
///
/// Hint: the epoch has two counters, and either alone makes a report stale.
fn a_smaller_conf_ver_is_refused(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    pd.beat(&eight())?;
    for version in [3, 4] {
        pd.stale_beat(&eight().on(&[1, 4, 5]).at(version, 4), "r8 at 3:5")?;
        expect_known(&mut pd, &eight())?;
    }
    Ok(())
}

/// A report in which both counters have grown is accepted.
fn both_counters_may_grow_at_once(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    pd.beat(&eight())?;
    let newer = eight().on(&[1, 2]).at(5, 6);
    pd.beat(&newer)?;
    expect_known(&mut pd, &newer)
}

/// Who leads, how large it is, which peers lag or are silent: none of it changes the epoch, all of it is news.
///
/// Hint: an equal epoch is not a stale one.
fn leader_size_and_pending_peers_change_without_the_epoch(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    pd.beat(&eight())?;
    let news = [
        eight().led_from(2),
        eight().led_from(2).pending_on(3),
        eight().led_from(2),
        Shape { down: vec![1], ..eight().led_from(3) },
        eight().of(96),
    ];
    for shape in news {
        pd.beat(&shape)?;
        expect_known(&mut pd, &shape)?;
    }
    Ok(())
}

/// Peers that were removed are gone from the map, and those that are added back are there.
fn peers_come_and_go(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    let life = [
        eight(),
        eight().on(&[1, 2]).at(3, 6),
        eight().on(&[1]).at(3, 7),
        eight().on(&[1]).with_learner(4, 77).at(3, 8),
        eight().on(&[1, 2, 3]).at(3, 11),
    ];
    for shape in life {
        pd.beat(&shape)?;
        expect_known(&mut pd, &shape)?;
    }
    Ok(())
}

/// Two leaders may report the same epoch: one of them has been deposed and does not know it. The higher term is right,
/// in whichever order they come. A term of 0 says nothing and is older than any.
fn of_two_leaders_the_later_term_is_right(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    let later = Shape { term: 9, ..eight().led_from(2) };
    pd.beat(&eight())?;
    pd.beat(&later)?;
    expect_known(&mut pd, &later)?;
    pd.stale_beat(&eight(), "r8 at 3:5, led from s2 in term 9")?;
    expect_known(&mut pd, &later)?;
    // A newer epoch was committed by a majority, whatever its leader's term is now.
    let changed = eight().at(3, 6).on(&[1, 2]);
    pd.beat(&changed)?;
    expect_known(&mut pd, &changed)
}

/// A report replaces every region that has some of its keys and is not newer: those are gone from the map, by key and by
/// id. Their other keys are a hole until somebody reports.
///
/// Hint: the region's range may have grown (a merge), so there may be several.
fn overlapping_regions_are_replaced(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    let left = Shape::new(8, "c", "f").on(&[1, 2, 3]).at(3, 1);
    let middle = Shape::new(9, "f", "h").on(&[1, 2, 3]).at(3, 1);
    let right = Shape::new(10, "h", "m").on(&[1, 2, 3]).at(3, 1);
    for shape in [&left, &middle, &right] {
        pd.beat(shape)?;
    }
    let wide = Shape::new(11, "d", "k").on(&[2, 3]).at(4, 1);
    pd.beat(&wide)?;
    expect_known(&mut pd, &wide)?;
    let cases = [("c", 0), ("d", 11), ("f", 11), ("j", 11), ("k", 0), ("l", 0)];
    for (key, owner) in cases {
        expect_owner(&mut pd, key.as_bytes(), owner)?;
    }
    for gone in [left, middle, right] {
        if pd.by_id(gone.id)?.region.is_some() {
            return Err(Failure::broke(
                "a region that was replaced is still found by its id",
                format!("{gone} was replaced by {wide}"),
                format!("GetRegionByID finds region {}", gone.id),
            ));
        }
    }
    Ok(())
}

/// A report of an unknown region that has keys of a region with a larger version is stale: it is the news of a time when
/// it had not been merged or split.
///
/// Hint: look at all that overlap, before you change anything.
fn an_older_neighbour_replaces_nobody(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    let (new, old) = (eight().at(6, 1), Shape::new(9, "f", "h").on(&[1]).at(2, 1));
    pd.beat(&old)?;
    pd.beat(&new)?;
    pd.stale_beat(&Shape::new(11, "d", "g").on(&[2, 3]).at(5, 9), "r8 [\"c\", \"f\") at 6:1")?;
    // The other way round: the older one lies before the newer one.
    let before = Shape::new(7, "b", "c").on(&[1]).at(2, 1);
    pd.beat(&before)?;
    pd.stale_beat(&Shape::new(11, "b", "d").on(&[2, 3]).at(5, 9), "r8 [\"c\", \"f\") at 6:1")?;
    for shape in [new, old, before] {
        expect_known(&mut pd, &shape)?;
    }
    Ok(())
}

/// After a split the new left half and the new right half report, in any order, and in between a key may belong to nobody,
/// but never to the wrong half.
fn the_halves_of_a_split_come_in_any_order(run: &mut World) -> Outcome {
    for right_first in [false, true] {
        let mut pd = opened(run)?;
        pd.beat(&eight())?;
        let left = Shape { end: b"e".to_vec(), ..eight().at(4, 5) };
        let right = Shape::new(12, "e", "f").on(&[1, 2, 3]).at(4, 5);
        let (first, second) = if right_first { (&right, &left) } else { (&left, &right) };
        pd.beat(first)?;
        expect_known(&mut pd, first)?;
        expect_owner(&mut pd, &second.start, 0)?;
        pd.beat(second)?;
        expect_owner(&mut pd, b"c", 8)?;
        expect_owner(&mut pd, b"e", 12)?;
        // The whole region's last report was under way all the time.
        pd.stale_beat(&eight(), "both halves at 4:5")?;
    }
    Ok(())
}

/// Whatever splits and merges are reported, each key belongs to the region that was reported last for it.
fn splits_and_merges_keep_the_map_whole(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    // Regions lie side by side: cell i begins at key i.
    let key = |at: usize| format!("k{at:03}");
    let shape = |id: u64, from: usize, to: usize, version| {
        Shape::new(id, &key(from), &key(to)).on(&[1, 2, 3]).at(version, 1)
    };
    let mut regions = vec![shape(20, 0, CELLS, 3)];
    let mut bounds = vec![(0, CELLS)];
    let mut next = 21;
    pd.beat(&regions[0])?;
    for _ in 0..60 {
        let at = pd.rng().below(regions.len());
        let (from, to) = bounds[at];
        let version = regions.iter().map(|region| region.version).max().unwrap_or(0) + 1;
        if to - from > 1 && (regions.len() == 1 || pd.rng().chance(60)) {
            let middle = from + 1 + pd.rng().below(to - from - 1);
            let id = regions[at].id;
            regions.splice(
                at..=at,
                [shape(id, from, middle, version), shape(next, middle, to, version)],
            );
            bounds.splice(at..=at, [(from, middle), (middle, to)]);
            next += 1;
            let order = if pd.rng().chance(50) { [at, at + 1] } else { [at + 1, at] };
            for at in order {
                pd.beat(&regions[at])?;
            }
        } else if at + 1 < regions.len() {
            let (from, to) = (bounds[at].0, bounds[at + 1].1);
            regions.splice(at..=at + 1, [shape(regions[at].id, from, to, version)]);
            bounds.splice(at..=at + 1, [(from, to)]);
            pd.beat(&regions[at])?;
        }
        for ((from, to), region) in bounds.iter().zip(&regions) {
            expect_owner(&mut pd, key(*from).as_bytes(), region.id)?;
            expect_owner(&mut pd, key(to - 1).as_bytes(), region.id)?;
        }
    }
    Ok(())
}

/// Reports overtake each other on the way. Whatever the order in which a region's history arrives, what is known at the
/// end is its newest chapter.
///
/// Hint: check and change in one step, and never let an older one through.
fn reports_in_any_order_end_with_the_newest(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    let mut history = Vec::new();
    let (mut version, mut conf_ver) = (3, 1);
    for nth in 0..30_usize {
        if pd.rng().chance(50) {
            version += 1;
        } else {
            conf_ver += 1;
        }
        let stores: &[u64] = [&[1, 2, 3][..], &[2, 3, 4], &[1, 4, 5]][nth % 3];
        history.push(eight().on(stores).at(version, conf_ver));
    }
    let newest = history[29].clone();
    for at in (1..history.len()).rev() {
        let with = pd.rng().below(at + 1);
        history.swap(at, with);
    }
    let beats: Vec<RegionHeartbeatRequest> = history.iter().map(Shape::beat).collect();
    pd.beats(beats)?;
    expect_known(&mut pd, &newest)
}

/// After a crash the map is still there (its leaders are not known until they report), and it does not go back: a region
/// that was replaced does not return.
///
/// The map's writes need not be durable, so the newest of them may be lost. Here a write that is durable follows them.
///
/// Hint: `Outbox::remember` for what is new, `Outbox::forget` for what was replaced.
fn the_map_survives_a_crash(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    pd.beat(&eight())?;
    pd.beat(&Shape::new(9, "f", "h").on(&[1]).at(3, 1))?;
    pd.beat(&Shape::new(12, "h", "j").on(&[1]).at(3, 1))?;
    let wide = Shape::new(9, "d", "i").on(&[2, 3]).at(4, 2);
    pd.beat(&wide)?;
    // Its state is saved, and all before it.
    pd.remove_store(5)?;
    pd.crash()?;
    let answer = pd.get_region(b"e")?;
    expect_eq(
        || "the region with \"e\" after a crash".into(),
        &Some(wide.region()),
        &answer.region,
    )?;
    expect_eq(|| "its leader, before it has reported".into(), &None, &answer.leader)?;
    expect_owner(&mut pd, b"c", 0)?;
    expect_owner(&mut pd, &TAIL_START, 2)
}

/// Whoever is told that a dead store leads waits there in vain. A leader whose store has been silent for longer than
/// `disconnect_after` is left out of answers; when the store reports again, it is back.
fn a_leader_on_a_silent_store_is_not_named(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    pd.beat(&eight())?;
    pd.wait(19_000)?;
    pd.store_beats(&[2, 3])?;
    expect_known(&mut pd, &eight())?;
    pd.wait(2_000)?;
    let answer = pd.get_region(b"d")?;
    expect_eq(|| "the leader on store 1, silent for 21 s".into(), &None, &answer.leader)?;
    pd.store_beats(&[1])?;
    expect_known(&mut pd, &eight())
}

/// The region that reaches to the end of all keys is ordered to split at the tail's start, until it has. Then clients are
/// told the way.
fn the_tail_is_ordered_to_be_split_off(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    pd.open_cluster(1)?;
    let whole = Shape::new(1, "", "").on(&[1]);
    for _ in 0..2 {
        pd.beat(&whole)?;
        let orders = pd.take_orders();
        let keys =
            orders.iter().filter_map(|order| order.split_region.as_ref()).map(|split| &split.keys);
        let keys: Vec<_> = keys.flatten().map(|key| key.to_vec()).collect();
        expect_eq(
            || "the keys at which the first region is to split".into(),
            &vec![TAIL_START.to_vec()],
            &keys,
        )?;
    }
    let left = Shape { end: TAIL_START.to_vec(), ..whole.at(2, 1) };
    pd.beat(&left)?;
    expect_owner(&mut pd, b"k", 0)?;
    pd.beat(&Shape::tail(&[1]))?;
    expect_eq(|| "orders when the tail is there".into(), &0, &pd.take_orders().len())?;
    expect_owner(&mut pd, b"k", 1)?;
    expect_owner(&mut pd, &TAIL_START, 2)
}

/// A report without a region, an epoch, or a leader that is one of the peers, and one whose range is empty, changes
/// nothing.
fn a_report_that_makes_no_sense_is_refused(run: &mut World) -> Outcome {
    let mut pd = opened(run)?;
    pd.beat(&eight())?;
    let good = eight().at(9, 9).beat();
    let region = good.region.clone().unwrap_or_default();
    let bad = [
        RegionHeartbeatRequest { region: None, ..good.clone() },
        RegionHeartbeatRequest { leader: None, ..good.clone() },
        RegionHeartbeatRequest {
            leader: Some(Peer { id: 4, store_id: 1, ..Default::default() }),
            ..good.clone()
        },
        RegionHeartbeatRequest {
            region: Some(proto::metapb::Region { region_epoch: None, ..region.clone() }),
            ..good.clone()
        },
        RegionHeartbeatRequest {
            region: Some(proto::metapb::Region { end_key: b"a".to_vec().into(), ..region }),
            ..good
        },
    ];
    for (nth, beat) in bad.into_iter().enumerate() {
        if pd.beats(vec![beat.clone()])?.pop().flatten().is_none() {
            return Err(Failure::broke(
                "a report that makes no sense was accepted",
                format!("case {nth}: {beat:?}"),
                "it was answered without an error",
            ));
        }
    }
    expect_known(&mut pd, &eight())
}
