//! What the tests of this stage begin with, and what they look at.

use std::collections::BTreeSet;

use prost::Message as _;
use proto::eraftpb::{ConfChangeV2, Entry, EntryType};
use raft_suite::members::{Change, add, at_once_until_told, remove};
use raft_suite::protocol::Role;
use raft_suite::world::{Lab, Net, Node, Puppets, Setup, expect};
use sim::failure::{Failure, Outcome};

use crate::stage3a::scene::{lead, led_group, stranger};

/// An entry that is a change of several members.
pub fn joint_entry(change: &ConfChangeV2) -> Entry {
    Entry {
        entry_type: EntryType::EntryConfChangeV2.into(),
        data: change.encode_to_vec().into(),
        ..Entry::default()
    }
}

/// Node 1 with these voters in the new half and these in the old; the joint configuration stays.
pub fn between(new: &[u64], old: &[u64]) -> Setup {
    Setup::of(1, new).outgoing(old)
}

/// The others of both halves.
pub fn others(setup: &Setup) -> Vec<u64> {
    let conf = &setup.image.conf;
    let all: BTreeSet<u64> = conf.voters.iter().chain(&conf.voters_outgoing).copied().collect();
    all.into_iter().filter(|&id| id != 1).collect()
}

/// n1, which leads the two halves in term 1, and the others, which have stored and heard everything.
pub fn lead_between<'l>(
    lab: &'l Lab<'l>,
    new: &[u64],
    old: &[u64],
) -> Outcome<(Node<'l>, Puppets)> {
    let setup = between(new, old);
    let others = others(&setup);
    lead(lab, setup, &others)
}

/// From {n1 n2 n3} to {n1 n4 n5}.
pub fn the_move() -> ConfChangeV2 {
    at_once_until_told([add(4), add(5), remove(2), remove(3)])
}

/// n1 leads {n1 n2 n3}; n4 and n5 were started, and know of no group.
pub fn before_the_move<'l>(lab: &'l Lab<'l>) -> Outcome<Net<'l>> {
    let mut net = led_group(lab, 3)?;
    stranger(&mut net, 4)?;
    stranger(&mut net, 5)?;
    Ok(net)
}

/// A fresh node of {n1 n2 n3, learner n4} must take this change when it is applied; what it makes of the members is held
/// against the table in `raft_suite::members`.
pub fn expect_applied<'l>(lab: &'l Lab<'l>, change: Change) -> Outcome {
    let mut node = lab.node(Setup::of(1, &[1, 2, 3]).learners(&[4]))?;
    node.settle()?;
    let answer = node.apply_change(change.clone())?;
    expect::that(
        answer.is_ok(),
        "a good change is refused",
        format!("of the members {{n1 n2 n3, learner n4}}: {}", change.show()),
        format!("it says: {}", answer.err().unwrap_or_default()),
    )
}

/// Exactly these changes must be in the node's log.
pub fn expect_changes(node: &mut Node, wanted: &[Change], why: &str) -> Outcome {
    let base = node.disk.written().truncated.0;
    let last = node.status()?.last_index;
    let log = node.log(base + 1, last + 1)?.unwrap_or_default();
    let normal = i32::from(EntryType::EntryNormal);
    let found = log.iter().filter(|entry| entry.entry_type != normal).map(Change::of);
    let found: Vec<Change> = found.collect::<Outcome<_>>()?;
    let list = |all: &[Change]| {
        let all: Vec<String> = all.iter().map(Change::show).collect();
        if all.is_empty() { "none".into() } else { all.join(", then ") }
    };
    expect::that(
        found == wanted,
        format!("these changes should be in the log of n{}: {}", node.id, list(wanted)),
        why,
        format!("there are: {}", list(&found)),
    )
}

/// Who leads, of these.
pub fn leader_of(net: &mut Net, ids: &[u64], why: &str) -> Outcome<u64> {
    for &id in ids {
        if net.status(id)?.role == Role::Leader {
            return Ok(id);
        }
    }
    Err(Failure::broke(format!("one of n{ids:?} should lead"), why, "none of them leads"))
}
