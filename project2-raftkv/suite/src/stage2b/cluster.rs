//! Three and five stores, one region, and everything that can go wrong around them.

use sim::cluster::faults::{Chaos, Cut, Fault, Who};
use sim::cluster::plan::Mix;
use sim::cluster::protocol::Cluster;
use sim::cluster::setup::SECOND;
use sim::failure::Outcome;
use sim::harness::{Run, Test};
use sim::history::{Op, OpResult};
use sim::scenario::Scenario;
use sim::world::World;

use super::{expect, world};
use crate::config::StoreConfig;
use crate::dialect::dialect;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("cluster.rs":
        a_group_of_one_serves,
        three_stores_serve,
        what_was_acknowledged_survives_the_end_of_all_stores,
        a_power_cut_at_any_point_loses_nothing,
        a_power_cut_at_any_point_of_a_lone_store_loses_nothing,
        a_long_tail_that_lost_is_gone_after_a_crash,
        crashes_lose_nothing,
        the_network_may_do_what_it_likes,
        everything_at_once,
        the_same_seed_gives_the_same_run,
    )
}

/// A group of one needs nobody's leave, but its own disk's: entries are committed when they are durable here.
///
/// Hint: with one voter a Ready's entries are committed by `on_persisted`, not before.
fn a_group_of_one_serves(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = world(run, 1)?;
    world.await_leader(5 * SECOND)?;
    let (key, value) = (b"a".to_vec(), b"1".to_vec());
    expect(&mut world, 1, Op::Get(key.clone()), &OpResult::Value(None))?;
    expect(&mut world, 1, Op::Put(key.clone(), value.clone()), &OpResult::Written)?;
    expect(&mut world, 1, Op::Get(key), &OpResult::Value(Some(value)))?;
    world.finish()
}

/// What is written through the leader is read through the leader, and all stores come to the same data.
fn three_stores_serve(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(StoreConfig::new(3).setup(), dialect).clients(3, 20).length(3 * SECOND).run(run)
}

/// A client that has its answer need not care what becomes of the stores: a majority has it on disk.
///
/// Hint: what is applied may be lost from the data, and is found again by way of the log and the commit index (R1, R2).
fn what_was_acknowledged_survives_the_end_of_all_stores(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = world(run, 3)?;
    for round in 0..3u8 {
        let leader = world.await_leader(10 * SECOND)?;
        let (key, value) = (vec![b'k', b'0' + round], vec![b'v', b'0' + round]);
        expect(&mut world, leader, Op::Put(key.clone(), value.clone()), &OpResult::Written)?;
        let all = [1, 2, 3].map(|node| Fault::Crash(Who::Node(node), Cut::Power));
        for fault in all {
            world.fault(fault, Some(SECOND / 2))?;
        }
        world.run_for(SECOND)?;
        let leader = world.await_leader(10 * SECOND)?;
        expect(&mut world, leader, Op::Get(key), &OpResult::Value(Some(value)))?;
    }
    world.finish()
}

/// The power goes between any two things that a store does: nothing that was promised may be lost, and nothing that was
/// refused may happen.
fn a_power_cut_at_any_point_loses_nothing(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(StoreConfig::new(3).setup(), dialect)
        .clients(2, 6)
        .length(2 * SECOND)
        .sweep(run, 6)
}

/// The same for a group of one: nobody else remembers.
fn a_power_cut_at_any_point_of_a_lone_store_loses_nothing(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(StoreConfig::new(1).setup(), dialect)
        .clients(2, 6)
        .length(2 * SECOND)
        .sweep(run, 6)
}

/// A leader that is cut off collects entries that nobody else has. When it comes back, fewer entries of the new leader
/// take their place; then its power goes. Its log must end where the new leader's does: with a tail of an old term it
/// would vote for logs that lack what it has acknowledged.
///
/// Hint: what does the state on disk say about the last index, and what becomes of the entries behind it?
fn a_long_tail_that_lost_is_gone_after_a_crash(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = world(run, 3)?;
    let old = world.await_leader(5 * SECOND)?;
    expect(&mut world, old, Op::Put(b"a".to_vec(), b"1".to_vec()), &OpResult::Written)?;
    let away = world.fault(Fault::Isolate(Who::Node(old)), None)?;
    for number in 0..12u8 {
        // A key each: writes to one key go one after the other.
        let op = Op::Put(vec![b'l', b'a' + number], b"lost".to_vec());
        world.begin(10 + u64::from(number), op, old);
    }
    let others = |world: &World<'_, '_>| {
        (1..=3)
            .any(|node| node != old && world.view(node, 1).is_some_and(|view| view.leader == node))
    };
    world.run_until(5 * SECOND, others)?;
    world.run_for(SECOND / 5)?;
    world.heal(away)?;
    let replaced = |world: &World<'_, '_>| {
        let end = |node| world.view(node, 1).map(|view| (view.last, view.persisted));
        (1..=3).any(|node| node != old && end(node) == end(old))
    };
    world.run_until(5 * SECOND, replaced)?;
    world.fault(Fault::Crash(Who::Node(old), Cut::Power), Some(SECOND / 2))?;
    world.run_for(SECOND)?;
    world.finish()
}

/// Stores crash, and come back with what was synced.
fn crashes_lose_nothing(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(StoreConfig::new(3).setup(), dialect)
        .clients(3, 25)
        .chaos(Chaos::CRASHES)
        .length(10 * SECOND)
        .run(run)
}

/// Messages are lost, doubled, late; links are cut in one direction or both.
fn the_network_may_do_what_it_likes(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(StoreConfig::new(3).setup(), dialect)
        .clients(3, 25)
        .chaos(Chaos::NETWORK)
        .length(10 * SECOND)
        .run(run)
}

/// Five stores, crashes, cuts, storms, slow and failing disks, pauses.
fn everything_at_once(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(StoreConfig::new(5).setup(), dialect)
        .clients(4, 30)
        .mix(Mix { scans: 2, ..Mix::KV })
        .chaos(Chaos::ALL)
        .length(15 * SECOND)
        .run(run)
}

/// A store takes its time and its luck from what it is given, and from nowhere else.
fn the_same_seed_gives_the_same_run(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(StoreConfig::new(3).setup(), dialect)
        .clients(2, 10)
        .chaos(Chaos::CRASHES)
        .length(5 * SECOND)
        .expect_deterministic(run)
}
