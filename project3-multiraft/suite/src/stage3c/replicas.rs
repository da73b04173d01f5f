//! Every region has its replicas, on stores that are there to stay.

use std::collections::BTreeSet;

use sim::failure::{Failure, Outcome, expect_eq};
use sim::harness::Test;

use super::fake::Fake;
use super::protocol::{Scheduler, Settings};
use super::world::{Pd, Shape, World, told};

pub(super) fn tests() -> Vec<Test<Scheduler>> {
    sim::tests!("replicas.rs":
        a_missing_replica_is_made_up,
        an_extra_replica_is_removed,
        an_extra_replica_on_a_lost_store_is_not_replaced,
        a_lost_store_is_replaced,
        a_store_that_was_silent_for_a_while_is_not_replaced,
        a_leaving_store_is_drained,
        a_learner_that_was_left_over_is_not_forgotten,
        what_balance_is_moving_is_not_left_over,
        without_a_place_nothing_is_done,
        a_new_peer_goes_to_the_emptiest_store_that_is_fit,
    )
}

fn settings() -> Settings {
    Settings { replica_schedule_limit: 8, ..Settings::default() }
}

fn opened<'w, 'a>(run: &'w mut World<'a>, stores: u64) -> Outcome<Pd<'w, 'a>> {
    let mut pd = Pd::start(run, settings())?;
    pd.open_with_tail(stores)?;
    Ok(pd)
}

// Regions 1 and the tail have what they need, so that only region 8 is looked after.
fn fake(stores: u64, eight: Shape) -> Fake {
    let mut first = Shape::new(1, "", "c").on(&[1, 2, 3]).at(3, 3);
    first.end = b"c".to_vec();
    let mut last = Shape::new(9, "f", "").on(&[1, 2, 3]).at(3, 3);
    last.end = super::world::TAIL_START.to_vec();
    Fake::new(stores, [first, eight, last, Shape::tail(&[1, 2, 3]).at(2, 3)])
}

fn eight(stores: &[u64]) -> Shape {
    Shape::new(8, "c", "f").on(stores).at(3, 5)
}

fn stores_of(fake: &Fake, region: u64) -> BTreeSet<u64> {
    fake.regions[&region].peers.iter().map(|peer| peer.store_id).collect()
}

fn expect_stores(fake: &Fake, region: u64, wanted: &[u64], why: &str) -> Outcome {
    let wanted: BTreeSet<u64> = wanted.iter().copied().collect();
    expect_eq(|| format!("the stores of region {region}: {why}"), &wanted, &stores_of(fake, region))
}

/// A region with fewer voters than `max_replicas` gets more, one after the other. After bootstrap that is every region,
/// the tail included.
fn a_missing_replica_is_made_up(run: &mut World) -> Outcome {
    let mut pd = opened(run, 3)?;
    let mut fake = fake(3, eight(&[2]));
    fake.regions.insert(2, Shape::tail(&[1]));
    fake.settle(&mut pd, 10, 200)?;
    expect_stores(&fake, 8, &[1, 2, 3], "it had one peer")?;
    expect_stores(&fake, 2, &[1, 2, 3], "the tail had one peer")
}

/// A region with more voters than `max_replicas` loses one, and not its leader as long as there is another. If the leader's
/// store is to be emptied, the leader hands over first. One that is down, or behind, goes before those that are well.
fn an_extra_replica_is_removed(run: &mut World) -> Outcome {
    let mut pd = opened(run, 4)?;
    let mut healthy = fake(4, eight(&[1, 2, 3, 4]));
    healthy.settle(&mut pd, 10, 200)?;
    expect_eq(|| "the number of peers of region 8".into(), &3, &stores_of(&healthy, 8).len())?;
    expect_eq(|| "the leader's store".into(), &1, &healthy.regions[&8].leader_store())?;
    let sick = [
        (Shape { down: vec![2], ..eight(&[1, 2, 3, 4]) }, "its peer on store 2 was down"),
        (Shape { pending: vec![2], ..eight(&[1, 2, 3, 4]) }, "its peer on store 2 was behind"),
    ];
    for (shape, why) in sick {
        let mut pd = opened(run, 4)?;
        let mut fake = fake(4, shape);
        fake.settle(&mut pd, 10, 200)?;
        expect_stores(&fake, 8, &[1, 3, 4], why)?;
    }
    Ok(())
}

/// A region has an extra replica, and just that one is on a store that was lost. It is removed, and not built anew first.
fn an_extra_replica_on_a_lost_store_is_not_replaced(run: &mut World) -> Outcome {
    let mut pd = opened(run, 5)?;
    let mut fake = fake(5, eight(&[1, 2, 3]));
    fake.kill(4);
    for _ in 0..620 {
        fake.second(&mut pd)?;
    }
    fake.regions.insert(8, eight(&[1, 2, 3, 4]).at(3, 6));
    fake.report_all();
    fake.settle(&mut pd, 10, 200)?;
    expect_stores(&fake, 8, &[1, 2, 3], "it had a fourth peer on store 4, which is lost")?;
    expect_eq(|| "peers that were added meanwhile".into(), &0, &fake.added)
}

/// The peers of a store that has been silent for longer than `max_store_down_time` are built anew elsewhere: on a new
/// store first, then the lost peer is removed.
fn a_lost_store_is_replaced(run: &mut World) -> Outcome {
    let mut pd = opened(run, 4)?;
    let mut fake = fake(4, eight(&[1, 2, 3]));
    fake.settle(&mut pd, 5, 100)?;
    fake.kill(1);
    for _ in 0..590 {
        fake.second(&mut pd)?;
    }
    expect_stores(&fake, 8, &[1, 2, 3], "store 1 has been silent for less than ten minutes")?;
    fake.settle(&mut pd, 30, 300)?;
    for region in [1, 2, 8, 9] {
        expect_stores(
            &fake,
            region,
            &[2, 3, 4],
            "store 1 has been silent for more than ten minutes",
        )?;
    }
    Ok(())
}

/// A store that comes back before `max_store_down_time` keeps what it has; and a scheduler that has just been started does
/// not take a store for lost that it has not heard of yet.
///
/// Hint: silence is counted from the last report, or from the scheduler's own start.
fn a_store_that_was_silent_for_a_while_is_not_replaced(run: &mut World) -> Outcome {
    let mut pd = opened(run, 4)?;
    let mut fake = fake(4, eight(&[1, 2, 3]));
    fake.settle(&mut pd, 5, 100)?;
    fake.kill(1);
    for second in 0..1000 {
        if second == 400 {
            fake.alive.insert(1);
        }
        if second == 500 {
            fake.kill(1);
        }
        if second == 800 {
            pd.crash()?;
            fake.report_all();
        }
        let orders = fake.second(&mut pd)?;
        if orders > 0 {
            return Err(Failure::broke(
                "a store was taken for lost that is not",
                "store 1 was silent from second 0 to 400 and from 500 on; the scheduler restarted at 800; ten minutes are allowed",
                format!("at second {second} something was ordered"),
            ));
        }
    }
    Ok(())
}

/// A store that is to be emptied loses its peers one by one, leaders hand over first, and when it has none left it is a
/// tombstone.
fn a_leaving_store_is_drained(run: &mut World) -> Outcome {
    let mut pd = opened(run, 4)?;
    let mut fake = fake(4, eight(&[1, 2, 3]));
    fake.settle(&mut pd, 5, 100)?;
    pd.remove_store(1)?;
    fake.leaving.insert(1);
    fake.settle(&mut pd, 10, 300)?;
    for region in [1, 2, 8, 9] {
        expect_stores(&fake, region, &[2, 3, 4], "store 1 was to be emptied")?;
    }
    let state = pd.call(proto::pdpb::GetStoreRequest { store_id: 1, ..Default::default() })?;
    let state = state.store.unwrap_or_default().state();
    expect_eq(|| "store 1's state".into(), &proto::metapb::StoreState::Tombstone, &state)
}

/// An operator that ended half-way leaves a learner behind. If voters are missing it is promoted, as soon as it is neither down nor
/// behind; if they are not it is removed.
fn a_learner_that_was_left_over_is_not_forgotten(run: &mut World) -> Outcome {
    for (stores, wanted) in [(&[1, 2, 3][..], &[1, 2, 3][..]), (&[1, 2], &[1, 2, 4])] {
        let mut pd = opened(run, 4)?;
        let mut fake = fake(4, eight(stores).with_learner(4, 900));
        fake.settle(&mut pd, 10, 200)?;
        expect_stores(
            &fake,
            8,
            wanted,
            &format!("voters on {stores:?}, and a learner on store 4"),
        )?;
        let learners = fake.regions[&8].peers.iter().filter(|peer| peer.role != 0).count();
        expect_eq(|| "learners that are left".into(), &0, &learners)?;
    }
    let shape = || eight(&[1, 2]).with_learner(4, 900);
    for shape in [Shape { pending: vec![4], ..shape() }, Shape { down: vec![4], ..shape() }] {
        let mut pd = opened(run, 4)?;
        let mut fake = fake(4, shape);
        for _ in 0..20 {
            fake.second(&mut pd)?;
        }
        let peers = &fake.regions[&8].peers;
        let learner = peers.iter().any(|peer| peer.store_id == 4 && peer.role != 0);
        let what = || "whether a learner that is down or behind is a learner still".to_owned();
        expect_eq(what, &true, &learner)?;
    }
    Ok(())
}

/// While balance moves a peer its region has a learner more than it should, then a voter more. That is not left over: the
/// checker lets a move go on, however long its snapshot takes. Else the two would work against each other, for ever.
///
/// Hint: whose operator is under way?
fn what_balance_is_moving_is_not_left_over(run: &mut World) -> Outcome {
    let mut pd = Pd::start(run, Settings { region_schedule_limit: 1, ..settings() })?;
    pd.open_with_tail(4)?;
    let mut fake = fake(4, eight(&[1, 2, 3]));
    fake.stuck.insert(4);
    for _ in 0..30 {
        fake.second(&mut pd)?;
    }
    let learners = |fake: &Fake| {
        let peers = fake.regions.values().flat_map(|shape| &shape.peers);
        peers.filter(|peer| peer.role != 0 && peer.store_id == 4).count()
    };
    expect_eq(
        || "learners on store 4, which is empty and gets its first peer slowly".into(),
        &1,
        &learners(&fake),
    )?;
    expect_eq(|| "peers that were added to get it there".into(), &1, &fake.added)?;
    fake.stuck.clear();
    fake.settle(&mut pd, 10, 200)?;
    let (added, there) = (fake.added, fake.peers(4)[&4] as u64);
    expect_eq(|| "peers that were added, of which none must be in vain".into(), &there, &added)?;
    let whole = fake.regions.values().all(|shape| shape.peers.len() == 3);
    expect_eq(|| "whether all regions have three peers".into(), &true, &whole)
}

/// With three stores, one of them lost or leaving, there is no place for a third peer. Then nothing is done: to remove a
/// peer without adding one makes it worse, and two peers on one store are lost together.
fn without_a_place_nothing_is_done(run: &mut World) -> Outcome {
    for leaving in [false, true] {
        let mut pd = opened(run, 3)?;
        let mut fake = fake(3, eight(&[1, 2, 3]));
        fake.settle(&mut pd, 5, 100)?;
        if leaving {
            pd.remove_store(3)?;
        } else {
            fake.kill(3);
        }
        for _ in 0..700 {
            fake.second(&mut pd)?;
        }
        let what = if leaving { "leaving" } else { "lost" };
        expect_stores(
            &fake,
            8,
            &[1, 2, 3],
            &format!("store 3 is {what}, and there is no fourth one"),
        )?;
    }
    Ok(())
}

/// A new peer goes to the store with the lowest score that is in service, alive and not busy, and has no peer of the
/// region.
///
/// Hint: `StoreInfo::is_target`.
fn a_new_peer_goes_to_the_emptiest_store_that_is_fit(run: &mut World) -> Outcome {
    let mut pd = opened(run, 7)?;
    // By size: s3 0 (silent), s4 0 (leaving), s5 0 (busy), s6 32, s7 20.
    let mut first = Shape::new(1, "", "c").on(&[1, 2, 6]).at(3, 3);
    first.size = 1;
    pd.beat(&first)?;
    pd.beat(&Shape::tail(&[1, 2, 6]).at(2, 3))?;
    pd.beat(&Shape::new(20, "k", "l").on(&[6, 1, 2]).of(30).at(3, 1))?;
    pd.beat(&Shape::new(21, "l", "m").on(&[7, 1, 2]).of(20).at(3, 1))?;
    pd.beat(&Shape::new(22, "m", "n").on(&[4, 1, 2]).of(1).at(3, 1))?;
    pd.remove_store(4)?;
    pd.now.uptime += 25_000;
    pd.store_beats(&[1, 2, 4, 6, 7])?;
    let stats = proto::pdpb::StoreStats { store_id: 5, is_busy: true, ..Default::default() };
    pd.done(proto::pdpb::StoreHeartbeatRequest { stats: Some(stats), ..Default::default() })?;
    pd.beat(&eight(&[1, 2]))?;
    pd.wait(1000)?;
    let orders = pd.take_orders();
    let Some(order) = orders.iter().find(|order| order.region_id == 8) else {
        return Err(Failure::broke(
            "a missing replica was not made up",
            "region 8 has two of three peers, and stores 6 and 7 are fit",
            "nothing was ordered for it",
        ));
    };
    let change = order.change_peer.as_ref().and_then(|change| change.peer);
    expect_eq(
        || format!("the store of the new peer ({})", told(order)),
        &7,
        &change.unwrap_or_default().store_id,
    )
}
