//! Votes (section 5.2): one a term, first come, first served, and never forgotten.

use proto::eraftpb::MessageType;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{Mail, heartbeat, request_vote};
use crate::notation;
use crate::protocol::{RaftNode, Role};
use crate::world::{Lab, Node, Puppets, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("vote.rs":
        a_node_votes_for_the_first_who_asks,
        a_node_votes_once_a_term,
        the_vote_is_free_again_in_a_new_term,
        a_vote_can_be_won_from_any_role,
        a_vote_request_of_an_older_term_gets_no_vote,
        a_candidate_keeps_its_own_vote,
        a_vote_survives_a_crash,
    )
}

/// Whether the one answer among `sent` grants the vote to `to` in `term`.
fn granted(sent: &[Mail], to: u64, term: u64, why: &str) -> Outcome<bool> {
    let m = expect::one(sent, MessageType::MsgRequestVoteResponse, why)?;
    expect::that(
        m.to == to && m.term == term,
        "the answer to a vote request goes astray",
        format!("n{to} asked in term {term}"),
        notation::message(m),
    )?;
    Ok(!m.reject)
}

fn asks(node: &mut Node, candidate: u64, term: u64, expected: bool, why: &str) -> Outcome {
    let sent = node.tell(request_vote(candidate, node.id, term, (0, 0)))?;
    let seen = granted(&sent, candidate, term, why)?;
    let yes = |granted: bool| if granted { "granted" } else { "refused" };
    expect::that(
        seen == expected,
        format!("a vote should have been {}", yes(expected)),
        format!("{why}; then n{candidate} asked for its vote in term {term}"),
        format!("the vote was {}", yes(seen)),
    )
}

/// Each server votes for at most one candidate in a given term, on a first-come-first-served basis
/// (section 5.2). Asked again by the same candidate, it repeats its answer: the first may be lost.
///
/// Hint: grant if `vote` is nobody or this candidate; set `vote` when you grant.
fn a_node_votes_for_the_first_who_asks(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (voted, asking, expected) in
        [(0, 2, true), (0, 3, true), (2, 2, true), (3, 3, true), (2, 3, false), (3, 2, false)]
    {
        let mut node = lab.node(Setup::new(1, 3).term(1).vote(voted))?;
        let why = format!("in term 1 it had voted for {}", notation::node(voted));
        asks(&mut node, asking, 1, expected, &why)?;
        let (vote, why) = if expected {
            (asking, format!("n{asking} asked in term 1, and it said yes"))
        } else {
            (voted, why)
        };
        expect::status(&mut node, &format!("voting for n{vote}"), &why, |s| s.vote == vote)?;
    }
    Ok(())
}

/// Two candidates ask in one term: one is granted, the other refused, each with exactly one answer. With
/// two votes of one node there could be two majorities.
///
/// Hint: after a refusal, return.
fn a_node_votes_once_a_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 5))?;
    asks(&mut node, 3, 2, true, "it was new")?;
    for _ in 0..2 {
        for other in [2, 4, 5] {
            asks(&mut node, other, 2, false, "in term 2 it had voted for n3")?;
        }
        asks(&mut node, 3, 2, true, "in term 2 it had voted for n3, and refused others since")?;
    }
    expect::status(&mut node, "voting for n3", "it had voted for n3 in term 2", |s| s.vote == 3)
}

/// A vote is for one term: in the next one it is free again. Else there would be one election, and then
/// never another.
///
/// Hint: whoever raises the term forgets the vote.
fn the_vote_is_free_again_in_a_new_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    for term in 1..6 {
        let (first, second) = if term % 2 == 0 { (2, 3) } else { (3, 2) };
        let why = format!("it has not voted in term {term}");
        asks(&mut node, first, term, true, &why)?;
        let why = format!("in term {term} it had voted for n{first}");
        asks(&mut node, second, term, false, &why)?;
    }
    // The term may rise without an election of which this node hears.
    node.tell(heartbeat(2, 1, 9, 0))?;
    node.tell(heartbeat(2, 1, 10, 0))?;
    expect::status(&mut node, "without a vote", "nobody asked for one in term 10", |s| s.vote == 0)
}

/// Follower, candidate or leader: who is asked in a higher term becomes a follower of that term and, if
/// the log allows, votes (sections 5.1 and 5.2).
///
/// Hint: the higher term is dealt with before the role is looked at.
fn a_vote_can_be_won_from_any_role(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for was in [Role::Follower, Role::Candidate, Role::Leader] {
        let mut node = lab.node(Setup::new(1, 3))?;
        match was {
            Role::Follower => drop(node.tell(heartbeat(3, 1, 1, 0))?),
            Role::Leader => drop(Puppets::new(&[2, 3]).elect(&mut node)?),
            _ => drop(node.campaign()?),
        }
        expect::role(&mut node, was, 1, "the test has just made it so")?;
        let sent = node.tell(request_vote(2, 1, 2, (42, 2)))?;
        let why = format!(
            "it was {} in term 1, and n2, with a longer log, asked in term 2",
            notation::role(was)
        );
        expect::that(granted(&sent, 2, 2, &why)?, "the vote was refused", &why, "it refused")?;
        expect::role(&mut node, Role::Follower, 2, &why)?;
        expect::status(&mut node, "voting for n2, with no leader yet", &why, |s| {
            s.vote == 2 && s.leader == 0
        })?;
    }
    Ok(())
}

/// A request of an older term gets no vote, and does not use one up (section 5.1; figure 2, RequestVote
/// RPC, rule 1): it is a late message of an election that is over.
///
/// Hint: `m.term < self.term` is refused before vote and log are looked at.
fn a_vote_request_of_an_older_term_gets_no_vote(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).term(5))?;
    let why = "it is in term 5, has not voted, and n3 asked in term 3";
    let sent = node.tell(request_vote(3, 1, 3, (9, 3)))?;
    let granted = sent
        .iter()
        .find(|mail| mail.kind() == MessageType::MsgRequestVoteResponse && !mail.msg.reject);
    expect::that(
        granted.is_none(),
        "a vote was granted to a candidate of an older term",
        why,
        granted.map_or_else(String::new, Mail::show),
    )?;
    expect::status(&mut node, "in term 5 without a vote", why, |s| s.vote == 0 && s.term == 5)?;
    asks(&mut node, 2, 5, true, "in term 5 it was asked by a candidate of term 3 only")
}

/// A candidate votes for itself (section 5.2), and so for nobody else in its term.
///
/// Hint: `become_candidate` sets `vote`.
fn a_candidate_keeps_its_own_vote(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    node.campaign()?;
    let why = "it is a candidate in term 1";
    asks(&mut node, 2, 1, false, why)?;
    expect::role(&mut node, Role::Candidate, 1, why)?;
    Puppets::new(&[3]).talk(&mut node, vec![request_vote(1, 3, 1, (0, 0)).into()])?;
    asks(&mut node, 2, 1, false, "it leads term 1")?;
    expect::role(&mut node, Role::Leader, 1, "n3 granted its vote; n2 asked in the same term")
}

/// The vote is part of the persistent state (figure 2): a node that crashes after it has voted must not
/// vote for another candidate of the same term when it is back. The original course's tests let a node
/// pass that never stores its vote.
///
/// Hint: a change of the vote must show up in `Ready.hard_state`.
fn a_vote_survives_a_crash(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    asks(&mut node, 2, 4, true, "it was new")?;
    node.crash()?;
    let why = "in term 4 it voted for n2, every Ready was durable, then it crashed and came back";
    asks(&mut node, 3, 4, false, why)?;
    asks(&mut node, 2, 4, true, why)?;
    node.campaign()?;
    node.crash()?;
    let why =
        "in term 5 it was a candidate, every Ready was durable, then it crashed and came back";
    asks(&mut node, 2, 5, false, why)
}
