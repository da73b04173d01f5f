//! The leader itself goes.

use proto::eraftpb::MessageType;
use raft_suite::members::{add, add_learner, remove};
use raft_suite::protocol::{RaftNode, Role};
use raft_suite::world::{Lab, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{expect_changes, expect_works, led_group};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("leave.rs":
        a_leader_of_three_may_go,
        a_removed_leader_takes_no_proposals,
        one_of_two_hands_over_before_it_goes,
        one_of_two_stays_if_the_other_is_silent,
        the_other_of_two_may_be_removed,
    )
}

/// A leader may propose its own removal. When it has applied it, it is gone; the others are a majority of the old group
/// and of the new, and elect a leader, whether or not they have heard that the removal is committed.
///
/// Hint: nothing special; a leader counts itself until it has applied it.
fn a_leader_of_three_may_go(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for heard in [true, false] {
        let mut net = led_group(&lab, 3)?;
        if !heard {
            // The others have the entry, and do not know that it is committed.
            net.late.insert(2);
            net.late.insert(3);
        }
        net.change(1, &remove(1))?;
        let why = "n1 led {n1 n2 n3}, and was asked to remove itself";
        net.expect_members(1, &[2, 3], &[], why)?;
        net.destroy(1);
        if !heard {
            net.apply(2)?;
            net.apply(3)?;
        }
        net.campaign(2)?;
        net.beats(2)?;
        expect_works(&mut net, 2, &format!("{why}; it is gone"))?;
        net.expect_members(2, &[2, 3], &[], why)?;
    }
    Ok(())
}

/// A leader that has applied its own removal appends nothing more: it would not be there to see the end of it.
///
/// Hint: the core refuses by itself, if its members were set.
fn a_removed_leader_takes_no_proposals(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    net.change(1, &remove(1))?;
    let before = net.status(1)?.last_index;
    let _ = net.try_propose(1, b"a write")?;
    let _ = net.try_change(1, &remove(2))?;
    let why = "n1 led {n1 n2 n3}, has applied its own removal, and got a proposal and a change";
    let last = net.status(1)?.last_index;
    let seen = format!("its log ended at {before}, and ends at {last}");
    expect::that(last == before, "a leader that is no member appends entries", why, seen)
}

/// One of two voters cannot just go. Both must have the removal before it is committed; if the leader is destroyed
/// before the other has heard that it is, the other waits for a vote of the dead for ever. So the leader hands over
/// first, and the next leader removes it.
///
/// Hint: in `propose_conf_change`: `must_go_to`.
fn one_of_two_hands_over_before_it_goes(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for change in [remove(1), add_learner(1)] {
        let mut net = led_group(&lab, 2)?;
        net.propose(1, b"a write")?;
        let _ = net.try_change(1, &change)?;
        let why = "n1 led {n1 n2}, and was asked to give up its vote";
        expect_changes(net.node(1)?, &[], why)?;
        net.expect_role(2, Role::Leader, &format!("{why}; n2 has everything"))?;
        net.beats(2)?;
        net.change(2, &change)?;
        net.beats(2)?;
        net.isolate(1);
        expect_works(&mut net, 2, "n2 leads {n1 n2}, and n1 has given up its vote")?;
    }
    Ok(())
}

/// If the other one does not take over, nothing has happened: the leader of two leads on.
///
/// Hint: a transfer that is given up after an election timeout.
fn one_of_two_stays_if_the_other_is_silent(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 2)?;
    net.isolate(2);
    let _ = net.try_change(1, &remove(1))?;
    for _ in 0..11 {
        net.tick(1)?;
    }
    net.heal();
    net.beats(1)?;
    let why = "n1 leads {n1 n2}, was asked to remove itself when n2 was cut off; n2 is back";
    expect_changes(net.node(1)?, &[], why)?;
    net.expect_members(1, &[1, 2], &[], why)?;
    expect_works(&mut net, 1, why)
}

/// To remove the *other* one of two is no trouble: the leader knows that it is committed. Neither is a change of the leader that
/// leaves it its vote.
///
/// Hint: only whoever gives up its own vote has to think of the other.
fn the_other_of_two_may_be_removed(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 2)?;
    net.change(1, &add(1))?;
    net.change(1, &remove(2))?;
    net.destroy(2);
    let why = "n1 led {n1 n2}, was made a voter, which it was, and n2 was removed";
    expect::none(&net.sent, MessageType::MsgTimeoutNow, why)?;
    net.expect_members(1, &[1], &[], why)?;
    expect_works(&mut net, 1, why)
}
