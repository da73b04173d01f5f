//! Reads without a log entry: ReadIndex (section 8; thesis 6.4).
//!
//! A read is asked for with a context, and released with an index: it may be served once that index is
//! applied. Three things must be true for it: the leader has committed an entry of its own term (so it
//! knows what is committed), a majority confirms *after* the question that it still leads, and it is the
//! same leadership that answers.

use proto::eraftpb::{Message, MessageType};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::mail::{Mail, append, message, vote};
use crate::protocol::{Input, RaftNode, Role};
use crate::world::{Lab, Net, Node, Puppets, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("read.rs":
        a_lone_node_reads_at_its_commit_index,
        a_read_waits_for_a_majority,
        an_answer_from_before_the_question_confirms_nothing,
        answers_of_one_follower_count_once,
        a_read_needs_an_entry_of_the_leaders_own_term,
        a_deposed_leader_releases_no_read,
        a_read_dies_with_the_leadership,
        a_follower_asks_its_leader,
    )
}

fn ask(node: &mut Node, context: &[u8]) -> Outcome<Vec<Mail>> {
    let _ = node.order(Input::ReadIndex(context.to_vec().into()))?;
    node.settle()
}

/// The index at which the read with this context was released, if it was.
fn released(node: &Node, context: &[u8]) -> Option<u64> {
    node.reads.iter().find(|(_, ctx)| ctx == context).map(|(index, _)| *index)
}

fn is_released(node: &Node, context: &[u8], at: u64, why: &str) -> Outcome {
    match released(node, context) {
        Some(index) if index >= at => Ok(()),
        Some(index) => Err(Failure::broke(
            "a read would see the past",
            format!("{why}: everything up to {at} is committed"),
            format!("n{} released the read at index {index}", node.id),
        )),
        None => Err(Failure::broke(
            "a read is never released",
            why,
            format!("n{} released {} reads, not this one", node.id, node.reads.len()),
        )),
    }
}

fn is_held(node: &Node, context: &[u8], why: &str) -> Outcome {
    let index = released(node, context);
    expect::that(
        index.is_none(),
        "a read is released too early",
        why,
        format!("n{} released it at index {}", node.id, index.unwrap_or(0)),
    )
}

/// Heartbeats, or whatever else asks for confirmation, answered as they came.
fn confirm(node: &mut Node, sent: &[Mail], from: u64, puppets: &mut Puppets) -> Outcome {
    let to: Vec<Message> = sent.iter().map(|m| m.msg.clone()).filter(|m| m.to == from).collect();
    to.iter().filter_map(|m| puppets.answer(m)).try_for_each(|answer| node.tell(answer).map(drop))
}

/// The leader of a group of this size, with three committed entries, and its followers.
fn leader<'l>(lab: &'l Lab<'l>, size: u64) -> Outcome<(Node<'l>, Puppets)> {
    let mut puppets = Puppets::new(&(2..=size).collect::<Vec<_>>());
    let mut node = lab.node(Setup::new(1, size))?;
    puppets.elect(&mut node)?;
    for _ in 0..2 {
        let sent = node.offer(b"some data")?;
        puppets.talk(&mut node, sent)?;
    }
    puppets.beats(&mut node, 3)?;
    Ok((node, puppets))
}

/// A group of one needs nobody's confirmation.
///
/// Hint: a quorum of one is there at once.
fn a_lone_node_reads_at_its_commit_index(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 1))?;
    node.campaign()?;
    node.offer(b"some data")?;
    ask(&mut node, b"read")?;
    is_released(&node, b"read", 2, "the only voter leads, and was asked to read")
}

/// A leader checks "whether it has been deposed before processing a read-only request", by heartbeats with
/// a majority (section 8). Without their answers there may be another leader, and newer data.
///
/// Hint: send heartbeats with the read's context; release it when a majority, you among them, has answered
/// with it.
fn a_read_waits_for_a_majority(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab, 5)?;
    let mut sent = ask(&mut node, b"read")?;
    is_held(&node, b"read", "a leader of five was asked to read, and nobody has answered since")?;
    sent.extend(node.ticks(1)?);
    confirm(&mut node, &sent, 2, &mut puppets)?;
    is_held(&node, b"read", "of five nodes the leader and n2 have confirmed")?;
    confirm(&mut node, &sent, 3, &mut puppets)?;
    is_released(&node, b"read", 3, "the leader, n2 and n3 of five have confirmed")
}

/// Only an answer to something that was sent *after* the question shows that the leader still led then.
/// An answer to an earlier heartbeat, or to an earlier read, does not.
///
/// Hint: the answer must bring back this read's context, or that of a later one.
fn an_answer_from_before_the_question_confirms_nothing(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab, 3)?;
    let mut early = node.ticks(1)?;
    early.extend(ask(&mut node, b"first")?);
    let mut late = ask(&mut node, b"second")?;
    late.extend(node.ticks(1)?);
    confirm(&mut node, &early, 2, &mut puppets)?;
    node.tell(message(MessageType::MsgHeartbeatResponse, 2, 1, 1))?;
    node.tell(message(MessageType::MsgHeartbeatResponse, 3, 1, 1))?;
    let why =
        "two followers answered what was sent before the leader was asked for the second read";
    is_held(&node, b"second", why)?;
    is_released(&node, b"first", 3, "n2 answered what was sent after the first read")?;
    confirm(&mut node, &late, 3, &mut puppets)?;
    is_released(&node, b"second", 3, "n3 answered what was sent after the second read")
}

/// An answer that arrives twice is one answer.
///
/// Hint: remember who confirmed, not how many.
fn answers_of_one_follower_count_once(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab, 5)?;
    let mut sent = ask(&mut node, b"read")?;
    sent.extend(node.ticks(1)?);
    for _ in 0..4 {
        confirm(&mut node, &sent, 2, &mut puppets)?;
    }
    let stranger = message(MessageType::MsgHeartbeatResponse, 9, 1, 1);
    node.tell(Message { context: b"read".as_slice().into(), ..stranger })?;
    let why = "of five nodes the leader and n2 have confirmed; n2's answer came four times, and one of n9, a stranger";
    is_held(&node, b"read", why)
}

/// A new leader does not know what its predecessors committed until an entry of its own term is committed
/// (section 8): its commit index may be behind what clients were told.
///
/// Hint: refuse, or hold, reads until the term of the entry at the commit index is yours.
fn a_read_needs_an_entry_of_the_leaders_own_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    // Its log has three entries that may be committed; it knows of one.
    let setup = Setup::new(1, 3).log(&[1, 1, 1]).commit(1);
    let mut puppets = Puppets::like(&setup, &[2, 3]);
    let mut node = lab.node(setup)?;
    puppets.only(&[]);
    node.campaign()?;
    node.tell(vote(2, 1, 2, true))?;
    expect::role(&mut node, Role::Leader, 2, "n2 granted its vote")?;
    let mut sent = ask(&mut node, b"read")?;
    sent.extend(node.ticks(1)?);
    sent.retain(|mail| mail.kind() == MessageType::MsgHeartbeat);
    puppets.only(&[2, 3]);
    for from in [2, 3] {
        confirm(&mut node, &sent, from, &mut puppets)?;
    }
    let why = "it leads term 2, all confirmed that it leads, but nobody has acknowledged an entry of term 2";
    is_held(&node, b"read", why)?;
    puppets.beats(&mut node, 5)?;
    expect::commit(&mut node, 4, "all acknowledged the first entry of term 2")?;
    let sent = ask(&mut node, b"again")?;
    puppets.talk(&mut node, sent)?;
    puppets.beats(&mut node, 2)?;
    is_released(
        &node,
        b"again",
        4,
        "an entry of its own term is committed, and it was asked once more",
    )
}

/// A leader that was cut off and deposed does not know it. It cannot reach a majority, so it releases no
/// read; not when it hears of its successor, either.
///
/// Hint: pending reads end with the leadership.
fn a_deposed_leader_releases_no_read(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net: Net = lab.group(5)?;
    net.campaign(1)?;
    net.propose(1, b"old")?;
    net.beats(1)?;
    for id in [3, 4, 5] {
        net.cut(1, id);
        net.cut(2, id);
    }
    net.campaign(3)?;
    net.propose(3, b"new")?;
    net.beats(3)?;
    net.expect_role(1, Role::Leader, "it has not heard of n3 yet")?;
    net.read(1, b"read")?;
    net.beats(1)?;
    let why = "n1, which led term 1, reaches n2 only, of five; n3 was elected and has committed since; n1 was asked to read";
    is_held(&net.nodes[&1], b"read", why)?;
    net.heal();
    net.beats(3)?;
    net.beats(3)?;
    is_held(&net.nodes[&1], b"read", why)?;
    net.read(3, b"now")?;
    net.beats(3)?;
    is_released(&net.nodes[&3], b"now", 4, "n3 leads, and all links work")
}

/// What was asked of one leadership is not answered by the next, not even by the same node: answers under
/// way belong to the old term.
///
/// Hint: forget pending reads whenever the role or the term changes.
fn a_read_dies_with_the_leadership(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = leader(&lab, 3)?;
    let mut sent = ask(&mut node, b"read")?;
    sent.extend(node.ticks(1)?);
    node.tell(append(2, 1, 2, (3, 1), Vec::new()))?;
    for from in [2, 3] {
        confirm(&mut node, &sent, from, &mut puppets)?;
    }
    is_held(&node, b"read", "it was deposed by n2 in term 2 before anybody had answered")?;
    puppets.elect(&mut node)?;
    for from in [2, 3] {
        confirm(&mut node, &sent, from, &mut puppets)?;
    }
    is_held(&node, b"read", "it leads again, in term 3; what confirms it was sent in term 1")
}

/// A follower that is asked to read asks its leader, and releases the read when the answer comes: it may
/// serve it once it has applied that index itself.
///
/// Hint: pass `MsgReadIndex` on; `MsgReadIndexResp` becomes a read state.
fn a_follower_asks_its_leader(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net: Net = lab.group(3)?;
    net.campaign(1)?;
    net.propose(1, b"some data")?;
    net.beats(1)?;
    net.read(2, b"read")?;
    net.beats(1)?;
    is_released(&net.nodes[&2], b"read", 2, "n1 leads, all links work, and n2 was asked to read")?;
    net.isolate(3);
    net.read(3, b"alone")?;
    net.beats(1)?;
    is_held(&net.nodes[&3], b"alone", "n3 is cut off from its leader")
}
