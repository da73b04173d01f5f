//! Several members are to change.

use proto::eraftpb::MessageType;
use raft_suite::members::{Change, add, at_once, conf_state, leave, remove};
use raft_suite::protocol::RaftNode;
use raft_suite::world::{Lab, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{before_the_move, expect_changes, the_move};
use crate::stage3a::scene::{expect_works, leader, led_group, stranger};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("propose.rs":
        several_changes_stand_in_one_entry,
        a_group_moves_in_one_change,
        the_next_change_waits_for_the_end,
        nobody_proposes_to_leave_what_is_not_there,
        both_halves_survive_a_crash,
    )
}

/// However many members it changes, it is one entry, of a type of its own.
///
/// Hint: `raw.propose_entry` with `EntryType::EntryConfChangeV2`.
fn several_changes_stand_in_one_entry(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, &[2, 3])?;
    let taken = node.propose_change(&the_move())?;
    let why = "n1 leads {n1 n2 n3}, has applied everything, and was asked to go to {n1 n4 n5}";
    expect::that(taken.is_ok(), "a good change is refused", why, format!("{taken:?}"))?;
    expect_changes(&mut node, &[Change::Many(the_move())], why)
}

/// A group goes from {n1 n2 n3} to {n1 n4 n5} in one change, and works all the while: in between with two of each half,
/// and with the new half alone when the old one is left.
///
/// Hint: this is the whole of it; the smaller tests say which part is wrong.
fn a_group_moves_in_one_change(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = before_the_move(&lab)?;
    net.change(1, &the_move())?;
    net.beats(1)?;
    let why = "n1 leads from {n1 n2 n3} to {n1 n4 n5}";
    let both = raft_suite::members::changed_at_once(&conf_state([1, 2, 3], []), &the_move());
    for id in 1..=5 {
        net.expect_conf(id, &both.clone().unwrap_or_default(), why)?;
    }
    net.isolate(3);
    net.isolate(5);
    expect_works(&mut net, 1, &format!("{why}; n3 and n5 are cut off, n2 and n4 are up"))?;
    net.heal();
    net.change(1, &leave())?;
    net.beats(1)?;
    let why = "n1 led from {n1 n2 n3} to {n1 n4 n5}, and was told to leave the old half";
    for id in [1, 4, 5] {
        net.expect_members(id, &[1, 4, 5], &[], why)?;
    }
    net.destroy(2);
    net.destroy(3);
    net.isolate(1);
    net.campaign(5)?;
    expect_works(&mut net, 5, &format!("{why}; n2 and n3 are gone, n1 is cut off"))
}

/// One change at a time: until it is applied, and until the joint configuration is left, there is no other. Then there
/// is.
///
/// Hint: `pending_conf_index` as in stage 3A; `conf::changed` knows what may follow.
fn the_next_change_waits_for_the_end(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = before_the_move(&lab)?;
    stranger(&mut net, 6)?;
    let others = [Change::One(add(6)), Change::Many(at_once([add(6), remove(4)]))];
    let moving = Change::Many(the_move());
    net.ignore(MessageType::MsgAppend);
    net.change(1, &the_move())?;
    let why = "n1 leads {n1 n2 n3}; the move to {n1 n4 n5} is in its log, and nobody else has it";
    for other in others.iter().chain([&Change::Many(leave())]) {
        let _ = net.try_change(1, other.clone())?;
        expect_changes(net.node(1)?, std::slice::from_ref(&moving), why)?;
    }
    net.heal();
    net.beats(1)?;
    let why = "n1 leads from {n1 n2 n3} to {n1 n4 n5}";
    for other in &others {
        let _ = net.try_change(1, other.clone())?;
        expect_changes(net.node(1)?, std::slice::from_ref(&moving), why)?;
    }
    net.change(1, &leave())?;
    net.beats(1)?;
    net.change(1, others[0].clone())?;
    net.beats(1)?;
    let why = "n1 left the old half, and was asked to add n6";
    net.expect_members(1, &[1, 4, 5, 6], &[], why)
}

/// A leader of one group alone does not write into the log that the other half is left.
///
/// Hint: a change that `conf::changed` refuses is not proposed.
fn nobody_proposes_to_leave_what_is_not_there(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    let _ = net.try_change(1, &leave())?;
    net.beats(1)?;
    let why = "n1 leads {n1 n2 n3}, and was asked to leave a joint configuration";
    expect_changes(net.node(1)?, &[], why)?;
    net.expect_members(1, &[1, 2, 3], &[], why)?;
    expect_works(&mut net, 1, why)
}

/// Who the members are is durable, both halves of them: a node that was killed counts by both when it is back.
///
/// Hint: `JointNode::new` starts from what the storage tells, and `Joint::of` understands it.
fn both_halves_survive_a_crash(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = before_the_move(&lab)?;
    net.change(1, &the_move())?;
    net.beats(1)?;
    for id in 1..=5 {
        net.crash(id)?;
    }
    net.isolate(2);
    net.isolate(3);
    net.campaign(4)?;
    let why = "all were killed on the way from {n1 n2 n3} to {n1 n4 n5}; n2 and n3 are cut off, and n4 campaigned";
    let leads = net.status(4)?.role == raft_suite::protocol::Role::Leader;
    expect::that(!leads, "the new half alone elects a leader", why, "n4 leads")?;
    net.heal();
    net.campaign(4)?;
    net.beats(4)?;
    expect_works(&mut net, 4, "n2 and n3 are back, and n4 campaigned again")?;
    net.change(4, &leave())?;
    net.beats(4)?;
    net.expect_members(4, &[1, 4, 5], &[], "then the old half was left")
}
