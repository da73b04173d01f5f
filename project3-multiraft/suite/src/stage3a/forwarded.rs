//! Changes that a follower passes on to its leader.

use proto::eraftpb::{ConfChange, Entry, EntryType};
use raft_suite::mail::entry;
use raft_suite::members::{add, remove};
use raft_suite::notation;
use raft_suite::protocol::RaftNode;
use raft_suite::world::{Lab, Node, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{change_entry, expect_changes, forward, leader};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("forwarded.rs":
        a_forwarded_change_is_taken,
        a_forwarded_change_that_may_not_be_made_becomes_an_empty_entry,
        of_two_forwarded_changes_one_is_made,
        a_forwarded_change_blocks_the_next,
        a_change_that_cannot_be_read_does_not_get_in,
    )
}

fn write(data: &[u8]) -> Entry {
    entry(0, 0, data)
}

fn change(change: &ConfChange) -> Entry {
    change_entry(0, 0, change)
}

// The last entries of the log: type and whether there is data.
fn tail(node: &mut Node, from: u64) -> Outcome<Vec<Entry>> {
    let last = node.status()?.last_index;
    Ok(node.log(from, last + 1)?.unwrap_or_default())
}

/// A follower passes on what it is asked. A change that comes so is taken like any other.
///
/// Hint: in `step`, what is good stays as it is.
fn a_forwarded_change_is_taken(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, &[2, 3])?;
    node.deliver(&forward(2, 1, vec![change(&add(4))]).into())?;
    expect_changes(&mut node, &[add(4)], "n2 passed on `add n4`, and nothing speaks against it")
}

/// A change that may not be made now, in a message that brings other proposals, must not take these with it: it is
/// replaced by an entry that does nothing, and the others keep their places.
///
/// Hint: what is left of it is an `EntryNormal` without data.
fn a_forwarded_change_that_may_not_be_made_becomes_an_empty_entry(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, &[2, 3])?;
    let _ = node.propose_change(&add(4))?;
    let last = node.status()?.last_index;
    let brought = vec![write(b"x"), change(&add(5)), write(b"y")];
    node.deliver(&forward(2, 1, brought).into())?;
    let why = "`add n4` is in the log of n1, not committed; n2 passed on: x, `add n5`, y";
    expect_changes(&mut node, &[add(4)], why)?;
    let seen = tail(&mut node, last + 1)?;
    let kinds: Vec<(i32, &[u8])> =
        seen.iter().map(|entry| (entry.entry_type, entry.data.as_ref())).collect();
    let normal = i32::from(EntryType::EntryNormal);
    expect::that(
        kinds == [(normal, &b"x"[..]), (normal, b""), (normal, b"y")],
        "a change that may not be made is not replaced by an empty entry",
        why,
        format!("the log goes on with {}: {kinds:?}", notation::entries(&seen)),
    )
}

/// One message may bring two changes. Only the first is made: they would be in the log at the same time.
///
/// Hint: the second one finds the first.
fn of_two_forwarded_changes_one_is_made(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, _) = leader(&lab, &[2, 3])?;
    let brought = vec![change(&add(4)), change(&remove(3)), write(b"y")];
    node.deliver(&forward(2, 1, brought).into())?;
    expect_changes(&mut node, &[add(4)], "n2 passed on in one message: `add n4`, `remove n3`, y")
}

/// A change that was passed on is a change: until it is applied, nobody makes a second one.
///
/// Hint: `pending_conf_index` is where it stands in the log, not where the message ends.
fn a_forwarded_change_blocks_the_next(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab, &[2, 3])?;
    node.deliver(&forward(2, 1, vec![write(b"x"), change(&add(4)), write(b"y")]).into())?;
    let _ = node.propose_change(&add(5))?;
    let why = "n2 passed on x, `add n4`, y; before anybody had it, n1 was asked for `add n5`";
    expect_changes(&mut node, &[add(4)], why)?;
    node.deliver(&forward(3, 1, vec![change(&add(6))]).into())?;
    let why = "n2 passed on x, `add n4`, y; before anybody had it, n3 passed on `add n6`";
    expect_changes(&mut node, &[add(4)], why)?;
    let sent = node.settle()?;
    puppets.talk(&mut node, sent)?;
    puppets.beats(&mut node, 3)?;
    let _ = node.propose_change(&remove(3))?;
    let why = "`add n4` was committed and applied";
    expect_changes(&mut node, &[add(4), remove(3)], why)
}

/// A message is bytes from a network. What claims to be a change and cannot be read is not written into the log: every
/// replica would fall over it.
///
/// Hint: decode it before you let it in.
fn a_change_that_cannot_be_read_does_not_get_in(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab, &[2, 3])?;
    let nonsense = Entry { data: vec![0xff; 5].into(), ..change(&add(4)) };
    node.deliver(&forward(2, 1, vec![nonsense]).into())?;
    let why = "n2 passed on a change whose bytes mean nothing";
    expect_changes(&mut node, &[], why)?;
    let sent = node.settle()?;
    puppets.talk(&mut node, sent)?;
    let sent = node.offer(b"a write")?;
    puppets.talk(&mut node, sent)?;
    let last = node.status()?.last_index;
    expect::commit(&mut node, last, why)
}
