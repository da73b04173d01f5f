//! Heartbeats (section 5.2): a leader's word to all, at each interval, and nobody else's.

use std::collections::BTreeSet;

use proto::eraftpb::{Message, MessageType};
use sim::failure::{Outcome, show};
use sim::harness::Test;

use crate::mail::{Mail, heartbeat, show_all};
use crate::notation;
use crate::protocol::{RaftNode, Role};
use crate::world::{Lab, Puppets, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("heartbeat.rs":
        a_leader_speaks_to_all_at_each_interval,
        a_new_leader_speaks_at_once,
        only_a_leader_speaks_as_one,
        a_heartbeat_tells_who_leads,
        a_heartbeat_is_answered,
    )
}

fn is_a_leaders(m: &Message) -> bool {
    matches!(m.msg_type(), MessageType::MsgHeartbeat | MessageType::MsgAppend)
}

fn spoken_to(sent: &[Mail], term: u64) -> BTreeSet<u64> {
    sent.iter()
        .filter(|mail| is_a_leaders(&mail.msg) && mail.msg.term == term)
        .map(|mail| mail.msg.to)
        .collect()
}

/// Leaders send periodic heartbeats to all followers in order to maintain their authority (section 5.2).
///
/// Hint: count ticks; at `heartbeat_tick` send each peer a heartbeat and begin anew.
fn a_leader_speaks_to_all_at_each_interval(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).with(|c| c.heartbeat_tick = 3))?;
    Puppets::new(&[2, 3]).elect(&mut node)?;
    for interval in 1..=5 {
        let sent = node.ticks(3)?;
        let seen = spoken_to(&sent, 1);
        expect::that(
            seen == BTreeSet::from([2, 3]),
            "a leader does not speak to each follower once in a heartbeat interval",
            format!("it leads n2 and n3 in term 1; interval {interval} of 3 ticks went by"),
            format!("sent: {}", show_all(&sent)),
        )?;
    }
    Ok(())
}

/// "Once a candidate wins an election, it sends heartbeat messages to all of the other servers to
/// establish its authority and prevent new elections" (section 5.2): at once, not at the next interval.
/// An append, with the first entry of its term, does as well.
///
/// Hint: `become_leader`, then `bcast_append`.
fn a_new_leader_speaks_at_once(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).term(3))?;
    let sent = Puppets::new(&[2, 3]).elect(&mut node)?;
    let seen = spoken_to(&sent, 4);
    expect::that(
        seen == BTreeSet::from([2, 3]),
        "a new leader does not tell all others that it leads",
        "n1 was elected in term 4, by n2 and n3, and no tick went by",
        format!("sent: {}", show_all(&sent)),
    )
}

/// Followers and candidates send neither heartbeats nor appends: those speak for a leader, and make
/// others follow.
///
/// Hint: the heartbeat timer runs on leaders only.
fn only_a_leader_speaks_as_one(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for role in [Role::Follower, Role::Candidate] {
        let mut node = lab.node(Setup::new(1, 3).log(&[1, 1]).commit(1))?;
        let mut sent = match role {
            Role::Candidate => node.campaign()?,
            _ => node.settle()?,
        };
        sent.extend(node.ticks(node.config().election_tick - 1)?);
        let word = sent.iter().find(|mail| is_a_leaders(&mail.msg));
        expect::that(
            word.is_none(),
            "a node that does not lead speaks as a leader",
            format!("it was {}, and ticks went by", notation::role(role)),
            word.map_or_else(String::new, Mail::show),
        )?;
    }
    Ok(())
}

/// A follower knows its leader from the leader's word: clients that come to it are sent there.
///
/// Hint: set the leader in the handlers of append, heartbeat and snapshot.
fn a_heartbeat_tells_who_leads(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    for (leader, term) in [(2, 1), (3, 2), (2, 4)] {
        node.tell(heartbeat(leader, 1, term, 0))?;
        let why = format!("n{leader} told it that it leads term {term}");
        expect::status(&mut node, &format!("following n{leader}"), &why, |s| {
            s.leader == leader && s.term == term && s.role == Role::Follower
        })?;
    }
    Ok(())
}

/// A heartbeat is answered, with the context that it carried: the answer tells the leader that this
/// follower is alive and, for reads, that it still leads.
///
/// Hint: `MsgHeartbeatResponse`, to the sender, in your term.
fn a_heartbeat_is_answered(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    for context in [&b""[..], b"a question"] {
        let sent = node.tell(Message { context: context.into(), ..heartbeat(2, 1, 3, 0) })?;
        let why = "n2, the leader of term 3, sent a heartbeat";
        let answer = expect::one(&sent, MessageType::MsgHeartbeatResponse, why)?;
        expect::that(
            answer.to == 2 && answer.term == 3 && answer.context == context,
            "the answer to a heartbeat goes astray, or without its context",
            format!("{why} with context {}", show(context)),
            format!("{}, context {}", notation::message(answer), show(&answer.context)),
        )?;
    }
    Ok(())
}
