//! What the tests of this stage begin with, and what they look at.

use prost::Message as _;
use proto::eraftpb::{ConfChange, Entry, EntryType, Message, MessageType};
use raft_suite::mail::{self, Mail, message};
use raft_suite::members;
use raft_suite::world::{Lab, Net, Node, Puppets, Setup, expect};
use sim::failure::{Failure, Outcome};

/// An entry that is a change of members.
pub fn change_entry(index: u64, term: u64, change: &ConfChange) -> Entry {
    Entry {
        entry_type: EntryType::EntryConfChange.into(),
        index,
        term,
        data: change.encode_to_vec().into(),
        ..Entry::default()
    }
}

/// A leader in term 1 of n1 and these other voters, whose followers have stored and heard everything.
pub fn leader<'l>(lab: &'l Lab<'l>, others: &[u64]) -> Outcome<(Node<'l>, Puppets)> {
    let mut voters = vec![1];
    voters.extend_from_slice(others);
    lead(lab, Setup::of(1, &voters), others)
}

/// As [`leader`], from this setup.
pub fn lead<'l>(lab: &'l Lab<'l>, setup: Setup, others: &[u64]) -> Outcome<(Node<'l>, Puppets)> {
    let mut puppets = Puppets::like(&setup, others);
    let mut node = lab.node(setup)?;
    node.settle()?;
    puppets.elect(&mut node)?;
    puppets.beats(&mut node, 3)?;
    Ok((node, puppets))
}

/// A group of nodes 1 to `size`, led by n1 in term 2. Its log begins behind a snapshot, as that of every region does:
/// so whoever joins gets one, and learns from it who the others are.
pub fn led_group<'l>(lab: &'l Lab<'l>, size: u64) -> Outcome<Net<'l>> {
    let setup = |id| Setup::new(id, size).snapshot(5, 1, b"state at 5");
    let mut net = lab.net((1..=size).map(setup).collect())?;
    net.campaign(1)?;
    net.beats(1)?;
    Ok(net)
}

/// Starts a node that knows of no group.
pub fn stranger(net: &mut Net, id: u64) -> Outcome {
    net.join(Setup::of(id, &[]))
}

/// The changes of members in a node's log, each with its index.
pub fn changes(node: &mut Node) -> Outcome<Vec<(u64, ConfChange)>> {
    let base = node.disk.written().truncated.0;
    let last = node.status()?.last_index;
    let log = node.log(base + 1, last + 1)?.unwrap_or_default();
    let found = log.iter().filter(|entry| entry.entry_type != i32::from(EntryType::EntryNormal));
    found
        .map(|entry| Ok((entry.index, mail::decode::<ConfChange>(&entry.data).unwrap_or_default())))
        .collect()
}

/// Exactly these changes must be in the node's log.
pub fn expect_changes(node: &mut Node, wanted: &[ConfChange], why: &str) -> Outcome {
    let seen = changes(node)?;
    let list = |all: &mut dyn Iterator<Item = String>| {
        let all: Vec<String> = all.collect();
        if all.is_empty() { "none".into() } else { all.join(", ") }
    };
    expect::that(
        seen.iter().map(|(_, change)| change).eq(wanted),
        format!(
            "these changes of members should be in the log of n{}: {}",
            node.id,
            list(&mut wanted.iter().map(members::show_change))
        ),
        why,
        format!(
            "there are: {}",
            list(&mut seen.iter().map(|(i, c)| format!("{} at {i}", members::show_change(c))))
        ),
    )
}

/// The node leads, and must take a proposal.
pub fn expect_open(node: &mut Node, why: &str) -> Outcome {
    expect_answer(node, true, why)
}

/// The node leads, and must refuse a proposal.
pub fn expect_closed(node: &mut Node, why: &str) -> Outcome {
    expect_answer(node, false, why)
}

fn expect_answer(node: &mut Node, open: bool, why: &str) -> Outcome {
    let before = node.status()?;
    let taken = node.propose(b"a write")?;
    let grown = node.status()?.last_index > before.last_index;
    let what = if open {
        format!("n{} leads, and takes no proposals", node.id)
    } else {
        format!("n{} hands over, and takes a proposal", node.id)
    };
    let seen = match &taken {
        Ok(()) if grown => "it takes it: its log has grown".into(),
        Ok(()) => "it says that it takes it, and its log has not grown".into(),
        Err(refusal) => format!("it refuses: {refusal}"),
    };
    expect::that((taken.is_ok() && grown) == open, what, why, seen)
}

/// Whether it was told to campaign: to whom.
pub fn told(sent: &[Mail]) -> Vec<u64> {
    mail::of_kind(sent, MessageType::MsgTimeoutNow).iter().map(|m| m.to).collect()
}

/// "Lead, at once": what a leader in this term says when it hands over.
pub fn timeout_now(from: u64, to: u64, term: u64) -> Message {
    message(MessageType::MsgTimeoutNow, from, to, term)
}

/// "`transferee` shall lead."
pub fn wish(transferee: u64, to: u64, term: u64) -> Message {
    message(MessageType::MsgTransferLeader, transferee, to, term)
}

/// Proposals that a follower passes on.
pub fn forward(from: u64, to: u64, entries: Vec<Entry>) -> Message {
    Message { entries, ..message(MessageType::MsgPropose, from, to, 0) }
}

/// The leader must be this one, and know a write to be committed.
pub fn expect_works(net: &mut Net, leader: u64, why: &str) -> Outcome {
    expect::that(
        net.node(leader)?.leads()?,
        format!("n{leader} should lead"),
        why,
        format!("now: {}", raft_suite::notation::status(leader, &net.status(leader)?)),
    )?;
    net.propose(leader, b"is the group alive?")?;
    let status = net.status(leader)?;
    if status.committed == status.last_index {
        return Ok(());
    }
    Err(Failure::broke(
        "the group commits nothing",
        why,
        format!(
            "n{leader} proposed {}, all up nodes answered, and committed is {}",
            status.last_index, status.committed
        ),
    ))
}
