//! A leader is about to lose its vote.

use raft_suite::members::{add, add_learner, at_once_until_told, leave, remove};
use raft_suite::protocol::RaftNode;
use raft_suite::world::{Lab, World};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{before_the_move, expect_changes, leader_of};
use crate::stage3a::scene::{expect_works, led_group, stranger};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("go.rs":
        a_leader_that_loses_its_vote_hands_over_first,
        somebody_must_stay,
    )
}

/// Who leads through the time between needs a vote before and after: a leader that applies the end and is no member
/// any more is gone, while nobody else may know that the end is committed. So it hands over first, to a voter that
/// stays; the next leader makes the change.
///
/// Hint: `successor`: a voter of now and of then that can lead.
fn a_leader_that_loses_its_vote_hands_over_first(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for change in [
        at_once_until_told([remove(1), add(4)]),
        at_once_until_told([add_learner(1), add(4)]),
        at_once_until_told([remove(1), remove(2), add(4), add(5)]),
    ] {
        let mut net = before_the_move(&lab)?;
        net.propose(1, b"a write")?;
        let _ = net.try_change(1, &change)?;
        let why = "n1 led {n1 n2 n3}, and was asked for a change that takes its vote";
        expect_changes(net.node(1)?, &[], why)?;
        let stays = if change.changes.len() == 4 { &[3][..] } else { &[2, 3] };
        let leader = leader_of(&mut net, stays, why)?;
        net.beats(leader)?;
        net.change(leader, &change)?;
        net.beats(leader)?;
        net.change(leader, &leave())?;
        net.beats(leader)?;
        net.destroy(1);
        let why = format!("{why}; n{leader} took over, and made it; n1 is gone");
        expect_works(&mut net, leader, &why)?;
    }
    Ok(())
}

/// If no voter stays, nobody could lead from the first step to the last. Such a change is refused, and nothing has
/// happened; whoever wants it takes two.
///
/// Hint: nobody is in both; say so.
fn somebody_must_stay(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 1)?;
    stranger(&mut net, 2)?;
    let _ = net.try_change(1, &at_once_until_told([remove(1), add(2)]))?;
    net.beats(1)?;
    let why = "n1 is the only voter, and was asked to go from {n1} to {n2} in one change";
    expect_changes(net.node(1)?, &[], why)?;
    net.expect_members(1, &[1], &[], why)?;
    expect_works(&mut net, 1, why)?;
    net.change(1, &add(2))?;
    net.beats(1)?;
    net.expect_members(1, &[1, 2], &[], "then n2 was added, which is a change of one")
}
