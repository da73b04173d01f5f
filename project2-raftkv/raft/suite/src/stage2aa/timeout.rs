//! Election timeouts (section 5.2): nobody campaigns too early, everybody does in the end, and not all
//! at once.

use std::collections::BTreeSet;

use proto::eraftpb::MessageType;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{self, append, heartbeat, request_vote};
use crate::protocol::{RaftNode, Role};
use crate::world::{Lab, Node, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("timeout.rs":
        a_follower_that_hears_nothing_campaigns,
        a_candidate_that_times_out_starts_a_new_term,
        a_word_from_the_leader_starts_the_timeout_anew,
        a_granted_vote_starts_the_timeout_anew,
        a_word_from_an_older_term_does_not_count,
        a_follower_draws_each_timeout_anew,
        a_candidate_draws_each_timeout_anew,
        nodes_seldom_time_out_together,
        a_node_outside_the_configuration_never_campaigns,
    )
}

fn et(node: &Node) -> u64 {
    node.config().election_tick
}

/// Ticks until the node asks for votes; at most four election timeouts.
fn until_it_campaigns(node: &mut Node) -> Outcome<u64> {
    for tick in 1..=4 * et(node) {
        let sent = node.ticks(1)?;
        if !mail::of_kind(&sent, MessageType::MsgRequestVote).is_empty() {
            return Ok(tick);
        }
    }
    let limit = 4 * et(node);
    expect::that(
        false,
        "a node never campaigns",
        format!(
            "n{} has heard nothing for {limit} ticks; its election timeout is {}",
            node.id,
            et(node)
        ),
        "it has asked nobody for a vote",
    )?;
    Ok(limit)
}

/// "If a follower receives no communication over a period of time called the election timeout, then it
/// begins an election": it increments its term, votes for itself, and asks each of the others (section
/// 5.2). The timeout is drawn from one to two times `election_tick`.
///
/// Hint: count ticks since the last word of a leader; at the timeout, step `MsgHup` to yourself.
fn a_follower_that_hears_nothing_campaigns(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).term(4))?;
    let mut waited = et(&node) - 1;
    let early = node.ticks(waited)?;
    expect::none(&early, MessageType::MsgRequestVote, "less than `election_tick` ticks went by")?;
    expect::role(&mut node, Role::Follower, 4, "less than `election_tick` ticks went by")?;
    let mut sent = Vec::new();
    while sent.is_empty() && node.status()?.term == 4 {
        sent = node.ticks(1)?;
        waited += 1;
        expect::that(
            waited <= 2 * et(&node),
            "a follower never campaigns",
            "its election timeout is at most two times `election_tick`",
            format!(
                "it has heard nothing for {waited} ticks, and `election_tick` is {}",
                et(&node)
            ),
        )?;
    }
    let why = "a follower of term 4 heard nothing, and its election timeout passed";
    expect::role(&mut node, Role::Candidate, 5, why)?;
    expect::status(&mut node, "voting for itself", why, |s| s.vote == 1 && s.leader == 0)?;
    for to in [2, 3] {
        expect::some(&sent, &format!("a RequestVote of term 5 to n{to}"), why, |m| {
            m.msg_type() == MessageType::MsgRequestVote && m.to == to && m.term == 5
        })?;
    }
    Ok(())
}

/// A candidate that neither wins nor loses times out, and starts a new election in the next term (section
/// 5.2). In the same term everybody has voted already: nobody could ever win it.
///
/// Hint: `become_candidate` raises the term, whatever the role was before.
fn a_candidate_that_times_out_starts_a_new_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    node.campaign()?;
    expect::role(&mut node, Role::Candidate, 1, "it campaigned for the first time")?;
    for term in 2..5 {
        let mut sent = Vec::new();
        for _ in 0..2 * et(&node) {
            sent.extend(node.ticks(1)?);
            if node.status()?.term >= term {
                break;
            }
        }
        let why = format!("it was a candidate of term {}, and nobody answered", term - 1);
        expect::role(&mut node, Role::Candidate, term, &why)?;
        for to in [2, 3] {
            expect::some(&sent, &format!("a RequestVote of term {term} to n{to}"), &why, |m| {
                m.msg_type() == MessageType::MsgRequestVote && m.to == to && m.term == term
            })?;
        }
    }
    Ok(())
}

/// A server remains a follower as long as it receives valid RPCs from a leader (section 5.2): a
/// heartbeat or an append starts the timeout anew.
///
/// Hint: set the elapsed ticks to 0 in both handlers, also when the append does not fit.
fn a_word_from_the_leader_starts_the_timeout_anew(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    for _ in 0..10 {
        node.tell(heartbeat(2, 1, 1, 0))?;
        let sent = node.ticks(et(&node) - 1)?;
        let why = "its leader speaks to it more often than once in an election timeout";
        expect::none(&sent, MessageType::MsgRequestVote, why)?;
        expect::role(&mut node, Role::Follower, 1, why)?;
    }
    Ok(())
}

/// "If election timeout elapses without receiving AppendEntries RPC from current leader or granting vote
/// to candidate" (figure 2): who has just given its vote away lets that candidate try first.
///
/// Hint: set the elapsed ticks to 0 where the vote is granted.
fn a_granted_vote_starts_the_timeout_anew(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).term(1))?;
    for term in 2..8 {
        node.tell(request_vote(2, 1, term, (0, 0)))?;
        let sent = node.ticks(et(&node) - 1)?;
        let why = "it grants a vote more often than once in an election timeout";
        expect::none(&sent, MessageType::MsgRequestVote, why)?;
    }
    // Also in a term that it is in already: n3's log is behind, so all that it brings is the term.
    let mut node = lab.node(Setup::new(1, 3).log(&[1]).term(1))?;
    for term in 2..12 {
        node.tell(request_vote(3, 1, term, (0, 0)))?;
        let why = format!("n3 asked for its vote in term {term}, and its own was older");
        expect::role(&mut node, Role::Follower, term, &why)?;
        node.ticks(et(&node) - 1)?;
        node.tell(request_vote(2, 1, term, (1, 1)))?;
        let why = format!("n2 asked in term {term}, in which it had voted for nobody");
        expect::status(&mut node, "voting for n2", &why, |s| s.vote == 2)?;
        let sent = node.ticks(et(&node) - 1)?;
        let why = "it has granted a vote less than an election timeout ago, in a term that it knew";
        expect::none(&sent, MessageType::MsgRequestVote, why)?;
    }
    Ok(())
}

/// Only the current leader's word counts: a deposed one, who does not know it yet, must not keep its old
/// followers from electing a new one.
///
/// Hint: drop what is older than your term before you touch the timer.
fn a_word_from_an_older_term_does_not_count(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).term(3))?;
    for _ in 0..2 * et(&node) {
        node.tell(heartbeat(2, 1, 2, 0))?;
        node.tell(append(2, 1, 2, (0, 0), Vec::new()))?;
        node.ticks(1)?;
    }
    expect::status(
        &mut node,
        "a candidate",
        "in term 3, it heard for two election timeouts from a leader of term 2 only",
        |s| s.role == Role::Candidate && s.term > 3,
    )
}

fn draws_are_different(timeouts: &[u64], tick: u64, who: &str) -> Outcome {
    let seen: BTreeSet<u64> = timeouts.iter().copied().collect();
    let (least, most) = (seen.first().copied().unwrap_or(0), seen.last().copied().unwrap_or(0));
    expect::that(
        least >= tick && most <= 2 * tick,
        "an election timeout lies outside of its interval",
        format!("`election_tick` is {tick}: {who} waits from {tick} to {} ticks", 2 * tick),
        format!("in {} elections it waited {least} to {most} ticks", timeouts.len()),
    )?;
    let missing: Vec<u64> = (tick + 1..2 * tick).filter(|t| !seen.contains(t)).collect();
    expect::that(
        missing.is_empty(),
        "election timeouts are not drawn anew from the whole interval each time",
        format!("`election_tick` is {tick}, and {who} timed out {} times", timeouts.len()),
        format!("it never waited {missing:?} ticks; it waited {seen:?}"),
    )
}

/// Raft uses randomised election timeouts, chosen from a fixed interval (section 5.2), and a node draws
/// a new one each time: two nodes that drew the same would else split the vote for ever.
///
/// Hint: draw in `reset`, that is whenever the role or the term changes.
fn a_follower_draws_each_timeout_anew(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).with(|c| c.election_tick = 5))?;
    let mut timeouts = Vec::new();
    for _ in 0..150 {
        let term = node.status()?.term + 1;
        node.tell(heartbeat(2, 1, term, 0))?;
        timeouts.push(until_it_campaigns(&mut node)?);
    }
    draws_are_different(&timeouts, 5, "a follower")
}

/// "Each candidate restarts its randomized election timeout at the start of an election" (section 5.2):
/// so after a split vote one of them will most likely be first.
///
/// Hint: draw in `reset`, that is whenever the role or the term changes.
fn a_candidate_draws_each_timeout_anew(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).with(|c| c.election_tick = 5))?;
    until_it_campaigns(&mut node)?;
    let mut timeouts = Vec::new();
    for _ in 0..150 {
        timeouts.push(until_it_campaigns(&mut node)?);
    }
    draws_are_different(&timeouts, 5, "a candidate")
}

/// Timeouts are spread out so that in most cases only a single server will time out (section 5.2). Five
/// nodes that start at the same time must not draw the same numbers.
///
/// Hint: the generator's seed comes with the configuration, another one for each node. Use it.
fn nodes_seldom_time_out_together(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut nodes = (1..=5).map(|id| lab.node(Setup::new(id, 5))).collect::<Outcome<Vec<_>>>()?;
    let (rounds, mut together) = (60, 0);
    for round in 1..=rounds {
        for node in &mut nodes {
            let leader = if node.id == 1 { 2 } else { 1 };
            let term = node.status()?.term.max(2 * round) + 1;
            node.tell(heartbeat(leader, node.id, term, 0))?;
        }
        let mut campaigns = 0;
        while campaigns == 0 {
            for node in &mut nodes {
                let sent = node.ticks(1)?;
                campaigns +=
                    usize::from(!mail::of_kind(&sent, MessageType::MsgRequestVote).is_empty());
            }
        }
        together += usize::from(campaigns > 1);
    }
    expect::that(
        together <= 35,
        "nodes time out together too often",
        format!("five nodes, an interval of ten ticks, {rounds} elections"),
        format!("in {together} of them two or more nodes campaigned at the same tick"),
    )
}

/// A node that is not among the voters (a learner, or one that was not told of any group yet) never
/// campaigns: it could only disturb. It still takes part in votes of others, who may know more.
///
/// Hint: ask the configuration before the timer fires.
fn a_node_outside_the_configuration_never_campaigns(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for setup in
        [Setup::of(9, &[1, 2, 3]), Setup::of(9, &[1, 2, 3]).learners(&[9]), Setup::of(9, &[])]
    {
        let mut node = lab.node(setup.term(3))?;
        let sent = node.ticks(5 * et(&node))?;
        let why = "it is no voter of its group, and heard nothing for five election timeouts";
        expect::none(&sent, MessageType::MsgRequestVote, why)?;
        expect::role(&mut node, Role::Follower, 3, why)?;
        let sent = node.tell(request_vote(2, 9, 4, (0, 0)))?;
        let why = "it is no voter as far as it knows, and n2 asked for its vote in term 4";
        let answer = expect::one(&sent, MessageType::MsgRequestVoteResponse, why)?;
        expect::that(
            !answer.reject,
            "the vote was refused",
            why,
            crate::notation::message(answer),
        )?;
    }
    Ok(())
}
