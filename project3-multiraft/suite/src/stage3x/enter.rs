//! The time between two groups begins.

use proto::eraftpb::ConfChangeTransition;
use raft_suite::mail::accepted;
use raft_suite::members::{Change, add, add_learner, at_once, at_once_until_told, joint, remove};
use raft_suite::protocol::RaftNode;
use raft_suite::world::{Lab, Setup, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{between, expect_applied, the_move};
use crate::stage3a::scene::{lead, leader};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("enter.rs":
        what_several_changes_make,
        the_old_half_still_counts,
        a_demoted_voter_keeps_its_vote_in_the_old_half,
        nothing_else_changes_between_two_groups,
        a_new_half_without_voters_changes_nothing,
    )
}

/// What several changes make of voters, learners and the old half. The old half is the voters as they were; a voter
/// of it that is to be a learner waits.
///
/// Hint: one change after the other, upon copies of the sets. A node is in one of `voters`, `learners`, `learners_next`,
/// at most.
fn what_several_changes_make(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let rows = [
        vec![add(5), remove(1)],
        vec![add(5), add(6), remove(2), remove(3)],
        vec![add_learner(2), add(4)],
        vec![add_learner(5), remove(4)],
        vec![add_learner(1), add_learner(2)],
        vec![remove(9), add(2)],
        vec![add(5), remove(5)],
        vec![remove(2), add(2)],
        vec![add_learner(2), remove(2)],
        vec![add_learner(2), add(2)],
        vec![add_learner(4), add(5)],
        vec![add(0), remove(3)],
        vec![remove(3)],
        vec![],
    ];
    for row in rows {
        for kind in [
            ConfChangeTransition::Auto,
            ConfChangeTransition::Implicit,
            ConfChangeTransition::Explicit,
        ] {
            if row.len() < 2 && kind == ConfChangeTransition::Auto {
                continue;
            }
            expect_applied(&lab, Change::Many(joint(kind, &row)))?;
        }
    }
    Ok(())
}

/// From the moment when the change is applied, the new half is needed, and the old one still is. Of the new members nothing
/// is known at first.
///
/// Hint: `set_conf` with both halves; the quorum is made of them.
fn the_old_half_still_counts(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (first, then) in [([4, 5], 2), ([2, 3], 5)] {
        let (mut node, _) = leader(&lab, &[2, 3])?;
        node.impose(&the_move())?;
        let before = node.status()?.committed;
        node.offer(b"a write")?;
        let last = node.status()?.last_index;
        for id in first {
            node.tell(accepted(id, 1, 1, last))?;
        }
        let why = format!(
            "n1 leads from {{n1 n2 n3}} to {{n1 n4 n5}}; its write is on n1, n{}, n{}",
            first[0], first[1]
        );
        expect::commit(&mut node, before, &why)?;
        node.tell(accepted(then, 1, 1, last))?;
        expect::commit(&mut node, last, &format!("{why}, and then on n{then}"))?;
    }
    Ok(())
}

/// A voter that is to be a learner votes in the old half until that is left.
///
/// Hint: `learners_next`, not `learners`.
fn a_demoted_voter_keeps_its_vote_in_the_old_half(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, &[2, 3])?;
    node.impose(&at_once_until_told([add_learner(2), add(4)]))?;
    let before = node.status()?.committed;
    node.offer(b"a write")?;
    let last = node.status()?.last_index;
    node.tell(accepted(4, 1, 1, last))?;
    let why = "n1 leads from {n1 n2 n3} to {n1 n3 n4, learner n2}; its write is on n1 and n4";
    expect::commit(&mut node, before, why)?;
    node.tell(accepted(2, 1, 1, last))?;
    expect::commit(&mut node, last, &format!("{why}, and then on n2"))
}

/// While two halves decide, only the end may follow. Another change, if it ever gets into the log, changes nothing, on any
/// replica: three groups at a time have no common majorities.
///
/// Hint: look whether there is an old half before anything else.
fn nothing_else_changes_between_two_groups(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let changes = [
        Change::One(add(6)),
        Change::One(remove(4)),
        Change::Many(joint(ConfChangeTransition::Auto, &[add(6)])),
        Change::Many(at_once([add(6), remove(5)])),
        Change::Many(at_once_until_told([])),
    ];
    for change in changes {
        let mut node = lab.node(between(&[1, 4, 5], &[1, 2, 3]))?;
        node.settle()?;
        // That its answer is no other group is looked at there.
        let _ = node.apply_change(change)?;
    }
    Ok(())
}

/// A new half without voters could never decide anything.
///
/// Hint: look at what would be left, before you set it.
fn a_new_half_without_voters_changes_nothing(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for change in [at_once([remove(1)]), at_once([add_learner(1), add_learner(2)])] {
        let (mut node, _) = lead(&lab, Setup::of(1, &[1]).learners(&[2]), &[2])?;
        let _ = node.apply_change(&change)?;
        node.offer(b"a write")?;
        let last = node.status()?.last_index;
        let why = format!(
            "n1 is the only voter, and applied: {}; then it got a proposal",
            Change::Many(change).show()
        );
        expect::commit(&mut node, last, &why)?;
    }
    Ok(())
}
