//! A transferee that does not take over.

use proto::eraftpb::MessageType;
use raft_suite::mail::accepted;
use raft_suite::protocol::RaftNode;
use raft_suite::world::{Lab, Node, Puppets, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{expect_closed, expect_open, expect_works, leader, led_group};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("give_up.rs":
        a_transfer_is_given_up_after_an_election_timeout,
        the_same_wish_twice_does_not_begin_anew,
        a_transfer_that_was_given_up_is_over,
        a_lost_word_does_no_harm,
    )
}

// n1 leads; n3 is behind, and silent.
fn to_the_silent<'l>(lab: &'l Lab<'l>) -> Outcome<(Node<'l>, Puppets)> {
    let (mut node, mut puppets) = leader(lab, &[2, 3])?;
    puppets.only(&[2]);
    let sent = node.offer(b"a write")?;
    puppets.talk(&mut node, sent)?;
    node.transfer(3)?;
    Ok((node, puppets))
}

/// A transferee that is dead never answers. A leader waits for it an election timeout, no longer: clients wait, too.
///
/// Hint: count ticks from the beginning of the transfer.
fn a_transfer_is_given_up_after_an_election_timeout(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = to_the_silent(&lab)?;
    puppets.beats(&mut node, 5)?;
    let why = "n1 began to hand over to n3 five ticks ago; n3 is silent, the election timeout is 10 ticks";
    expect_closed(&mut node, why)?;
    puppets.beats(&mut node, 6)?;
    let why = "n1 began to hand over to n3 eleven ticks ago; n3 is silent, the election timeout is 10 ticks";
    expect_open(&mut node, why)
}

/// Whoever wishes may say so again and again. The leader's patience is counted from the first time; else impatient
/// people could keep a group silent for ever.
///
/// Hint: the same transferee again is nothing new.
fn the_same_wish_twice_does_not_begin_anew(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = to_the_silent(&lab)?;
    for _ in 0..11 {
        puppets.beats(&mut node, 1)?;
        let status = node.status()?;
        if node.propose(b"a write")?.is_ok() && node.status()?.last_index > status.last_index {
            return Ok(());
        }
        node.transfer(3)?;
    }
    expect_open(
        &mut node,
        "n1 began to hand over to n3 eleven ticks ago, and was asked for the same again each tick; n3 is silent",
    )
}

/// After it gave up, a leader tells the transferee nothing, even if that answers at last: it has taken proposals again.
///
/// Hint: whoever gives up forgets whom.
fn a_transfer_that_was_given_up_is_over(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let (mut node, mut puppets) = to_the_silent(&lab)?;
    puppets.beats(&mut node, 11)?;
    let last = node.status()?.last_index;
    let sent = node.tell(accepted(3, 1, 1, last))?;
    let why = "n1 gave up to hand over to n3; then n3 acknowledged everything";
    expect::none(&sent, MessageType::MsgTimeoutNow, why)?;
    expect_open(&mut node, why)
}

/// The word may be lost on its way. Then nobody campaigns, and the leader goes on after a while, with nothing lost.
///
/// Hint: to have told somebody is not to be rid of it.
fn a_lost_word_does_no_harm(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    net.ignore(MessageType::MsgTimeoutNow);
    net.transfer(1, 3)?;
    net.heal();
    for _ in 0..11 {
        net.tick(1)?;
    }
    expect_works(&mut net, 1, "n1 told n3 to campaign, and that was lost; eleven ticks ago")?;
    net.transfer(1, 3)?;
    net.beats(3)?;
    expect_works(&mut net, 3, "n1 was asked once more to hand over to n3")
}
