//! Logs that are cut while followers lag, and snapshots on bad roads.

use sim::cluster::faults::{Chaos, Cut, Fault, Who};
use sim::cluster::protocol::{Channel, Cluster};
use sim::cluster::setup::{MS, SECOND, Weather};
use sim::coverage;
use sim::failure::{Failure, Outcome};
use sim::harness::{Run, Test};
use sim::history::{Op, OpResult};
use sim::scenario::Scenario;
use sim::world::{CallEnd, World};

use super::snapshots::{WRITES, await_cut, config, expect_caught_up, leave_behind, put};
use crate::config::StoreConfig;
use crate::dialect::dialect;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("gc.rs":
        a_dead_follower_fills_no_disk,
        a_cut_of_the_log_takes_nobodys_place,
        a_cut_log_survives_the_end_of_all_stores,
        a_snapshot_brings_all_data,
        a_slow_follower_is_not_flooded_with_snapshots,
        a_late_write_of_the_log_takes_nothing_back,
        snapshots_come_twice_and_late,
        a_new_leader_sends_what_the_old_one_began,
        a_receiver_crashes_again_and_again,
        crashes_with_snapshots,
        storms_with_snapshots,
        partitions_and_crashes_with_snapshots,
    )
}

/// A follower is dead for long. The others cut their logs anyway: at twice the limit it is given up, and will get a snapshot.
///
/// Hint: what does `slowest_match` say about a dead follower, and for how long do you care?
fn a_dead_follower_fills_no_disk(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = World::new(run, config(3, true).setup(), dialect())?;
    let leader = world.await_leader(5 * SECOND)?;
    put(&mut world, leader, 0)?;
    let dead = (1..=3).find(|&node| node != leader).unwrap_or(1);
    world.fault(Fault::Crash(Who::Node(dead), Cut::Power), Some(60 * SECOND))?;
    for number in 1..120 {
        put(&mut world, leader, number)?;
    }
    world.run_for(3 * SECOND)?;
    for node in (1..=3).filter(|&node| node != dead) {
        let Some(view) = world.view(node, 1) else { continue };
        let kept = view.last - view.truncated.0;
        if kept > 40 {
            return Err(Failure::broke(
                "a dead follower fills everybody's disks",
                format!(
                    "n{dead} is down; the limit is 8 entries, and twice that is the end of patience"
                ),
                format!("after 120 writes n{node} keeps {kept} entries"),
            ));
        }
    }
    world.finish()
}

/// Many clients write, roads and the disk of the data are slow, and the log is cut all the time. Nobody is deposed, so each write is
/// done, and its client is told so. One who heard that another's entry took its place would write again, over whatever came between.
///
/// Hint: `Peer::answer` takes whoever waits before an entry for one who has lost its place. Who may be answered while the proposer
/// of a cut still waits?
fn a_cut_of_the_log_takes_nobodys_place(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut setup = config(3, true).setup();
    setup.times.apply = (20 * MS, 40 * MS);
    let mut world = World::new(run, setup, dialect())?;
    let leader = world.await_leader(5 * SECOND)?;
    let mut calls = Vec::new();
    for _ in 0..10 {
        // What gathers on the leader meanwhile is committed at once, with a cut in the middle of it.
        let away = world.fault(Fault::Isolate(Who::Node(leader)), None)?;
        for write in 0..60 {
            if write == 20 {
                world.heal(away)?;
            }
            let client = 1 + calls.len() as u64;
            let (key, value) = (format!("k{client}"), format!("{client}"));
            calls.push(world.begin(client, Op::Put(key.into(), value.into()), leader));
            world.run_for(4 * MS)?;
        }
    }
    world.run_for(SECOND)?;
    for (client, call) in (1u64..).zip(calls) {
        let end = world.ended(call);
        if end.and_then(CallEnd::result) != Some(&OpResult::Written) {
            return Err(Failure::broke(
                "the client of a write that is done was told something else",
                format!(
                    "n{leader} leads, and nobody else ever did; client {client} wrote k{client}"
                ),
                format!("the answer was {end:?}"),
            ));
        }
    }
    world.finish()
}

/// Logs are cut, and the power of all stores goes. What the logs do not have any more is in the data, durably (R4).
///
/// Hint: the log is cut behind what a *synced* commit of the data holds.
fn a_cut_log_survives_the_end_of_all_stores(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = World::new(run, config(3, true).setup(), dialect())?;
    for round in 0..3u32 {
        let leader = world.await_leader(10 * SECOND)?;
        for number in 0..25 {
            put(&mut world, leader, 100 * round + number)?;
        }
        let pause = u64::try_from(world.rng().below(1_500)).unwrap_or_default();
        world.run_for(pause * MS)?;
        for node in 1..=3 {
            world.fault(Fault::Crash(Who::Node(node), Cut::Power), Some(SECOND / 2))?;
        }
        world.run_for(SECOND)?;
    }
    world.finish()
}

/// A follower that missed everything has, after its snapshot, every key: those that were set, and none of those that were removed.
fn a_snapshot_brings_all_data(run: &mut Run<'_, Cluster>) -> Outcome {
    let at_once = run.seed.is_multiple_of(2);
    let mut world = World::new(run, config(3, at_once).setup(), dialect())?;
    let (follower, away, leader) = leave_behind(&mut world)?;
    let end = world.call(1, Op::Delete(b"k3".to_vec()), leader)?;
    if end.result() != Some(&OpResult::Written) {
        return Err(Failure::broke(
            "a calm delete failed",
            "client 1 deleted k3",
            format!("{end:?}"),
        ));
    }
    world.heal(away)?;
    expect_caught_up(&mut world, follower, leader)?;
    // It alone has to lead and to answer for all of it.
    let other = (1..=3).find(|&node| node != follower && node != leader).unwrap_or(1);
    let cut = world.fault(Fault::Isolate(Who::Node(leader)), None)?;
    world.fault(Fault::Pause(Who::Node(other)), Some(SECOND / 2))?;
    world.run_for(2 * SECOND)?;
    world.heal(cut)?;
    world.finish()
}

/// The way to a follower is slow, and writes go on. It is sent a snapshot when it needs one, and not one after the other: it would never
/// come to an end.
///
/// Hint: while a snapshot is on its way, send nothing else; when it has arrived, go on behind it.
fn a_slow_follower_is_not_flooded_with_snapshots(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = World::new(run, config(3, true).setup(), dialect())?;
    let (follower, away, _) = leave_behind(&mut world)?;
    for other in (1..=3).filter(|&node| node != follower) {
        world.fault(Fault::SlowLink(other, follower, 100 * MS), None)?;
    }
    let before = world.coverage().count(coverage::SNAPSHOTS);
    world.heal(away)?;
    // It comes back with a higher term, so that the leader may change.
    for number in 100..140u64 {
        let leader = world.leader(1).unwrap_or(1);
        world.begin(number, Op::Put(format!("l{number}").into(), vec![b'v'; 60]), leader);
        world.run_for(50 * MS)?;
    }
    let installed = world.coverage().count(coverage::SNAPSHOTS) - before;
    if installed > 20 {
        return Err(Failure::broke(
            "a follower is flooded with snapshots",
            format!("the way to n{follower} takes 100 ms, and forty writes came in two seconds"),
            format!("{installed} snapshots were installed meanwhile"),
        ));
    }
    let leader = world.await_leader(10 * SECOND)?;
    expect_caught_up(&mut world, follower, leader)?;
    world.finish()
}

/// A follower's disk is slow when an entry comes, and quick when a snapshot does: its data is in place before that old write of the log
/// is done. What the write was for is behind the follower by then, and it takes nothing back of what the snapshot brought.
///
/// Hint: up to where is a log durable whose beginning is a snapshot, whatever becomes of older writes?
fn a_late_write_of_the_log_takes_nothing_back(run: &mut Run<'_, Cluster>) -> Outcome {
    // Nobody campaigns while the follower is away.
    let mut setup = StoreConfig { election_tick: 200, ..config(3, true) }.setup();
    setup.times.log_write = (MS, 2 * MS);
    let mut world = World::new(run, setup, dialect())?;
    let leader = world.await_leader(60 * SECOND)?;
    put(&mut world, leader, 0)?;
    let follower = (1..=3).find(|&node| node != leader).unwrap_or(1);
    // Five to ten seconds for one write.
    let slow = world.fault(Fault::SlowDisk(Who::Node(follower), 5_000), None)?;
    put(&mut world, leader, 1)?;
    world.run_for(20 * MS)?;
    world.heal(slow)?;
    let away = world.fault(Fault::Isolate(Who::Node(follower)), None)?;
    for number in 2..30 {
        put(&mut world, leader, number)?;
    }
    await_cut(&mut world, leader, follower)?;
    world.heal(away)?;
    expect_caught_up(&mut world, follower, leader)?;
    world.run_for(8 * SECOND)?;
    world.finish()
}

/// Parts and announcements come twice, out of order, and seconds late. An old snapshot never takes anything back.
///
/// Hint: what is committed here already needs no snapshot.
fn snapshots_come_twice_and_late(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = World::new(run, config(3, true).setup(), dialect())?;
    let (follower, away, leader) = leave_behind(&mut world)?;
    let bad = Weather { loss: 5, duplicate: 50, reorder: 40, late: 2 * SECOND, ..Weather::CALM };
    let storm = world.fault(Fault::Weather(bad), None)?;
    world.heal(away)?;
    for number in 100..130u32 {
        world.begin(
            50 + u64::from(number),
            Op::Put(format!("l{number}").into(), b"v".to_vec()),
            leader,
        );
        world.run_for(50 * MS)?;
    }
    world.heal(storm)?;
    let leader = world.await_leader(10 * SECOND)?;
    if leader != follower {
        expect_caught_up(&mut world, follower, leader)?;
    }
    world.finish()
}

/// The leader is gone while its snapshot is on its way. Its successor sends one of its own, and the first one's parts do no harm.
fn a_new_leader_sends_what_the_old_one_began(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = World::new(run, config(3, false).setup(), dialect())?;
    let (follower, away, leader) = leave_behind(&mut world)?;
    world.fault(Fault::SlowLink(leader, follower, 300 * MS), None)?;
    world.heal(away)?;
    world.run_for(200 * MS)?;
    world.fault(Fault::Crash(Who::Node(leader), Cut::Power), Some(3 * SECOND))?;
    world.run_for(4 * SECOND)?;
    let now = world.await_leader(10 * SECOND)?;
    expect_caught_up(&mut world, follower, now)?;
    world.finish()
}

/// Whoever is to receive a snapshot crashes at every other step, and some of the parts are lost besides.
fn a_receiver_crashes_again_and_again(run: &mut Run<'_, Cluster>) -> Outcome {
    let at_once = run.seed.is_multiple_of(2);
    let mut world = World::new(run, config(3, at_once).setup(), dialect())?;
    let (follower, away, leader) = leave_behind(&mut world)?;
    world.fault(Fault::DropNext(leader, follower, Channel::Snapshot, 1), None)?;
    world.heal(away)?;
    for _ in 0..5 {
        let pause = u64::try_from(world.rng().below(400)).unwrap_or_default();
        world.run_for(pause * MS)?;
        world.fault(Fault::Crash(Who::Node(follower), Cut::Power), Some(100 * MS))?;
        world.run_for(150 * MS)?;
    }
    let leader = world.await_leader(10 * SECOND)?;
    expect_caught_up(&mut world, follower, leader)?;
    world.finish()
}

/// Stores crash, with logs that are cut all the time.
fn crashes_with_snapshots(run: &mut Run<'_, Cluster>) -> Outcome {
    chaos(run, 3, Chaos::CRASHES)
}

/// Messages are lost, doubled and late, with logs that are cut all the time.
fn storms_with_snapshots(run: &mut Run<'_, Cluster>) -> Outcome {
    chaos(run, 3, Chaos { storms: 1, slow: 1, one_way: 1, ..Chaos::NONE })
}

/// Five stores are cut off and crash, many clients write, logs are cut all the time.
fn partitions_and_crashes_with_snapshots(run: &mut Run<'_, Cluster>) -> Outcome {
    chaos(run, 5, Chaos { partitions: 2, crashes: 2, crash_points: 1, storms: 1, ..Chaos::NONE })
}

fn chaos(run: &mut Run<'_, Cluster>, stores: u64, chaos: Chaos) -> Outcome {
    let at_once = run.seed.is_multiple_of(2);
    Scenario::new(config(stores, at_once).setup(), dialect)
        .clients(4, 30)
        .mix(WRITES)
        .chaos(chaos)
        .length(10 * SECOND)
        .run(run)
}
