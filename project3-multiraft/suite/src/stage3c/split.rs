//! Ids for splits, and reports of splits.

use std::collections::BTreeSet;

use proto::pdpb::{AskBatchSplitRequest, AskSplitRequest, ErrorType, ReportBatchSplitRequest};
use sim::failure::{Failure, Outcome, expect_eq};
use sim::harness::Test;

use super::protocol::{Scheduler, Settings};
use super::world::{Pd, Shape, World};

pub(super) fn tests() -> Vec<Test<Scheduler>> {
    sim::tests!("split.rs":
        each_new_region_gets_ids_for_all_its_peers,
        a_stale_region_gets_no_ids,
        a_reported_split_is_on_the_map,
    )
}

fn ask(shape: &Shape, split_count: u32) -> AskBatchSplitRequest {
    AskBatchSplitRequest { region: Some(shape.region()), split_count, ..Default::default() }
}

/// A split into several gets as many new regions as were asked for, each with a peer id for every peer of the old
/// region; no id is given out twice, also if the same region asks again, and over a crash.
///
/// Hint: learners are peers, too.
fn each_new_region_gets_ids_for_all_its_peers(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    pd.open_with_tail(4)?;
    let shape = Shape::new(8, "c", "f").on(&[1, 2, 3]).with_learner(4, 900).at(3, 5);
    pd.beat(&shape)?;
    let mut seen = BTreeSet::from([1, 2, 3]);
    for round in 0..4_u32 {
        let ids = pd.done(ask(&shape, round + 1))?.ids;
        expect_eq(|| "the number of new regions".into(), &(round as usize + 1), &ids.len())?;
        for id in ids {
            expect_eq(|| "the number of new peer ids".into(), &4, &id.new_peer_ids.len())?;
            for id in id.new_peer_ids.into_iter().chain([id.new_region_id]) {
                if id == 0 || !seen.insert(id) {
                    return Err(Failure::broke(
                        "a split got an id that is not new",
                        format!("{id} was given out before, or is 0"),
                        format!("AskBatchSplit gave it out in round {round}"),
                    ));
                }
            }
        }
        if round == 1 {
            pd.crash()?;
            pd.beat(&shape)?;
        }
    }
    let old = pd.done(AskSplitRequest { region: Some(shape.region()), ..Default::default() })?;
    expect_eq(|| "peer ids of AskSplit".into(), &4, &old.new_peer_ids.len())
}

/// A region that is unknown, or older than what is known, gets no ids: its split would fail anyway. Nor does a request for
/// no regions at all, nor one for a region with more peers than any region has: each of them would cost ids.
fn a_stale_region_gets_no_ids(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    pd.open_with_tail(4)?;
    let shape = Shape::new(8, "c", "f").on(&[1, 2, 3]).at(3, 5);
    pd.beat(&shape)?;
    for stale in [shape.clone().at(2, 5), shape.clone().at(3, 4)] {
        pd.refused(ask(&stale, 1))?;
    }
    pd.refused(ask(&shape, 0))?;
    for crowd in [Vec::new(), (1..=1_000).collect()] {
        let text = pd.refused(ask(&shape.clone().on(&crowd), 1_024))?.message;
        let named = text.contains(&format!("{} peers", crowd.len()));
        expect_eq(|| format!("whether `{text}` names how many peers there are"), &true, &named)?;
    }
    let unknown = pd.refused(ask(&Shape::new(9, "f", "g").on(&[1]), 1))?;
    expect_eq(
        || "the error for an unknown region".into(),
        &ErrorType::RegionNotFound,
        &unknown.r#type(),
    )?;
    // The scheduler may be the one that is behind.
    pd.done(ask(&shape.at(4, 6), 1)).map(drop)
}

/// A reported split is on the map at once; who leads the new half is known only when it says so itself.
fn a_reported_split_is_on_the_map(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings::default())?;
    pd.open_with_tail(4)?;
    let whole = Shape::new(8, "c", "f").on(&[1, 2, 3]).at(3, 5);
    pd.beat(&whole)?;
    let left = Shape { end: b"d".to_vec(), ..whole.clone().at(4, 5) };
    let right = Shape::new(9, "d", "f").on(&[1, 2, 3]).at(4, 5);
    let regions = vec![left.region(), right.region()];
    pd.done(ReportBatchSplitRequest { regions: regions.clone(), ..Default::default() })?;
    for (key, shape, led) in [(b"c", &left, true), (b"d", &right, false)] {
        let answer = pd.get_region(key)?;
        expect_eq(|| "a half of a reported split".into(), &Some(shape.region()), &answer.region)?;
        let leader = shape.peer_on(1).filter(|_| led);
        expect_eq(|| format!("the leader of region {}", shape.id), &leader, &answer.leader)?;
    }
    pd.beat(&right.clone().led_from(2))?;
    pd.done(ReportBatchSplitRequest { regions, ..Default::default() })?;
    let answer = pd.get_region(b"d")?;
    expect_eq(|| "the leader that has reported itself".into(), &right.peer_on(2), &answer.leader)?;
    let torn = vec![left.region(), Shape::new(10, "e", "f").on(&[1]).at(5, 5).region()];
    pd.refused(ReportBatchSplitRequest { regions: torn, ..Default::default() })?;
    // Its end is no key behind its beginning: there is no such range.
    let backwards = vec![left.region(), Shape::new(10, "d", "b").on(&[1]).at(5, 5).region()];
    pd.refused(ReportBatchSplitRequest { regions: backwards, ..Default::default() }).map(drop)
}
