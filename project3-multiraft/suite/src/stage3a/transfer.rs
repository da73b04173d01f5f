//! Wishes that are not granted, and leave no trace.

use proto::eraftpb::MessageType;
use raft_suite::mail::refused;
use raft_suite::members::{add, remove};
use raft_suite::protocol::{Input, RaftNode};
use raft_suite::world::{Lab, Setup, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{expect_open, lead, leader, told};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("transfer.rs":
        a_wish_for_a_stranger_leaves_no_trace,
        a_wish_for_the_leader_itself_leaves_no_trace,
        a_learner_cannot_take_over,
        a_removed_member_cannot_take_over,
        who_waits_for_a_snapshot_cannot_take_over,
        who_lacks_the_last_change_cannot_take_over,
    )
}

/// A leader that is asked to hand over to a node that is no member goes on as before, and takes proposals.
///
/// Hint: remember the transferee after everything was checked, not before.
fn a_wish_for_a_stranger_leaves_no_trace(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, &[2, 3])?;
    let sent = node.transfer(4)?;
    let why = "n1 leads {n1 n2 n3}, and was asked to hand over to n4";
    expect::none(&sent, MessageType::MsgTimeoutNow, why)?;
    expect_open(&mut node, why)
}

/// A leader that is asked to hand over to itself has nothing to do.
///
/// Hint: it leads already. What would it wait for?
fn a_wish_for_the_leader_itself_leaves_no_trace(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, &[2, 3])?;
    let sent = node.transfer(1)?;
    let why = "n1 leads {n1 n2 n3}, and was asked to hand over to n1";
    expect::none(&sent, MessageType::MsgTimeoutNow, why)?;
    expect_open(&mut node, why)
}

/// A learner has no vote, and cannot lead.
///
/// Hint: a member is not always a voter.
fn a_learner_cannot_take_over(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = lead(&lab, Setup::of(1, &[1, 2]).learners(&[3]), &[2, 3])?;
    let sent = node.transfer(3)?;
    let why = "n1 leads {n1 n2, learner n3}, and was asked to hand over to n3";
    expect::none(&sent, MessageType::MsgTimeoutNow, why)?;
    expect_open(&mut node, why)
}

/// A member that was removed is a stranger.
///
/// Hint: look at the members as they are now.
fn a_removed_member_cannot_take_over(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, &[2, 3])?;
    node.impose(&remove(3))?;
    let sent = node.transfer(3)?;
    let why = "n3 was removed from {n1 n2 n3}, and n1 was asked to hand over to it";
    expect::none(&sent, MessageType::MsgTimeoutNow, why)?;
    expect_open(&mut node, why)
}

/// A snapshot takes its time. Whoever waits for one would not catch up within an election timeout, and the leader would
/// refuse proposals for nothing.
///
/// Hint: the member's `Progress` says it.
fn who_waits_for_a_snapshot_cannot_take_over(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let setup = Setup::new(1, 3).snapshot(8, 1, b"state at 8").log(&[1, 1]).applied(10);
    let (mut node, mut puppets) = lead(&lab, setup, &[2])?;
    let _ = node.order(Input::MakeSnapshot(10, b"state at 10".to_vec().into()))?;
    // n3 has nothing: it says so until the snapshot comes, and is silent then.
    puppets.add(3);
    puppets.only(&[2]);
    let mut snapshot = false;
    for _ in 0..6 {
        let mut waiting = node.ticks(1)?;
        while !waiting.is_empty() {
            snapshot |= waiting.iter().any(|mail| mail.kind() == MessageType::MsgSnapshot);
            let mut answers = Vec::new();
            for mail in &waiting {
                let m = &mail.msg;
                answers.extend(puppets.answer(m));
                if m.to == 3 && m.msg_type() == MessageType::MsgAppend {
                    answers.push(refused(3, 1, m.term, m.index, (0, 0)));
                } else if m.to == 3 && m.msg_type() == MessageType::MsgHeartbeat {
                    let kind = MessageType::MsgHeartbeatResponse;
                    answers.push(raft_suite::mail::message(kind, 3, 1, m.term));
                }
            }
            waiting.clear();
            for answer in answers {
                waiting.extend(node.tell(answer)?);
            }
        }
    }
    let why = "n1 leads {n1 n2 n3}; n3 has nothing, and a snapshot is on its way to it";
    expect::that(
        snapshot,
        "no snapshot was sent",
        why,
        "n3 answered heartbeats and refused appends",
    )?;
    let sent = node.transfer(3)?;
    expect::none(&sent, MessageType::MsgTimeoutNow, why)?;
    expect_open(&mut node, why)
}

/// A member that has not the last change of members in its log might lead a group that it does not know; it might even
/// be the one that goes. And the first entry of the leader's term counts as one. Leadership does not go to it now.
///
/// Hint: its `match` against `pending_conf_index`.
fn who_lacks_the_last_change_cannot_take_over(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab, &[2, 3])?;
    puppets.only(&[2]);
    let taken = node.propose_change(&add(4))?;
    expect::that(taken.is_ok(), "a good change is refused", "n1 leads", format!("{taken:?}"))?;
    let sent = node.settle()?;
    puppets.talk(&mut node, sent)?;
    let sent = node.transfer(3)?;
    let why = "n1 leads {n1 n2 n3}; n1 and n2 have `add n4` in their logs, n3 has not";
    expect::that(told(&sent).is_empty(), "a member that is behind is told to lead", why, "")?;
    expect_open(&mut node, why)
}
