//! Changes that a follower passes on to its leader.

use proto::eraftpb::{ConfChangeTransition, Entry, EntryType};
use raft_suite::mail::entry;
use raft_suite::members::{Change, add, at_once, joint, remove};
use raft_suite::notation;
use raft_suite::protocol::RaftNode;
use raft_suite::world::{Lab, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{expect_changes, joint_entry, lead_between, the_move};
use crate::stage3a::scene::{change_entry, forward, leader};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("sift.rs":
        a_forwarded_move_is_taken,
        a_forwarded_move_that_may_not_be_made_becomes_an_empty_entry,
        between_two_groups_no_forwarded_change_is_taken,
    )
}

/// A change of several members that a follower passes on is taken like any other, and blocks the next.
///
/// Hint: `pending_conf_index` is where it stands in the log.
fn a_forwarded_move_is_taken(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, &[2, 3])?;
    let brought = vec![entry(0, 0, b"x"), joint_entry(&the_move()), entry(0, 0, b"y")];
    node.deliver(&forward(2, 1, brought).into())?;
    let why = "n2 passed on: x, the move to {n1 n4 n5}, y; and nothing speaks against it";
    expect_changes(&mut node, &[Change::Many(the_move())], why)?;
    let _ = node.propose_change(&add(6))?;
    let asked = format!("{why}; then, before anybody had it, n1 was asked for `add n6`");
    expect_changes(&mut node, &[Change::Many(the_move())], &asked)?;
    node.deliver(&forward(3, 1, vec![change_entry(0, 0, &add(7))]).into())?;
    let why = format!("{why}; then, before anybody had it, n3 passed on `add n7`");
    expect_changes(&mut node, &[Change::Many(the_move())], &why)
}

/// What may not be made is replaced by an entry that does nothing, so that what came with it keeps its place: a second
/// change in the same message, of either kind, and one whose bytes mean nothing.
///
/// Hint: `read` knows both kinds; the first good one stays.
fn a_forwarded_move_that_may_not_be_made_becomes_an_empty_entry(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, &[2, 3])?;
    let last = node.status()?.last_index;
    let second = at_once([add(6), remove(3)]);
    let brought = vec![
        joint_entry(&the_move()),
        joint_entry(&second),
        change_entry(0, 0, &add(7)),
        entry(0, 0, b"y"),
    ];
    node.deliver(&forward(2, 1, brought).into())?;
    let why = "n2 passed on: the move to {n1 n4 n5}, a second move, `add n7`, y";
    expect_changes(&mut node, &[Change::Many(the_move())], why)?;
    let end = node.status()?.last_index;
    let seen = node.log(last + 1, end + 1)?.unwrap_or_default();
    let kinds: Vec<(i32, bool)> =
        seen.iter().map(|entry| (entry.entry_type, entry.data.is_empty())).collect();
    let (normal, both) =
        (i32::from(EntryType::EntryNormal), i32::from(EntryType::EntryConfChangeV2));
    expect::that(
        kinds == [(both, false), (normal, true), (normal, true), (normal, false)],
        "a change that may not be made is not replaced by an empty entry",
        why,
        format!("the log goes on with {}: {kinds:?}", notation::entries(&seen)),
    )?;
    let (mut node, _) = leader(&lab, &[2, 3])?;
    let nonsense = Entry { data: vec![0xff; 5].into(), ..joint_entry(&the_move()) };
    node.deliver(&forward(2, 1, vec![nonsense]).into())?;
    expect_changes(&mut node, &[], "n2 passed on a change whose bytes mean nothing")
}

/// Between two groups only the end may come, also from a follower.
///
/// Hint: what is asked of a proposer here is asked of one elsewhere.
fn between_two_groups_no_forwarded_change_is_taken(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for brought in [
        change_entry(0, 0, &add(6)),
        joint_entry(&joint(ConfChangeTransition::Auto, &[add(6)])),
        joint_entry(&at_once([add(6), remove(4)])),
    ] {
        let (mut node, _) = lead_between(&lab, &[1, 4, 5], &[1, 2, 3])?;
        node.deliver(&forward(2, 1, vec![brought]).into())?;
        let why = "n1 leads from {n1 n2 n3} to {n1 n4 n5}, and n2 passed on another change";
        expect_changes(&mut node, &[], why)?;
    }
    let (mut node, _) = lead_between(&lab, &[1, 4, 5], &[1, 2, 3])?;
    let end = raft_suite::members::leave();
    node.deliver(&forward(2, 1, vec![joint_entry(&end)]).into())?;
    let why = "n1 leads from {n1 n2 n3} to {n1 n4 n5}, and n2 passed on the end of it";
    expect_changes(&mut node, &[Change::Many(end)], why)
}
