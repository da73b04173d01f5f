//! Disks that are slow, and disks that fail.

use sim::cluster::faults::{Chaos, Cut, Fault, Who};
use sim::cluster::protocol::Cluster;
use sim::cluster::setup::{MS, SECOND};
use sim::coverage;
use sim::disk::DiskCall;
use sim::failure::{Failure, Outcome};
use sim::harness::{Run, Test};
use sim::history::{Op, OpResult};
use sim::scenario::Scenario;

use super::{expect, world};
use crate::config::StoreConfig;
use crate::dialect::dialect;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("disks.rs":
        a_slow_disk_holds_nobody_up,
        what_a_leader_alone_has_is_not_done,
        a_store_whose_disk_fails_stops_and_says_so,
        failing_disks_lose_nothing,
    )
}

fn key(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// One follower's disk takes two hundred times as long. The others are a majority: clients do not notice.
///
/// Hint: nothing that a leader does waits for a single follower.
fn a_slow_disk_holds_nobody_up(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = world(run, 3)?;
    let leader = world.await_leader(5 * SECOND)?;
    expect(&mut world, leader, Op::Put(key("k"), key("0")), &OpResult::Written)?;
    let slow = (1..=3).find(|&node| node != leader).unwrap_or(1);
    world.fault(Fault::SlowDisk(Who::Node(slow), 200), None)?;
    for number in 1..=10 {
        let begun = world.now();
        let value = format!("{number}").into_bytes();
        expect(&mut world, leader, Op::Put(key("k"), value), &OpResult::Written)?;
        let took = world.now() - begun;
        if took > 100 * MS {
            return Err(Failure::broke(
                "a slow follower holds everybody up",
                format!(
                    "the disk of n{slow} is slow; n{leader} and the third store are a majority"
                ),
                format!("write number {number} took {} ms", took / MS),
            ));
        }
    }
    world.finish()
}

/// The leader's own disk is the slow one. Its followers have the entry before it has: it is done when they have it, and the leader may
/// lose its power without losing it.
///
/// Hint: a leader counts its own copy like any other, when it is durable.
fn what_a_leader_alone_has_is_not_done(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = world(run, 3)?;
    let leader = world.await_leader(5 * SECOND)?;
    expect(&mut world, leader, Op::Put(key("k"), key("0")), &OpResult::Written)?;
    let cut = world.fault(Fault::Isolate(Who::Node(leader)), None)?;
    // Its disk is fast, and it is alone.
    let alone = world.begin(2, Op::Put(key("k"), key("1")), leader);
    world.run_for(SECOND / 5)?;
    if let Some(end) = world.ended(alone).filter(|end| end.result().is_some()) {
        return Err(Failure::broke(
            "a client was answered for what one store has",
            format!("n{leader} is cut off from the two others"),
            format!("200 ms later client 2 was told: {end:?}"),
        ));
    }
    world.fault(Fault::Crash(Who::Node(leader), Cut::Power), Some(2 * SECOND))?;
    world.run_for(3 * SECOND)?;
    world.heal(cut)?;
    world.finish()
}

/// A write or a sync fails. Nobody knows then what is on the disk: the store stops, cleanly, and says so; nothing is promised on that
/// ground. It comes back on a new disk with what was synced.
///
/// Hint: pass every error on with `?`; after a failed sync a second one proves nothing.
fn a_store_whose_disk_fails_stops_and_says_so(run: &mut Run<'_, Cluster>) -> Outcome {
    let call = if run.rng.chance(50) { DiskCall::Sync } else { DiskCall::Write };
    let nth = 1 + run.rng.below(4) as u64;
    let mut world = world(run, 3)?;
    let leader = world.await_leader(5 * SECOND)?;
    expect(&mut world, leader, Op::Put(key("k"), key("0")), &OpResult::Written)?;
    let fault = Fault::DiskError(Who::Node(leader), "raft.wal".into(), call, nth);
    world.fault(fault, Some(10 * SECOND))?;
    for number in 1..=8u64 {
        let value = format!("{number}").into_bytes();
        world.begin(10 + number, Op::Put(format!("k{number}").into_bytes(), value), leader);
        world.run_for(SECOND / 20)?;
    }
    world.run_for(3 * SECOND)?;
    let stopped = world.coverage().count(coverage::STOPS);
    if stopped == 0 {
        return Err(Failure::broke(
            "a store whose disk has failed goes on",
            format!("{call:?} number {nth} on raft.wal of n{leader} failed (EIO)"),
            "it never said that it stops",
        ));
    }
    world.finish()
}

/// Disks fail, one after the other, while clients go on and stores crash.
fn failing_disks_lose_nothing(run: &mut Run<'_, Cluster>) -> Outcome {
    let chaos = Chaos { disk_errors: 2, crashes: 1, ..Chaos::NONE };
    Scenario::new(StoreConfig::new(3).setup(), dialect)
        .clients(3, 25)
        .chaos(chaos)
        .length(10 * SECOND)
        .run(run)
}
