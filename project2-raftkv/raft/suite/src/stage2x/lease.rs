//! Reads by the leader's lease (thesis 6.4.1): while its followers would vote for nobody else, a leader
//! need not ask.

use proto::eraftpb::{Message, MessageType};
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{self, message, vote};
use crate::protocol::{Input, RaftNode, Role};
use crate::world::{Lab, Node, Puppets, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("lease.rs":
        a_lease_read_needs_no_round,
        a_lease_needs_an_entry_of_the_leaders_own_term,
        a_lease_ends_without_a_quorum,
        a_lease_is_shorter_than_an_election_timeout,
    )
}

fn with_lease(setup: Setup) -> Setup {
    setup.with(|c| (c.check_quorum, c.lease_read) = (true, true))
}

/// A node that has been up for an election timeout. With leases on, one that has just come back may not yet
/// vote, not even for itself: it cannot know whose lease it broke.
fn awake<'l>(lab: &'l Lab<'l>, setup: Setup) -> Outcome<Node<'l>> {
    let mut node = lab.node(with_lease(setup))?;
    node.ticks(node.config().election_tick)?;
    Ok(node)
}

fn ask(node: &mut Node, context: &[u8]) -> Outcome<Option<u64>> {
    let _ = node.order(Input::ReadIndex(context.to_vec().into()))?;
    node.settle()?;
    Ok(node.reads.iter().find(|(_, ctx)| ctx == context).map(|(index, _)| *index))
}

/// With a lease, a read is released at once, at the commit index: no message, no wait.
///
/// Hint: the lease runs from when the heartbeat was *sent* that a majority has answered.
fn a_lease_read_needs_no_round(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut puppets = Puppets::new(&[2, 3]);
    let mut node = awake(&lab, Setup::new(1, 3))?;
    puppets.elect(&mut node)?;
    for round in 0..5 {
        puppets.beats(&mut node, 4)?;
        let sent = node.offer(b"some data")?;
        puppets.talk(&mut node, sent)?;
        puppets.beats(&mut node, 1)?;
        let commit = node.status()?.committed;
        let seen = ask(&mut node, format!("read {round}").as_bytes())?;
        expect::that(
            seen == Some(commit),
            "a read under a lease is not released at once",
            format!(
                "it leads, all followers have just answered its heartbeats, and {commit} is committed"
            ),
            format!("the read was released at {seen:?}"),
        )?;
    }
    Ok(())
}

/// A lease says that there is no other leader, not that this one knows what is committed: for that an entry
/// of its own term must be committed (section 8).
///
/// Hint: the same condition as for ReadIndex.
fn a_lease_needs_an_entry_of_the_leaders_own_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = awake(&lab, Setup::new(1, 3).log(&[1, 1, 1]).commit(1))?;
    node.campaign()?;
    let term = node.status()?.term;
    node.tell(vote(2, 1, term, true))?;
    expect::role(&mut node, Role::Leader, term, "n2 granted its vote")?;
    for beat in mail::of_kind(&node.ticks(1)?, MessageType::MsgHeartbeat) {
        let answer = message(MessageType::MsgHeartbeatResponse, beat.to, 1, term);
        node.tell(Message { context: beat.context.clone(), ..answer })?;
    }
    let seen = ask(&mut node, b"read")?;
    expect::that(
        seen.is_none(),
        "a read under a lease is released too early",
        "it leads, and no entry of its term is committed; of three earlier ones it knows of 1",
        format!("the read was released at {seen:?}"),
    )
}

/// A leader that is cut off releases no read when another may have been elected: after three election
/// timeouts it does not even lead any more.
///
/// Hint: the lease is shorter than the minimum election timeout, and needs CheckQuorum.
fn a_lease_ends_without_a_quorum(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut puppets = Puppets::new(&[2, 3]);
    let mut node = awake(&lab, Setup::new(1, 3))?;
    puppets.elect(&mut node)?;
    puppets.beats(&mut node, 4)?;
    puppets.only(&[]);
    node.ticks(3 * node.config().election_tick)?;
    let seen = ask(&mut node, b"read")?;
    expect::that(
        seen.is_none(),
        "a read is released although the lease is over",
        "nobody has answered it for three election timeouts",
        format!("the read was released at {seen:?}"),
    )
}

/// A lease is worth having, so that it outlasts a few heartbeats that are lost; and it is over before a follower that has heard the
/// last one can listen to a candidate, even if that follower's clock is a quarter faster and its next tick comes at once.
///
/// Hint: four fifths of one tick less than the election timeout, from when the heartbeat was sent.
fn a_lease_is_shorter_than_an_election_timeout(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for election_tick in [10, 20, 31] {
        let mut puppets = Puppets::new(&[2, 3]);
        let setup = Setup::new(1, 3).with(|c| c.election_tick = election_tick);
        let mut node = awake(&lab, setup)?;
        puppets.elect(&mut node)?;
        puppets.beats(&mut node, 4)?;
        puppets.only(&[]);
        let mut last = 0;
        for tick in 1..=2 * election_tick {
            node.ticks(1)?;
            if ask(&mut node, format!("read {tick}").as_bytes())?.is_some() {
                last = tick;
            }
        }
        let most = (election_tick - 1) * 4 / 5;
        expect::that(
            (election_tick / 2..most).contains(&last),
            "a lease is too short, or too long",
            format!(
                "the election timeout is {election_tick} ticks, and all answered the last heartbeat"
            ),
            format!(
                "it still released a read {last} ticks later; that should be at least {}, and less than {most}",
                election_tick / 2
            ),
        )?;
    }
    Ok(())
}
