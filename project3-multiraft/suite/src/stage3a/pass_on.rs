//! Wishes that come to a follower, or over the network.

use proto::eraftpb::MessageType;
use raft_suite::mail::heartbeat;
use raft_suite::notation;
use raft_suite::protocol::{RaftNode, Role};
use raft_suite::world::{Lab, Setup, World, expect};
use sim::failure::Outcome;
use sim::harness::Test;

use super::scene::{expect_open, expect_works, leader, led_group, wish};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("pass_on.rs":
        a_follower_passes_the_wish_on,
        a_wish_over_the_network_is_granted,
        a_wish_of_another_term_is_void,
        a_follower_that_wants_to_lead_asks_its_leader,
    )
}

/// A follower cannot hand over what it has not got. It passes the wish on to its leader: in the name of the transferee,
/// since `from` is how that message names it (as in etcd and raft-rs).
///
/// Hint: `send` fills in only what is empty.
fn a_follower_passes_the_wish_on(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(2, 3).term(1))?;
    node.tell(heartbeat(1, 2, 1, 0))?;
    let sent = node.transfer(3)?;
    let why = "n2 follows n1 in term 1, and was asked to see to it that n3 leads";
    let m = expect::one(&sent, MessageType::MsgTransferLeader, why)?;
    expect::that(
        (m.from, m.to, m.term) == (3, 1, 1),
        "the wish is not passed on as it should be",
        why,
        format!("sent: {}; from is n3, the receiver n1, the term 1", notation::message(m)),
    )
}

/// A leader grants a wish that comes over the network as one of its own, also if it names no receiver. A node that can do
/// nothing about it drops it: that is no error.
///
/// Hint: `m.from` shall lead.
fn a_wish_over_the_network_is_granted(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for to in [1, 0] {
        let (mut node, _) = leader(&lab, &[2, 3])?;
        let sent = node.tell(wish(3, to, 1))?;
        let why =
            "n1 leads term 1, n3 has everything, and the wish that n3 leads came over the network";
        let m = expect::one(&sent, MessageType::MsgTimeoutNow, why)?;
        expect::that(m.to == 3, "somebody else is told", why, notation::message(m))?;
    }
    let mut node = lab.node(Setup::new(1, 3).term(1))?;
    let sent = node.tell(wish(3, 1, 1))?;
    let why = "n1 knows no leader of term 1, and the wish that n3 leads came over the network";
    expect::none(&sent, MessageType::MsgTransferLeader, why)?;
    let (mut node, _) = leader(&lab, &[2, 3])?;
    let sent = node.tell(wish(9, 1, 1))?;
    let why = "n1 leads {n1 n2 n3}, and the wish that n9 leads came over the network";
    expect::none(&sent, MessageType::MsgTimeoutNow, why)?;
    expect_open(&mut node, why)
}

/// A wish that was uttered in an earlier term was about another leadership.
///
/// Hint: the term rule, for a message that the core does not see.
fn a_wish_of_another_term_is_void(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let setup = Setup::new(1, 3).log(&[1, 1, 4]).applied(3);
    let (mut node, _) = super::scene::lead(&lab, setup, &[2, 3])?;
    let sent = node.tell(wish(3, 1, 4))?;
    let why = "n1 leads term 5; the wish that n3 leads is of term 4";
    expect::none(&sent, MessageType::MsgTimeoutNow, why)?;
    expect_open(&mut node, why)
}

/// The whole way: a follower is asked, the leader hands over, whoever was meant leads.
///
/// Hint: this is the way that a scheduler's wish takes which comes to the wrong store.
fn a_follower_that_wants_to_lead_asks_its_leader(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = led_group(&lab, 3)?;
    net.transfer(3, 3)?;
    net.expect_role(3, Role::Leader, "n3, a follower, was asked to see to it that it leads")?;
    net.beats(3)?;
    net.transfer(1, 2)?;
    net.beats(2)?;
    expect_works(&mut net, 2, "n3 led; n1, a follower, was asked to see to it that n2 leads")
}
