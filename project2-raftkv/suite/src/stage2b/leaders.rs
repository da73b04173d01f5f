//! Leaders that are cut off, deposed, or heard by half of the others.

use sim::cluster::dialect::Answer;
use sim::cluster::faults::{Chaos, Cut, Fault, Who};
use sim::cluster::plan::Mix;
use sim::cluster::protocol::Cluster;
use sim::cluster::setup::SECOND;
use sim::failure::{Failure, Outcome};
use sim::harness::{Run, Test};
use sim::history::{Op, OpResult};
use sim::scenario::Scenario;
use sim::world::{CallEnd, World};

use super::{expect, world};
use crate::config::StoreConfig;
use crate::dialect::dialect;

pub(super) fn tests() -> Vec<Test<Cluster>> {
    sim::tests!("leaders.rs":
        many_clients_are_served_at_once,
        a_minority_serves_nobody,
        a_deposed_leader_serves_no_read,
        every_write_is_answered_when_leaders_change,
        a_leader_that_is_not_heard_is_replaced,
        a_leader_that_does_not_hear_serves_nobody,
        partitions_come_and_go,
        links_fail_in_one_direction,
        partitions_and_crashes_together,
    )
}

fn key(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}

/// Who leads among the others, once somebody does.
fn next_leader(world: &mut World<'_, '_>, old: u64) -> Outcome<u64> {
    let other = |world: &World<'_, '_>| world.leader(1).filter(|&leader| leader != old);
    if world.run_until(10 * SECOND, |world| other(world).is_some())? {
        return Ok(other(world).unwrap_or_default());
    }
    Err(Failure::broke(
        "a leader that is cut off is not replaced",
        format!("n{old} led, and a majority cannot hear it"),
        "ten seconds later none of the others leads",
    ))
}

/// Ten clients at once, five stores, nothing goes wrong: every write is done, and read by all.
fn many_clients_are_served_at_once(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(StoreConfig::new(5).setup(), dialect)
        .clients(10, 10)
        .mix(Mix { keys: 4, ..Mix::KV })
        .length(2 * SECOND)
        .run(run)
}

/// A leader that is cut off with one follower can neither write nor read for anybody; the other three go on, and what they did is what
/// counts when the cut is healed.
///
/// Hint: an answer needs an entry that is applied, and an entry is applied when a majority has it.
fn a_minority_serves_nobody(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = world(run, 5)?;
    let old = world.await_leader(5 * SECOND)?;
    expect(&mut world, old, Op::Put(key("k"), key("1")), &OpResult::Written)?;
    let with = (1..=5).find(|&node| node != old).unwrap_or(1);
    let rest: Vec<u64> = (1..=5).filter(|&node| node != old && node != with).collect();
    let cut = world.fault(Fault::Partition(vec![vec![old, with], rest]), None)?;
    let lost = world.begin(2, Op::Put(key("k"), key("lost")), old);
    let leader = next_leader(&mut world, old)?;
    expect(&mut world, leader, Op::Put(key("k"), key("2")), &OpResult::Written)?;
    world.run_for(3 * SECOND)?;
    if let Some(end) = world.ended(lost)
        && end.result().is_some()
    {
        return Err(Failure::broke(
            "a minority has served a write",
            format!("n{old} and n{with} are cut off from the three others"),
            format!("client 2 was told: {end:?}"),
        ));
    }
    world.heal(cut)?;
    world.run_for(2 * SECOND)?;
    let leader = world.await_leader(5 * SECOND)?;
    expect(&mut world, leader, Op::Get(key("k")), &OpResult::Value(Some(key("2"))))?;
    world.finish()
}

/// A leader was cut off, and another has been elected and has written. The old one does not know. Whoever asks it must not be given what
/// it has: that is the past (thesis, 6.4).
///
/// Hint: a read needs a majority's answer to a heartbeat that was sent after the read came.
fn a_deposed_leader_serves_no_read(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = world(run, 3)?;
    let old = world.await_leader(5 * SECOND)?;
    expect(&mut world, old, Op::Put(key("k"), key("1")), &OpResult::Written)?;
    let cut = world.fault(Fault::Isolate(Who::Node(old)), None)?;
    let leader = next_leader(&mut world, old)?;
    expect(&mut world, leader, Op::Put(key("k"), key("2")), &OpResult::Written)?;
    let end = world.call(2, Op::Get(key("k")), old)?;
    if let Some(seen) = end.result() {
        return Err(Failure::broke(
            "a deposed leader has served a read",
            format!("n{leader} was elected, and has set k to 2; that is done"),
            format!("afterwards n{old}, which is cut off, answered a read of k with {seen}"),
        ));
    }
    world.heal(cut)?;
    world.finish()
}

/// Clients wait at a leader that is cut off. When it comes back, each gets exactly one answer, in time: done, or stale if another
/// leader's entry stands in the place of its own, or that nobody knows. Nobody is forgotten.
///
/// Hint: `on_applied` decides about all proposals up to the index.
fn every_write_is_answered_when_leaders_change(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = world(run, 3)?;
    for round in 0..3u64 {
        let old = world.await_leader(10 * SECOND)?;
        let cut = world.fault(Fault::Isolate(Who::Node(old)), None)?;
        let calls: Vec<u64> = (0..5u64)
            .map(|number| {
                let name = format!("k{round}.{number}");
                world.begin(10 * round + number, Op::Put(name.into(), key("v")), old)
            })
            .collect();
        let leader = next_leader(&mut world, old)?;
        expect(&mut world, leader, Op::Put(key("new"), key("v")), &OpResult::Written)?;
        world.heal(cut)?;
        let all = |world: &World<'_, '_>| calls.iter().all(|call| world.ended(*call).is_some());
        world.run_until(3 * SECOND, all)?;
        for call in calls {
            let end = world.ended(call);
            if matches!(end, None | Some(CallEnd::TimedOut)) {
                return Err(Failure::broke(
                    "a client was forgotten when the leader changed",
                    format!(
                        "it asked n{old}, which was cut off, replaced by n{leader}, and came back"
                    ),
                    format!("it never had an answer: {end:?}"),
                ));
            }
            if let Some(CallEnd::Answered(Answer::Nonsense(what))) = end {
                return Err(Failure::broke("a client got an answer that is none", "a write", what));
            }
        }
    }
    world.finish()
}

/// A leader whose messages do not arrive is as good as dead: another is elected, and the old one follows when it hears of the new term.
fn a_leader_that_is_not_heard_is_replaced(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = world(run, 3)?;
    let old = world.await_leader(5 * SECOND)?;
    expect(&mut world, old, Op::Put(key("k"), key("1")), &OpResult::Written)?;
    let cut = world.fault(Fault::Half(Who::Node(old), true), None)?;
    let leader = next_leader(&mut world, old)?;
    expect(&mut world, leader, Op::Put(key("k"), key("2")), &OpResult::Written)?;
    world.heal(cut)?;
    world.finish()
}

/// A leader that is heard, and hears nobody, keeps the others from electing another; it must still serve nobody, since it cannot know
/// who has what. When it hears again, all goes on.
///
/// Hint: nothing is committed without acknowledgements, and no read is granted without answers.
fn a_leader_that_does_not_hear_serves_nobody(run: &mut Run<'_, Cluster>) -> Outcome {
    let mut world = world(run, 3)?;
    let leader = world.await_leader(5 * SECOND)?;
    expect(&mut world, leader, Op::Put(key("k"), key("1")), &OpResult::Written)?;
    let cut = world.fault(Fault::Half(Who::Node(leader), false), None)?;
    // What was on its way arrives.
    world.run_for(SECOND / 10)?;
    for (client, op) in [(2, Op::Put(key("k"), key("2"))), (3, Op::Get(key("k")))] {
        let text = op.to_string();
        let call = world.begin(client, op, leader);
        world.run_for(SECOND)?;
        if let Some(end) = world.ended(call).filter(|end| end.result().is_some()) {
            return Err(Failure::broke(
                "a leader that hears nobody has served a client",
                format!(
                    "n{leader} has heard nothing for more than 100 ms, then it was asked to {text}"
                ),
                format!("it answered {end:?}"),
            ));
        }
    }
    world.heal(cut)?;
    world.finish()
}

/// Groups and single stores are cut off, again and again, while clients go on.
fn partitions_come_and_go(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(StoreConfig::new(5).setup(), dialect)
        .clients(3, 25)
        .chaos(Chaos { partitions: 1, every: SECOND, lasts: 2 * SECOND, ..Chaos::NONE })
        .length(10 * SECOND)
        .run(run)
}

/// Links die in one direction, and stores that hear are not heard.
fn links_fail_in_one_direction(run: &mut Run<'_, Cluster>) -> Outcome {
    Scenario::new(StoreConfig::new(3).setup(), dialect)
        .clients(3, 25)
        .chaos(Chaos { one_way: 1, every: SECOND, lasts: 2 * SECOND, ..Chaos::NONE })
        .length(10 * SECOND)
        .run(run)
}

/// Stores crash while others are cut off; messages are lost and late. At the end all stores lose their power together.
fn partitions_and_crashes_together(run: &mut Run<'_, Cluster>) -> Outcome {
    let chaos = Chaos { partitions: 2, crashes: 2, crash_points: 2, storms: 1, ..Chaos::NONE };
    Scenario::new(StoreConfig::new(5).setup(), dialect)
        .clients(3, 25)
        .chaos(chaos)
        .length(10 * SECOND)
        .probe(|world| {
            for node in 1..=5 {
                world.fault(Fault::Crash(Who::Node(node), Cut::Power), Some(SECOND))?;
            }
            world.finish()
        })
        .run(run)
}
