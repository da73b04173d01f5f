//! Logs that are cut at every opportunity, so that who is away for a moment needs a snapshot.

use sim::cluster::faults::{Chaos, Cut, Fault, Who};
use sim::cluster::plan::Mix;
use sim::cluster::protocol::{Channel, Cluster};
use sim::cluster::setup::SECOND;
use sim::failure::{Failure, Outcome};
use sim::harness::{Run, Test};
use sim::history::{Op, OpResult};
use sim::scenario::Scenario;
use sim::world::World;

use crate::config::StoreConfig;
use crate::dialect::dialect;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("snapshots.rs":
        logs_are_cut,
        who_was_away_for_too_long_gets_a_snapshot,
        a_lost_snapshot_is_sent_again,
        a_snapshot_in_pieces_survives_crashes,
        a_power_cut_at_any_point_of_a_snapshot_loses_nothing,
        everything_at_once_with_snapshots,
    )
}

/// Stores that cut their logs after a few entries, and install snapshots at once or in pieces.
pub(super) fn config(count: u64, at_once: bool) -> StoreConfig {
    let install_at_once = if at_once { 1 << 20 } else { 0 };
    StoreConfig { gc_entries: 8, install_at_once, ..StoreConfig::new(count) }
}

pub(super) const WRITES: Mix = Mix { gets: 2, puts: 8, cas: 2, deletes: 1, value: 60, ..Mix::KV };

pub(super) fn put(world: &mut World<'_, '_>, leader: u64, number: u32) -> Outcome {
    let (key, value) = (format!("k{}", number % 20), format!("value {number}"));
    let end = world.call(1, Op::Put(key.into(), value.into()), leader)?;
    if end.result() == Some(&OpResult::Written) {
        return Ok(());
    }
    Err(Failure::broke(
        "a write in a calm world failed",
        format!("client 1 asked n{leader}, the leader, for write number {number}"),
        format!("the answer was {end:?}"),
    ))
}

/// Cuts off a follower until the others have cut their logs behind what it has. Returns the follower, and the fault that
/// keeps it away.
pub(super) fn leave_behind(world: &mut World<'_, '_>) -> Outcome<(u64, usize, u64)> {
    let leader = world.await_leader(5 * SECOND)?;
    put(world, leader, 0)?;
    let follower = (1..=3).find(|&node| node != leader).unwrap_or(1);
    let away = world.fault(Fault::Isolate(Who::Node(follower)), None)?;
    for number in 1..60 {
        put(world, leader, number)?;
    }
    await_cut(world, leader, follower)?;
    Ok((follower, away, leader))
}

/// Waits until the leader has cut off entries that the follower lacks. The limit is 8, and far more have been written.
pub(super) fn await_cut(world: &mut World<'_, '_>, leader: u64, follower: u64) -> Outcome {
    let has = world.view(follower, 1).map_or(0, |view| view.last);
    let cut =
        |world: &World<'_, '_>| world.view(leader, 1).is_some_and(|view| view.truncated.0 > has);
    if world.run_until(10 * SECOND, cut)? {
        return Ok(());
    }
    let applied = world.view(leader, 1).map_or(0, |view| view.applied);
    Err(Failure::broke(
        "the log is never cut",
        format!(
            "the limit is 8 entries, n{leader} has applied up to {applied}, and n{follower}, which is away, has {has}"
        ),
        "ten seconds after the last write the leader still keeps everything behind that",
    ))
}

pub(super) fn expect_caught_up(world: &mut World<'_, '_>, follower: u64, leader: u64) -> Outcome {
    let caught_up = |world: &World<'_, '_>| {
        let applied = |node| world.view(node, 1).map_or(0, |view| view.applied);
        applied(follower) > 0 && applied(follower) >= applied(leader)
    };
    if world.run_until(10 * SECOND, caught_up)? {
        return Ok(());
    }
    let applied = |node| world.view(node, 1).map_or(0, |view| view.applied);
    Err(Failure::broke(
        "a follower that lacks compacted entries never catches up",
        format!("the leader n{leader} has applied {}", applied(leader)),
        format!("ten seconds after it came back, n{follower} has applied {}", applied(follower)),
    ))
}

/// A log must not grow for ever: when enough is applied, durably, its front goes.
///
/// Hint: the leader proposes `CompactLog`; whoever applies it moves the truncated state, and removes the entries when
/// that is durable (R4).
fn logs_are_cut(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = World::new(run, config(3, true).setup(), dialect())?;
    let leader = world.await_leader(5 * SECOND)?;
    for number in 0..100 {
        put(&mut world, leader, number)?;
    }
    world.run_for(5 * SECOND)?;
    for node in 1..=3 {
        let Some(view) = world.view(node, 1) else { continue };
        let kept = view.last - view.truncated.0;
        if kept > 24 {
            return Err(Failure::broke(
                "a log grows for ever",
                "the limit is 8 entries; three times as many are plenty in a calm world",
                format!("n{node} keeps {kept}, from {} to {}", view.truncated.0 + 1, view.last),
            ));
        }
    }
    world.finish()
}

/// Who needs entries that nobody has any more gets the data itself (paper, section 7).
fn who_was_away_for_too_long_gets_a_snapshot(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = World::new(run, config(3, true).setup(), dialect())?;
    let (follower, away, leader) = leave_behind(&mut world)?;
    world.heal(away)?;
    expect_caught_up(&mut world, follower, leader)?;
    world.finish()
}

/// A snapshot that is lost on its way is sent again, soon.
fn a_lost_snapshot_is_sent_again(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = World::new(run, config(3, true).setup(), dialect())?;
    let (follower, away, leader) = leave_behind(&mut world)?;
    for other in (1..=3).filter(|&node| node != follower) {
        world.fault(Fault::DropNext(other, follower, Channel::Snapshot, 3), None)?;
    }
    world.heal(away)?;
    expect_caught_up(&mut world, follower, leader)?;
    world.finish()
}

/// A snapshot that is too large for one transaction is installed in pieces. A crash in the middle is finished at the next
/// start, and nobody ever sees half of it.
fn a_snapshot_in_pieces_survives_crashes(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = World::new(run, config(3, false).setup(), dialect())?;
    let (follower, away, leader) = leave_behind(&mut world)?;
    for nth in 1..4 {
        let point = sim::cluster::faults::Point::AfterSync;
        world.fault(Fault::CrashAt(Who::Node(follower), point, nth, Cut::Power), Some(SECOND))?;
    }
    world.heal(away)?;
    world.run_for(3 * SECOND)?;
    expect_caught_up(&mut world, follower, leader)?;
    world.finish()
}

/// The power goes between any two things that a store does while logs are cut and snapshots are on their way.
fn a_power_cut_at_any_point_of_a_snapshot_loses_nothing(run: &mut Run<'_, Cluster>) -> Outcome {
    let at_once = run.seed.is_multiple_of(2);
    Scenario::new(config(3, at_once).setup(), dialect)
        .clients(2, 25)
        .mix(WRITES)
        .length(3 * SECOND)
        .sweep(run, 6)
}

/// Everything at once, with logs that are cut all the time.
fn everything_at_once_with_snapshots(run: &mut Run<'_, Cluster>) -> Outcome {
    let at_once = run.seed.is_multiple_of(2);
    Scenario::new(config(3, at_once).setup(), dialect)
        .clients(4, 40)
        .mix(WRITES)
        .chaos(Chaos::ALL)
        .length(15 * SECOND)
        .run(run)
}
