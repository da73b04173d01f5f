//! A leader whose follower needs what is compacted (section 7).

use proto::eraftpb::MessageType;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{self, Mail, accepted, message, refused};
use crate::notation;
use crate::protocol::{Input, RaftNode};
use crate::world::{Lab, Node, Puppets, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("send.rs":
        a_leader_sends_a_snapshot_when_the_entries_are_gone,
        a_leader_without_a_snapshot_waits_for_one,
        one_snapshot_at_a_time,
        a_lost_snapshot_is_sent_again,
        after_a_snapshot_entries_follow,
        a_slow_node_is_brought_up_by_a_snapshot,
        a_group_lives_on_while_a_snapshot_is_under_way,
    )
}

fn snapshots(sent: &[Mail], to: u64) -> Vec<u64> {
    sent.iter()
        .filter(|mail| mail.msg.to == to && mail.kind() == MessageType::MsgSnapshot)
        .map(|mail| {
            let snapshot = mail.msg.snapshot.clone().unwrap_or_default();
            snapshot.metadata.map_or(0, |place| place.index)
        })
        .collect()
}

/// The leader of three nodes; its log begins after a snapshot at 8, n2 has all of it, n3 has nothing. All
/// of the log is committed; n3 has not been heard of yet.
fn leader<'l>(lab: &'l Lab<'l>) -> Outcome<(Node<'l>, Puppets)> {
    let setup = Setup::new(1, 3).snapshot(8, 1, b"state at 8").log(&[1, 1]).commit(10);
    let mut puppets = Puppets::like(&setup, &[2]);
    puppets.add(3);
    puppets.only(&[2]);
    let mut node = lab.node(setup)?;
    node.settle()?;
    let mut sent = puppets.elect(&mut node)?;
    sent.extend(puppets.beats(&mut node, 2)?);
    let why = "n3 needs a snapshot, but it has not been heard of yet: it may be dead";
    expect::none(&sent, MessageType::MsgSnapshot, why)?;
    expect::commit(&mut node, 11, "n1 and n2 have everything")?;
    let _ = node.order(Input::MakeSnapshot(10, b"state at 10".to_vec().into()))?;
    Ok((node, puppets))
}

/// Lets heartbeats go by; n2 answers everything, n3 everything but snapshots.
fn beats_without_snapshots(
    node: &mut Node,
    puppets: &mut Puppets,
    count: u64,
) -> Outcome<Vec<Mail>> {
    let mut all = Vec::new();
    puppets.only(&[2, 3]);
    for _ in 0..count {
        let mut waiting = node.ticks(1)?;
        while !waiting.is_empty() {
            let answers: Vec<_> = waiting
                .iter()
                .filter(|mail| mail.kind() != MessageType::MsgSnapshot)
                .filter_map(|mail| puppets.answer(&mail.msg))
                .collect();
            all.append(&mut waiting);
            for answer in answers {
                waiting.extend(node.tell(answer)?);
            }
        }
    }
    Ok(all)
}

/// "The leader must occasionally send snapshots to followers that lag behind. This happens when the leader
/// has already discarded the next log entry that it needs to send" (section 7). An append whose previous
/// entry is compacted has no term to name.
///
/// Hint: if the storage answers "compacted" for the entries or for the term before them, ask it for a
/// snapshot.
fn a_leader_sends_a_snapshot_when_the_entries_are_gone(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab)?;
    let sent = beats_without_snapshots(&mut node, &mut puppets, 4)?;
    let why = "n1's log begins at 9, n3 has nothing, and four heartbeats went by";
    let m = expect::some(&sent, "a Snapshot to n3", why, |m| {
        m.msg_type() == MessageType::MsgSnapshot && m.to == 3
    })?;
    let snapshot = m.snapshot.clone().unwrap_or_default();
    let place = snapshot.metadata.unwrap_or_default();
    expect::that(
        (place.index, place.term) == (10, 1) && snapshot.data == b"state at 10"[..],
        "the snapshot is not the one that the storage holds",
        "the storage holds a snapshot up to 10@1 with data \"state at 10\"",
        format!("{}, data {}", notation::message(m), sim::failure::show(&snapshot.data)),
    )?;
    let voters = place.conf_state.unwrap_or_default().voters;
    expect::that(
        voters.len() == 3,
        "the snapshot does not name the members of the group",
        "the group is n1, n2 and n3",
        format!("the snapshot names {voters:?}"),
    )?;
    for m in mail::of_kind(&sent, MessageType::MsgAppend) {
        expect::that(
            m.index >= 8,
            "an append stands on an entry that is compacted",
            "n1's log begins at 9; of what is before, only 8@1 is known",
            notation::message(m),
        )?;
    }
    Ok(())
}

/// The storage may have no snapshot at hand (it is being made), or an old one that ends before the log begins: between
/// the two would be a gap. The leader asks again later, and serves the
/// others meanwhile.
///
/// Hint: "temporarily unavailable" is no error.
fn a_leader_without_a_snapshot_waits_for_one(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let setup = Setup::new(1, 3).log(&[1; 10]).commit(10);
    let mut puppets = Puppets::like(&setup, &[2]);
    puppets.add(3);
    puppets.only(&[2]);
    let mut node = lab.node(setup)?;
    node.settle()?;
    puppets.elect(&mut node)?;
    puppets.beats(&mut node, 2)?;
    let _ = node.order(Input::MakeSnapshot(3, b"state at 3".to_vec().into()))?;
    let _ = node.order(Input::Compact(8))?;
    node.disk.compact(8, b"");
    let sent = beats_without_snapshots(&mut node, &mut puppets, 5)?;
    let why = "n1's log begins at 9, n3 has nothing, and the storage has no snapshot but an old one up to 3";
    expect::none(&sent, MessageType::MsgSnapshot, why)?;
    let sent = node.offer(b"some data")?;
    puppets.talk(&mut node, sent)?;
    puppets.beats(&mut node, 2)?;
    expect::commit(&mut node, 12, &format!("{why}; n1 and n2 have stored a proposal"))?;
    let _ = node.order(Input::MakeSnapshot(10, b"state at 10".to_vec().into()))?;
    let sent = beats_without_snapshots(&mut node, &mut puppets, 5)?;
    let seen = snapshots(&sent, 3);
    expect::that(
        seen.first() == Some(&10),
        "a snapshot that is there at last is not sent",
        "the storage has a snapshot up to 10 now, and five heartbeats went by",
        format!("snapshots sent to n3: {seen:?}"),
    )
}

/// While a snapshot is under way to a follower, its answers to heartbeats, and late refusals and
/// acknowledgements, must not lead to another one: each would start the transfer anew, and it would never end.
///
/// Hint: a progress state for "snapshot sent"; it ends with a report, or with an acknowledgement of what the snapshot has.
fn one_snapshot_at_a_time(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab)?;
    let mut sent = beats_without_snapshots(&mut node, &mut puppets, 10)?;
    for _ in 0..5 {
        sent.extend(node.offer(b"some data")?);
        sent.extend(node.tell(message(MessageType::MsgHeartbeatResponse, 3, 1, 2))?);
        sent.extend(node.tell(refused(3, 1, 2, 10, (0, 0)))?);
        sent.extend(node.tell(accepted(3, 1, 2, 0))?);
    }
    let seen = snapshots(&sent, 3);
    expect::that(
        seen.len() == 1,
        "several snapshots are under way to one follower",
        "n3 needs a snapshot; it answers heartbeats, and has not acknowledged one; nobody reported a failure",
        format!("{} snapshots were sent to it", seen.len()),
    )
}

/// A snapshot that is lost on the way is sent again when the transport says so, within a few heartbeats; a
/// leader that took it for delivered would go back one entry at a time, through entries that it has not.
///
/// Hint: after a failed snapshot, probe from `match + 1`.
fn a_lost_snapshot_is_sent_again(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab)?;
    for round in 1..=3 {
        let sent = beats_without_snapshots(&mut node, &mut puppets, 6)?;
        let seen = snapshots(&sent, 3);
        expect::that(
            seen.len() == 1,
            "a lost snapshot is not sent again",
            format!(
                "{} snapshots to n3 were lost, and the transport said so; six heartbeats went by",
                round - 1
            ),
            format!("{} snapshots were sent to it since", seen.len()),
        )?;
        let _ = node.order(Input::ReportSnapshot(3, false))?;
        node.settle()?;
    }
    puppets.only(&[2, 3]);
    puppets.beats(&mut node, 6)?;
    let why = "three snapshots to n3 were lost, the fourth arrived";
    expect::that(
        puppets.last(3) == 11,
        "a follower is not up to date",
        why,
        format!("n3 ends at {}", puppets.last(3)),
    )
}

/// When the snapshot is acknowledged, the leader goes on with the entries behind it.
///
/// Hint: `match` is the snapshot's index, `next` comes after it.
fn after_a_snapshot_entries_follow(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab)?;
    puppets.only(&[2, 3]);
    let sent = puppets.beats(&mut node, 4)?;
    let _ = node.order(Input::ReportSnapshot(3, true))?;
    node.settle()?;
    let more = [sent, puppets.beats(&mut node, 4)?].concat();
    let why = "n3 installed a snapshot up to 10 and acknowledged it; n1's log ends at 11";
    expect::that(
        puppets.last(3) == 11,
        "entries do not follow a snapshot",
        why,
        format!("n3 ends at {}", puppets.last(3)),
    )?;
    let seen = snapshots(&more, 3);
    expect::that(
        seen.len() == 1,
        "a snapshot is followed by another one",
        why,
        format!("snapshots: {seen:?}"),
    )?;
    expect::status(&mut node, "at match 11 for n3", why, |s| {
        s.progress.iter().any(|(id, matched, _)| (*id, *matched) == (3, 11))
    })
}

/// A node that was away while the others compacted their logs comes back, gets a snapshot, and then entries:
/// in the end it is like the others.
///
/// Hint: all of the above, in a group.
fn a_slow_node_is_brought_up_by_a_snapshot(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(3)?;
    net.campaign(1)?;
    net.isolate(3);
    for _ in 0..100 {
        net.propose(1, b"some data")?;
    }
    net.beats(1)?;
    for id in [1, 2] {
        let applied = net.status(id)?.applied;
        net.compact(id, applied)?;
    }
    net.heal();
    net.beats(1)?;
    net.propose(1, b"one more")?;
    net.beats(1)?;
    let why =
        "n3 missed 100 entries, which n1 and n2 have compacted; it is back for six heartbeats";
    for id in 1..=3 {
        net.expect_commit(id, 102, why)?;
    }
    let base = net.nodes[&3].disk.durable().truncated.0;
    expect::that(
        base == 101,
        "no snapshot was installed",
        why,
        format!("n3's log begins after {base}"),
    )
}

/// A snapshot that takes its time (it is lost over and over) does not hold up the others: they commit.
///
/// Hint: only the follower that waits for it is paused.
fn a_group_lives_on_while_a_snapshot_is_under_way(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.group(3)?;
    net.campaign(1)?;
    net.isolate(3);
    for _ in 0..10 {
        net.propose(1, b"some data")?;
    }
    net.beats(1)?;
    net.compact(1, 11)?;
    net.heal();
    net.ignore(MessageType::MsgSnapshot);
    for _ in 0..10 {
        net.propose(1, b"more")?;
        net.beats(1)?;
    }
    let why = "every snapshot to n3 is lost; ten more proposals were made";
    net.expect_commit(1, 21, why)?;
    net.expect_commit(2, 21, why)?;
    net.heal();
    net.beats(1)?;
    net.beats(1)?;
    net.expect_commit(3, 21, "snapshots arrive again")
}
