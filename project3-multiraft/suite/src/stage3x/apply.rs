//! A change of either kind is applied.

use proto::eraftpb::ConfChangeTransition;
use raft_suite::members::{self, Change, add, add_learner, joint, remove};
use raft_suite::protocol::RaftNode;
use raft_suite::world::{Lab, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::expect_applied;
use crate::stage3a::scene::{expect_closed, expect_open, leader};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("apply.rs":
        one_change_needs_no_second_half,
        a_transferee_that_loses_its_vote_is_none,
    )
}

/// A change of one member is safe in one step, and takes it: as in stage 3A, whichever of the two kinds of entries
/// brings it.
///
/// Hint: [`changed`] in `joint/conf.rs` knows the cases; what it answers is set in the core, on every node.
fn one_change_needs_no_second_half(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for change in [add(5), add(4), add(2), add_learner(3), add_learner(5), remove(3), remove(9)] {
        let alone = joint(ConfChangeTransition::Auto, std::slice::from_ref(&change));
        for change in [Change::One(change), Change::Many(alone)] {
            expect_applied(&lab, change)?;
        }
    }
    // It counts.
    let (mut node, _) = leader(&lab, &[2])?;
    node.impose(&joint(ConfChangeTransition::Auto, &[remove(2)]))?;
    node.offer(b"a write")?;
    let last = node.status()?.last_index;
    expect::commit(&mut node, last, "n2 was removed from {n1 n2}, and n1 got a proposal")?;
    let conf = node.conf().clone();
    expect::that(
        conf.voters == [1],
        "a change does not count",
        "n2 was removed from {n1 n2}",
        members::show(&conf),
    )
}

/// Whoever was to take over and loses its vote will not: the leader takes proposals again, at once. If others change, it goes on
/// handing over.
///
/// Hint: as in stage 3A.
fn a_transferee_that_loses_its_vote_is_none(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for change in [remove(2), add_learner(2)] {
        let (mut node, _) = leader(&lab, &[2, 3])?;
        node.offer(b"what n2 lacks")?;
        node.transfer(2)?;
        expect_closed(
            &mut node,
            "n1 leads {n1 n2 n3}, and hands over to n2, which lacks an entry",
        )?;
        node.impose(&joint(ConfChangeTransition::Auto, &[add_learner(4)]))?;
        expect_closed(&mut node, "n1 hands over to n2, and n4 was made a learner")?;
        node.impose(&joint(ConfChangeTransition::Auto, &[change]))?;
        expect_open(&mut node, "n1 was handing over to n2, which has no vote any more")?;
    }
    Ok(())
}
