//! balance-region and balance-leader: what moves, where from, where to, and when it is not worth it.

use std::collections::BTreeSet;

use proto::metapb::Store;
use proto::pdpb::PutStoreRequest;
use sim::failure::{Failure, Outcome, expect_eq};
use sim::harness::Test;

use super::fake::obey;
use super::protocol::{Change, Scheduler, Settings};
use super::world::{Pd, Shape, World, store, told};

pub(super) fn tests() -> Vec<Test<Scheduler>> {
    sim::tests!("balance.rs":
        a_peer_moves_from_the_fullest_store_to_the_emptiest,
        a_target_has_no_peer_of_the_region,
        of_five_replicas_the_one_on_the_fullest_store_moves,
        a_pending_peer_is_moved_first,
        a_region_that_lags_elsewhere_stays,
        only_regions_with_all_their_replicas_move,
        if_the_fullest_store_is_stuck_the_next_is_tried,
        a_store_that_is_lost_or_leaving_is_left_alone,
        a_move_must_be_worth_it,
        moves_under_way_count,
        stores_can_be_compared_by_count,
        a_leader_moves_from_the_most_to_the_fewest,
        a_transfer_must_be_worth_it,
        leadership_goes_to_a_voter_that_is_fit,
        if_the_first_leader_cannot_move_the_next_is_tried,
        the_tail_stays_where_it_is,
        a_more_urgent_plan_takes_the_place_of_balance,
    )
}

const GARAGE: u64 = 99;

fn regions(limit: u64) -> Settings {
    Settings { region_schedule_limit: limit, ..Settings::default() }
}

fn leaders(limit: u64) -> Settings {
    Settings { leader_schedule_limit: limit, ..Settings::default() }
}

// A cluster of these stores, each filled with one region of this size, which is too large to be moved. What came with the
// bootstrap stands on a store that is being emptied, and so does not count.
fn opened<'w, 'a>(
    run: &'w mut World<'a>,
    settings: Settings,
    stores: &[(u64, u64)],
) -> Outcome<Pd<'w, 'a>> {
    let mut pd = Pd::start(run, settings)?;
    pd.open_with_tail(1)?;
    for id in stores.iter().map(|(id, _)| *id).filter(|id| *id != 1).chain([GARAGE]) {
        let store = Some(Store { id, ..store(id) });
        pd.done(PutStoreRequest { store, ..Default::default() })?;
    }
    let mut first = Shape::new(1, "", "a").on(&[GARAGE]).at(3, 3);
    first.size = 1;
    pd.beat(&first)?;
    pd.beat(&Shape::tail(&[GARAGE]).at(2, 3))?;
    pd.remove_store(GARAGE)?;
    for &(id, size) in stores.iter().filter(|(_, size)| *size > 0) {
        pd.beat(
            &Shape::new(100 + id, &format!("s{id:02}"), &format!("s{id:02}x"))
                .on(&[id])
                .of(size)
                .at(3, 1),
        )?;
    }
    Ok(pd)
}

fn region(id: u64, stores: &[u64]) -> Shape {
    Shape::new(id, &format!("k{id:03}"), &format!("k{id:03}x")).on(stores).at(3, 5)
}

// A second passes; what was ordered for these regions is done to its end. Which peers have moved, from where and to where?
fn moved(pd: &mut Pd, shapes: &mut [Shape]) -> Outcome<Vec<(u64, u64, u64)>> {
    let alive: BTreeSet<u64> = (0..=GARAGE).collect();
    pd.wait(1000)?;
    let mut orders = pd.take_orders();
    let before: Vec<Shape> = shapes.to_vec();
    for _ in 0..20 {
        let Some(order) = orders.pop() else { break };
        orders.retain(|other| other.region_id != order.region_id);
        let Some(shape) = shapes.iter_mut().find(|shape| shape.id == order.region_id) else {
            return Err(Failure::broke(
                "a region was to be moved that must stay",
                "none of the regions that are this test's has an order",
                told(&order),
            ));
        };
        obey(shape, &order, &alive)?;
        shape.pending.clear();
        pd.beat(shape)?;
        orders.extend(pd.take_orders());
    }
    let mut moves = Vec::new();
    for (old, new) in before.iter().zip(shapes.iter()) {
        let stores =
            |shape: &Shape| shape.peers.iter().map(|p| p.store_id).collect::<BTreeSet<_>>();
        let (old_stores, new_stores) = (stores(old), stores(new));
        let from = old_stores.difference(&new_stores).next();
        let to = new_stores.difference(&old_stores).next();
        if let (Some(&from), Some(&to)) = (from, to) {
            moves.push((new.id, from, to));
        }
    }
    Ok(moves)
}

fn expect_move(pd: &mut Pd, shapes: &mut [Shape], wanted: (u64, u64, u64), why: &str) -> Outcome {
    let before: Vec<String> = shapes.iter().map(ToString::to_string).collect();
    let seen = moved(pd, shapes)?;
    expect_eq(
        || format!("what moves (region, from, to), {why}; regions {before:?}"),
        &vec![wanted],
        &seen,
    )
}

fn expect_rest(pd: &mut Pd, why: &str) -> Outcome {
    for _ in 0..3 {
        pd.wait(1000)?;
        if let Some(order) = pd.take_orders().first() {
            return Err(Failure::broke("something was moved that should stay", why, told(order)));
        }
    }
    Ok(())
}

/// With one replica: from the fullest store to the emptiest that is fit. When that one is leaving, to the next; and when
/// the stores are even enough, nowhere.
fn a_peer_moves_from_the_fullest_store_to_the_emptiest(run: &mut World) -> Outcome {
    let settings = Settings { max_replicas: 1, ..regions(1) };
    let mut pd = opened(run, settings, &[(1, 60), (2, 80), (3, 85), (4, 160)])?;
    let mut shapes = [region(20, &[4])];
    pd.beat(&shapes[0])?;
    expect_move(&mut pd, &mut shapes, (20, 4, 1), "sizes 60, 80, 85, 170")?;
    shapes[0] = Shape { conf_ver: 20, ..region(20, &[4]) };
    pd.beat(&shapes[0])?;
    pd.remove_store(1)?;
    expect_move(&mut pd, &mut shapes, (20, 4, 2), "sizes 60 (leaving), 80, 85, 170")?;
    expect_rest(
        &mut pd,
        "sizes 60 (leaving), 90, 85, 160; the regions left are larger than half of any difference",
    )
}

/// With three replicas: a store that has a peer of the region cannot get another. If only such stores are left, nothing
/// moves; if there is another one, it is the target, although it is not the emptiest.
///
/// Hint: two peers of a region on one store are lost together.
fn a_target_has_no_peer_of_the_region(run: &mut World) -> Outcome {
    let mut pd = opened(run, regions(1), &[(1, 160), (2, 150), (3, 20)])?;
    let mut shapes = [region(20, &[1, 2, 3])];
    pd.beat(&shapes[0])?;
    expect_rest(&mut pd, "sizes 170, 160, 30: all three stores have a peer of region 20")?;
    pd.done(PutStoreRequest { store: Some(store(4)), ..Default::default() })?;
    pd.beat(&Shape::new(104, "s04", "s04x").on(&[4]).of(50).at(3, 1))?;
    expect_move(
        &mut pd,
        &mut shapes,
        (20, 1, 4),
        "sizes 170, 160, 30, and 50 on store 4 without a peer of it",
    )
}

/// With five replicas: the peer on the fullest of them goes, also when the leader is elsewhere, to the emptiest store.
fn of_five_replicas_the_one_on_the_fullest_store_moves(run: &mut World) -> Outcome {
    let settings = Settings { max_replicas: 5, ..regions(1) };
    let stores = [(1, 40), (2, 50), (3, 60), (4, 70), (5, 280), (6, 10), (7, 50)];
    let mut pd = opened(run, settings, &stores)?;
    let mut shapes = [region(20, &[1, 2, 3, 4, 5])];
    pd.beat(&shapes[0])?;
    expect_move(&mut pd, &mut shapes, (20, 5, 6), "sizes 50, 60, 70, 80, 290, 10, 50")
}

/// Of the regions on the fullest store, one whose peer there is far behind goes first: it needs a snapshot anyway. Then one
/// that the store follows, before one that it leads.
fn a_pending_peer_is_moved_first(run: &mut World) -> Outcome {
    let mut pd = opened(run, regions(1), &[(1, 160), (2, 70), (3, 90), (4, 20)])?;
    let mut shapes =
        [region(20, &[1, 2, 3]), region(21, &[2, 1, 3]), region(22, &[2, 1, 3]).pending_on(1)];
    for shape in &shapes {
        pd.beat(shape)?;
    }
    expect_move(&mut pd, &mut shapes, (22, 1, 4), "region 22 is pending on the fullest store")?;
    expect_move(&mut pd, &mut shapes, (21, 1, 4), "store 1 leads region 20 and follows in 21")?;
    expect_move(&mut pd, &mut shapes, (20, 1, 4), "region 20 is left")
}

/// A region whose peer on *another* store is far behind stays: while that one catches up, the peer that would be taken away
/// is one of the two that have the log.
///
/// Hint: `pending` of the whole region, not of the peer that would go.
fn a_region_that_lags_elsewhere_stays(run: &mut World) -> Outcome {
    let mut pd = opened(run, regions(1), &[(1, 160), (2, 10), (3, 10), (4, 20)])?;
    let mut shapes = [region(20, &[1, 2, 3]).pending_on(2), region(21, &[2, 1, 3]).pending_on(3)];
    for shape in &shapes {
        pd.beat(shape)?;
    }
    expect_rest(
        &mut pd,
        "the fullest store leads region 20 and follows in region 21; a peer of each, on another store, is far behind",
    )?;
    shapes[0].pending.clear();
    pd.beat(&shapes[0])?;
    expect_move(&mut pd, &mut shapes, (20, 1, 4), "all peers of region 20 have caught up")
}

/// A region that lacks a peer must be made whole first, and one that has too many will lose one: only those with exactly
/// `max_replicas` move. (TinyKV's text does not say so, its tests do.)
fn only_regions_with_all_their_replicas_move(run: &mut World) -> Outcome {
    let mut pd = opened(run, regions(1), &[(1, 160), (2, 100), (3, 100), (4, 100), (5, 10)])?;
    let mut shapes = [region(20, &[1, 2]), region(21, &[1, 2, 3, 4]), region(22, &[1, 2, 3])];
    for shape in &shapes[..2] {
        pd.beat(shape)?;
    }
    expect_rest(&mut pd, "region 20 has two replicas, region 21 has four; three are wanted")?;
    pd.beat(&shapes[2])?;
    expect_move(&mut pd, &mut shapes, (22, 1, 5), "region 22 has three")
}

/// The fullest store may have nothing that can be moved: then the next is tried. Else one stuck store ends all balance.
///
/// Hint: `continue`, not `return`.
fn if_the_fullest_store_is_stuck_the_next_is_tried(run: &mut World) -> Outcome {
    let mut pd = opened(run, regions(1), &[(1, 500), (2, 200), (3, 80), (4, 20)])?;
    // On the fullest store: nothing but peers of a region that the emptiest has, too.
    let mut shapes =
        [region(20, &[1, 3, 4]).of(60), region(21, &[2, 3, 4]), region(22, &[3, 2, 1])];
    shapes[1] = region(21, &[2, 3, 1]).of(5);
    shapes[1].peers.remove(2);
    shapes[1].peers.push(proto::metapb::Peer { id: 555, store_id: GARAGE, ..Default::default() });
    for shape in &shapes[..2] {
        pd.beat(shape)?;
    }
    // 560, 205, 145, 80: region 20 could go from 1 to 2 only (355 > 120), unless store 2 is out of the question.
    pd.beat(&Shape { conf_ver: 6, ..region(20, &[1, 2, 4]).of(60) })?;
    shapes[0] = Shape { conf_ver: 6, ..region(20, &[1, 2, 4]).of(60) };
    pd.beat(&Shape { conf_ver: 7, ..region(20, &[1, 2, 3]).of(60) })?;
    shapes[0] = Shape { conf_ver: 7, ..region(20, &[1, 2, 3]).of(60) };
    shapes[0].down = vec![3];
    pd.beat(&shapes[0])?;
    expect_move(
        &mut pd,
        &mut shapes[..2],
        (21, 2, 4),
        "on the fullest store is only region 20, with a peer that is down",
    )
}

/// A store that has been silent for too long, or that is leaving, is neither a source nor a target: peers that go there
/// never come up, and what comes from there is the replica checker's business.
fn a_store_that_is_lost_or_leaving_is_left_alone(run: &mut World) -> Outcome {
    let mut pd =
        opened(run, regions(1), &[(1, 160), (2, 50), (3, 50), (4, 10), (5, 300), (6, 10)])?;
    let shape = region(20, &[1, 2, 3]);
    let other = region(21, &[5, 2, 3]);
    pd.now.uptime += 700_000;
    pd.store_beats(&[1, 2, 3, 6])?;
    pd.remove_store(6)?;
    pd.beat(&Shape::new(106, "s06", "s06x").on(&[6]).of(10).at(3, 1))?;
    pd.beat(&shape)?;
    pd.beat(&other)?;
    expect_rest(
        &mut pd,
        "stores 4 and 5 have been silent for more than ten minutes, store 6 is leaving",
    )?;
    pd.store_beats(&[4])?;
    expect_move(&mut pd, &mut [shape, other], (20, 1, 4), "store 4 is back")
}

/// A move of a region of size w is worth it if the stores differ by more than 2w: then the source is still the fuller one
/// afterwards, and nobody moves it back.
fn a_move_must_be_worth_it(run: &mut World) -> Outcome {
    for (size, wanted) in [(60, false), (59, true)] {
        // 100 + w against 40: differs by 60 + w.
        let settings = Settings { max_replicas: 1, ..regions(1) };
        let mut pd = opened(run, settings, &[(1, 100), (2, 40)])?;
        let mut shapes = [region(20, &[1]).of(size)];
        pd.beat(&shapes[0])?;
        if wanted {
            expect_move(&mut pd, &mut shapes, (20, 1, 2), "sizes 159 and 40, 119 > 2 * 59")?;
        } else {
            expect_rest(
                &mut pd,
                "sizes 160 and 40; a move of 60 would turn them round, and is not worth it at 120",
            )?;
        }
    }
    // The emptiest store has a peer of it; what counts is the one that it would move to.
    let settings = Settings { max_replicas: 2, ..regions(1) };
    let mut pd = opened(run, settings, &[(1, 100), (2, 70), (3, 5)])?;
    pd.beat(&region(20, &[1, 3]).of(30))?;
    expect_rest(
        &mut pd,
        "sizes 130, 70 and 35, of which the last has a peer of it; 60 is not more than 2 * 30",
    )
}

/// What is under way counts as done: else each tick would find the same store the emptiest, and fill it far beyond the
/// others before the first peer has arrived.
///
/// Hint: `Board::score` counts it.
fn moves_under_way_count(run: &mut World) -> Outcome {
    let settings = Settings { max_replicas: 1, ..regions(100) };
    let mut pd = opened(run, settings, &[(1, 0), (2, 0)])?;
    for id in 20..40 {
        pd.beat(&region(id, &[1]))?;
    }
    for _ in 0..3 {
        pd.wait(1000)?;
    }
    let moving: BTreeSet<u64> = pd.take_orders().iter().map(|order| order.region_id).collect();
    if (7..=10).contains(&moving.len()) {
        return Ok(());
    }
    Err(Failure::broke(
        "moves under way are not counted",
        "store 1 has 20 regions, store 2 none; when nine have moved it is even enough",
        format!("in three ticks {} moves were begun", moving.len()),
    ))
}

/// With the policy `count` every region weighs the same.
fn stores_can_be_compared_by_count(run: &mut World) -> Outcome {
    let settings = Settings { max_replicas: 1, by_count: true, ..regions(1) };
    let mut pd = opened(run, settings, &[(1, 500), (2, 0)])?;
    let mut shapes: Vec<Shape> = (20..24).map(|id| region(id, &[2]).of(1)).collect();
    for shape in &shapes {
        pd.beat(shape)?;
    }
    let seen = moved(&mut pd, &mut shapes)?;
    let ways: Vec<(u64, u64)> = seen.iter().map(|(_, from, to)| (*from, *to)).collect();
    expect_eq(
        || "what moves, with one region on store 1 and four small ones on store 2".into(),
        &vec![(2, 1)],
        &ways,
    )
}

// What leadership moves in a second: region, and to which store. The region does it.
fn transferred(pd: &mut Pd, shapes: &mut [Shape]) -> Outcome<Vec<(u64, u64)>> {
    pd.wait(1000)?;
    let mut seen = Vec::new();
    for order in pd.take_orders() {
        let to = order.transfer_leader.as_ref().and_then(|transfer| transfer.peer);
        let to = to.unwrap_or_default().store_id;
        seen.push((order.region_id, to));
        if let Some(shape) = shapes.iter_mut().find(|shape| shape.id == order.region_id) {
            obey(shape, &order, &(0..=GARAGE).collect())?;
            pd.beat(shape)?;
        }
    }
    pd.take_orders();
    Ok(seen)
}

/// From the store that leads the most regions to the one that leads the fewest of those that have a peer, until they are
/// even.
fn a_leader_moves_from_the_most_to_the_fewest(run: &mut World) -> Outcome {
    let mut pd = opened(run, leaders(1), &[(1, 0), (2, 0), (3, 0), (4, 0)])?;
    let mut shapes: Vec<Shape> = (20..26).map(|id| region(id, &[1, 2, 3])).collect();
    shapes.push(region(30, &[2, 1, 3]));
    for shape in &shapes {
        pd.beat(shape)?;
    }
    let first = transferred(&mut pd, &mut shapes)?;
    let ways: Vec<u64> = first.iter().map(|(_, to)| *to).collect();
    expect_eq(
        || "where the first leader goes; stores lead 6, 1, 0, and 0 without a peer".into(),
        &vec![3],
        &ways,
    )?;
    for _ in 0..10 {
        transferred(&mut pd, &mut shapes)?;
    }
    let led = |store: u64| shapes.iter().filter(|shape| shape.leader_store() == store).count();
    let spread = [led(1), led(2), led(3)];
    if spread.iter().max().zip(spread.iter().min()).is_some_and(|(most, least)| most - least <= 1) {
        return Ok(());
    }
    Err(Failure::broke(
        "leadership is not even",
        "7 regions on 3 stores, and time for 11 transfers",
        format!("the stores lead {spread:?}"),
    ))
}

/// A transfer is worth it if the source leads at least two regions more than the target; with one more, they would only
/// swap their places.
fn a_transfer_must_be_worth_it(run: &mut World) -> Outcome {
    let mut pd = opened(run, leaders(4), &[(1, 0), (2, 0), (3, 0)])?;
    for (id, stores) in [(20, [1, 2, 3]), (21, [2, 1, 3]), (22, [1, 3, 2])] {
        pd.beat(&region(id, &stores))?;
    }
    pd.beat(&region(23, &[3, 1, 2]))?;
    expect_rest(&mut pd, "the stores lead 2, 1 and 1 regions")?;
    pd.beat(&region(24, &[1, 2, 3]))?;
    let seen = transferred(&mut pd, &mut [])?;
    expect_eq(|| "transfers when the stores lead 3, 1 and 1".into(), &1, &seen.len())
}

/// Leadership goes to a voter that has the log and whose store is alive and in service: not to a learner, not to a peer
/// that lags, not to a store that is silent or leaving.
fn leadership_goes_to_a_voter_that_is_fit(run: &mut World) -> Outcome {
    let mut pd = opened(run, leaders(4), &[(1, 0), (2, 0), (3, 0), (4, 0), (5, 0)])?;
    let lagging = |id| region(id, &[1, 2, 3]).pending_on(2);
    pd.now.uptime += 25_000;
    pd.store_beats(&[1, 2, 4, 5])?;
    pd.beat(&region(39, &[5]))?;
    pd.remove_store(5)?;
    for id in 20..24 {
        pd.beat(&lagging(id))?;
    }
    for id in 24..26 {
        pd.beat(&region(id, &[1, 5, 3]).with_learner(4, 900 + id))?;
    }
    expect_rest(
        &mut pd,
        "store 1 leads six regions; their other peers lag, are learners, or stand on a silent or leaving store",
    )?;
    let mut shapes: Vec<Shape> = (20..24).map(|id| region(id, &[1, 2, 3])).collect();
    for shape in &shapes {
        pd.beat(shape)?;
    }
    let seen: BTreeSet<u64> =
        transferred(&mut pd, &mut shapes)?.iter().map(|(_, to)| *to).collect();
    expect_eq(|| "where leaders go when store 2 has caught up".into(), &BTreeSet::from([2]), &seen)
}

/// The store with the most leaders may have none that can move: then the next is tried.
fn if_the_first_leader_cannot_move_the_next_is_tried(run: &mut World) -> Outcome {
    let mut pd = opened(run, leaders(4), &[(1, 0), (2, 0), (3, 0)])?;
    for id in 20..30 {
        pd.beat(&region(id, &[1]))?;
    }
    let mut shapes: Vec<Shape> = (30..34).map(|id| region(id, &[2, 3])).collect();
    for shape in &shapes {
        pd.beat(shape)?;
    }
    let seen: Vec<u64> = transferred(&mut pd, &mut shapes)?.iter().map(|(_, to)| *to).collect();
    expect_eq(
        || "where leaders go; store 1 leads ten that have one peer only, store 2 leads four".into(),
        &vec![3, 3],
        &seen,
    )
}

/// The tail holds nothing and is asked for nothing: neither its peers nor its leadership are worth a move.
fn the_tail_stays_where_it_is(run: &mut World) -> Outcome {
    let settings = Settings { leader_schedule_limit: 4, ..regions(4) };
    let mut pd = Pd::start(run, settings)?;
    pd.open_with_tail(4)?;
    let mut first = Shape::new(1, "", "a").on(&[1, 2, 3]).at(3, 3);
    first.size = 1000;
    pd.beat(&first)?;
    pd.beat(&Shape { size: 3, ..Shape::tail(&[1, 2, 3]).at(2, 3) })?;
    pd.wait(1000)?;
    pd.take_orders();
    for _ in 0..5 {
        pd.wait(1000)?;
        if let Some(order) =
            pd.take_orders().iter().find(|order| order.region_id == super::world::TAIL)
        {
            return Err(Failure::broke(
                "the tail was to be moved",
                "it is exempt from balance; only the replica checker looks after it",
                told(order),
            ));
        }
    }
    Ok(())
}

/// A more urgent plan takes the place of a less urgent one, which ends; a less urgent one waits.
///
/// Hint: `Kind` is ordered.
fn a_more_urgent_plan_takes_the_place_of_balance(run: &mut World) -> Outcome {
    let mut pd = opened(run, leaders(1), &[(1, 0), (2, 0)])?;
    let shapes: Vec<Shape> = (20..24).map(|id| region(id, &[1, 2])).collect();
    for shape in &shapes {
        pd.beat(shape)?;
    }
    pd.wait(1000)?;
    let orders = pd.take_orders();
    let Some(region_id) = orders.first().map(|order| order.region_id) else {
        return Err(Failure::broke(
            "leadership is not balanced",
            "stores lead 4 and 0",
            "no order",
        ));
    };
    if let Err(why) = pd.plan(region_id, vec![Change::Remove(2)])? {
        return Err(Failure::broke(
            "a person's plan was refused for the sake of balance",
            format!("region {region_id} has an operator of balance-leader"),
            why,
        ));
    }
    let request = proto::pdpb::GetOperatorRequest { region_id, ..Default::default() };
    let kind = pd.done(request)?.kind;
    expect_eq(|| "the kind of the operator under way".into(), &b"admin".to_vec(), &kind.to_vec())
}
