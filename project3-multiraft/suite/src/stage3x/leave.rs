//! The time between two groups ends.

use raft_suite::mail::accepted;
use raft_suite::members::{add, add_learner, at_once, at_once_until_told, leave};
use raft_suite::protocol::RaftNode;
use raft_suite::world::{Lab, Setup, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{between, lead_between};
use crate::stage3a::scene::leader;

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("leave.rs":
        the_old_half_counts_no_more,
        who_waited_is_a_learner,
        there_is_nothing_to_leave,
    )
}

/// When the end is applied, the new half decides alone, also on what is there already.
///
/// Hint: the core looks again at what is committed when its members are set.
fn the_old_half_counts_no_more(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = lead_between(&lab, &[1, 4, 5], &[1, 2, 3])?;
    let before = node.status()?.committed;
    node.offer(b"a write")?;
    let last = node.status()?.last_index;
    node.tell(accepted(4, 1, 1, last))?;
    let why = "n1 leads from {n1 n2 n3} to {n1 n4 n5}; its write is on n1 and n4";
    expect::commit(&mut node, before, why)?;
    node.impose(&leave())?;
    expect::commit(&mut node, last, &format!("{why}; then the old half was left"))?;
    let mut known: Vec<u64> = node.status()?.progress.iter().map(|(id, ..)| *id).collect();
    known.sort_unstable();
    expect::that(
        known == [1, 4, 5],
        "a leader's members are not those of the group",
        format!("{why}; then the old half was left"),
        format!("it has progress of {known:?}"),
    )
}

/// Who was to become a learner is one now: it stays a member, and has no vote.
///
/// Hint: `learners` and `learners_next` together.
fn who_waited_is_a_learner(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for enter in [at_once([add_learner(2), add(4)]), at_once_until_told([add_learner(2), add(4)])] {
        let mut node = lab.node(Setup::of(1, &[1, 2, 3]).learners(&[5]))?;
        node.settle()?;
        node.impose(&enter)?;
        // What it makes of it is held against the table there.
        node.impose(&leave())?;
    }
    let (mut node, _) = leader(&lab, &[2, 3])?;
    node.impose(&at_once_until_told([add_learner(2)]))?;
    node.impose(&leave())?;
    let before = node.status()?.committed;
    node.offer(b"a write")?;
    let last = node.status()?.last_index;
    node.tell(accepted(2, 1, 1, last))?;
    let why = "n1 leads {n1 n3, learner n2}; its write is on n1 and n2";
    expect::commit(&mut node, before, why)?;
    node.tell(accepted(3, 1, 1, last))?;
    expect::commit(&mut node, last, &format!("{why}, and then on n3"))
}

/// Whoever asks for the end may ask twice, for the answer may be lost. Without an old half there is nothing to leave, and
/// everything stays as it is; the same of an end that comes a second time.
///
/// Hint: look for an old half first.
fn there_is_nothing_to_leave(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::of(1, &[1, 2, 3]).learners(&[4]))?;
    node.settle()?;
    let _ = node.apply_change(&leave())?;
    let mut node = lab.node(between(&[1, 4, 5], &[1, 2, 3]))?;
    node.settle()?;
    node.impose(&leave())?;
    node.apply_change(&leave()).map(drop)
}
