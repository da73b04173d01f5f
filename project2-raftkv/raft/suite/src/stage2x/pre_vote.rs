//! PreVote (thesis 9.6): ask whether you would win before you disturb anybody.

use proto::eraftpb::{Message, MessageType};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::mail::{append, entries, heartbeat, message, of_kind, vote};
use crate::notation;
use crate::protocol::{RaftNode, Role};
use crate::world::{Lab, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("pre_vote.rs":
        a_pre_candidate_changes_no_term,
        a_majority_of_pre_votes_starts_the_election,
        a_pre_vote_binds_nobody,
        a_pre_vote_is_refused_to_a_log_behind,
        a_pre_vote_in_ones_own_term_follows_the_vote,
        a_majority_of_refusals_ends_the_question,
        a_late_answer_is_no_vote,
        a_pre_candidate_yields_to_a_leader,
        a_node_that_returns_does_not_depose_the_leader,
        a_group_with_pre_vote_elects_a_leader,
    )
}

fn with_pre_vote(setup: Setup) -> Setup {
    setup.with(|c| c.pre_vote = true)
}

fn pre_vote(from: u64, to: u64, term: u64, granted: bool) -> Message {
    let kind = MessageType::MsgRequestPreVoteResponse;
    Message { reject: !granted, ..message(kind, from, to, term) }
}

fn ask(from: u64, to: u64, term: u64, last: (u64, u64)) -> Message {
    let kind = MessageType::MsgRequestPreVote;
    Message { index: last.0, log_term: last.1, ..message(kind, from, to, term) }
}

/// A node whose election timeout passes asks in the *next* term, and stays in its own: term and vote on
/// disk do not change, however long nobody answers.
///
/// Hint: `RequestPreVote` carries `term + 1`.
fn a_pre_candidate_changes_no_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(with_pre_vote(Setup::new(1, 3).log(&[1, 3]).vote(2)))?;
    let sent = node.ticks(100)?;
    let why = "in term 3, with the log [1@1 2@3], it heard nothing for ten election timeouts";
    expect::none(&sent, MessageType::MsgRequestVote, why)?;
    for to in [2, 3] {
        expect::some(&sent, &format!("a RequestPreVote of term 4 to n{to}"), why, |m| {
            m.msg_type() == MessageType::MsgRequestPreVote
                && (m.to, m.term, m.index, m.log_term) == (to, 4, 2, 3)
        })?;
    }
    expect::role(&mut node, Role::PreCandidate, 3, why)?;
    let hard = node.disk.durable().hard;
    expect::that(
        (hard.term, hard.vote) == (3, 2),
        "a pre-vote changes the disk",
        why,
        notation::hard_state(&hard),
    )
}

/// With a majority that would vote for it, a pre-candidate begins a real election in the next term. A
/// majority that would not keeps it out.
///
/// Hint: count pre-votes as votes; then `campaign` for real.
fn a_majority_of_pre_votes_starts_the_election(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(with_pre_vote(Setup::new(1, 5).term(2)))?;
    node.campaign()?;
    node.tell(pre_vote(2, 1, 3, true))?;
    node.tell(pre_vote(2, 1, 3, true))?;
    expect::role(
        &mut node,
        Role::PreCandidate,
        2,
        "of five, n2 would vote for it; its answer came twice",
    )?;
    let sent = node.tell(pre_vote(3, 1, 3, true))?;
    let why = "of five, n2 and n3 would vote for it";
    expect::role(&mut node, Role::Candidate, 3, why)?;
    expect::that(
        of_kind(&sent, MessageType::MsgRequestVote).len() == 4,
        "the real election does not begin",
        why,
        format!("sent: {}", crate::mail::show_all(&sent)),
    )?;
    node.tell(vote(2, 1, 3, true))?;
    node.tell(vote(3, 1, 3, true))?;
    expect::role(&mut node, Role::Leader, 3, "n2 and n3 voted for it")?;
    // Who refuses says why: a higher term is believed, as in any other message.
    let mut node = lab.node(with_pre_vote(Setup::new(1, 5).term(2)))?;
    node.campaign()?;
    node.tell(pre_vote(2, 1, 7, false))?;
    expect::role(&mut node, Role::Follower, 7, "n2 would not vote for it, and is in term 7")
}

/// Who says that it would vote has not voted: it says so to several, changes neither term nor vote, and
/// does not start its timeout anew.
///
/// Hint: nothing of a pre-vote is remembered.
fn a_pre_vote_binds_nobody(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(with_pre_vote(Setup::new(1, 5).log(&[1]).term(2)))?;
    for candidate in [2, 3, 4, 2] {
        let sent = node.tell(ask(candidate, 1, 3, (1, 1)))?;
        let why = format!(
            "it is in term 2, knows no leader, and n{candidate}, with an equal log, asks for term 3"
        );
        let answer = expect::one(&sent, MessageType::MsgRequestPreVoteResponse, &why)?;
        expect::that(
            !answer.reject && answer.to == candidate && answer.term == 3,
            "a pre-vote is refused, or answered in a wrong term",
            &why,
            notation::message(answer),
        )?;
        expect::status(&mut node, "in term 2 without a vote", &why, |s| {
            s.term == 2 && s.vote == 0
        })?;
    }
    let hard = node.disk.durable().hard;
    expect::that(
        hard.vote == 0 && hard.term == 2,
        "a pre-vote is remembered",
        "four were granted",
        notation::hard_state(&hard),
    )
}

/// A pre-vote is granted to whom a vote would be granted: the log decides (section 5.4.1).
///
/// Hint: one function for both.
fn a_pre_vote_is_refused_to_a_log_behind(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (last, expected) in
        [((1, 1), false), ((9, 1), false), ((1, 2), false), ((2, 2), true), ((1, 3), true)]
    {
        let mut node = lab.node(with_pre_vote(Setup::new(1, 3).log(&[1, 2])))?;
        let m = ask(2, 1, 3, last);
        let why = format!("its log is [1@1 2@2], and it got {}", notation::message(&m));
        let sent = node.tell(m)?;
        let granted = sent
            .iter()
            .any(|m| m.kind() == MessageType::MsgRequestPreVoteResponse && !m.msg.reject);
        expect::that(
            granted == expected,
            format!(
                "the pre-vote should have been {}",
                if expected { "granted" } else { "refused" }
            ),
            why,
            crate::mail::show_all(&sent),
        )?;
    }
    // Whoever asks in the past is told so.
    let mut node = lab.node(with_pre_vote(Setup::new(1, 3).log(&[1]).term(20)))?;
    let sent = node.tell(ask(2, 1, 5, (9, 4)))?;
    let why = "it is in term 20, and n2 asked for term 5";
    expect::some(&sent, "a refusal in term 20", why, |m| {
        m.msg_type() == MessageType::MsgRequestPreVoteResponse && m.reject && m.term == 20
    })?;
    Ok(())
}

/// Somebody may ask for a term in which this node is already: it says yes if it would vote so in that term.
///
/// Hint: to whom it has given its vote; or to anybody, if it has given none and knows no leader.
fn a_pre_vote_in_ones_own_term_follows_the_vote(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for (voted, leader, expected) in
        [(2, 0, true), (3, 0, false), (0, 0, true), (0, 3, false), (2, 3, true)]
    {
        let setup = Setup::new(1, 3).log(&[1]).term(5).vote(voted);
        let mut node = lab.node(with_pre_vote(setup))?;
        if leader > 0 {
            node.tell(heartbeat(leader, 1, 5, 0))?;
        }
        let m = ask(2, 1, 5, (1, 1));
        let why = format!(
            "in term 5 it has voted for {} and follows {}, and it got {}",
            notation::node(voted),
            notation::node(leader),
            notation::message(&m)
        );
        let sent = node.tell(m)?;
        let granted = sent
            .iter()
            .any(|m| m.kind() == MessageType::MsgRequestPreVoteResponse && !m.msg.reject);
        let should = if expected { "granted" } else { "refused" };
        expect::that(
            granted == expected,
            format!("the pre-vote should have been {should}"),
            why,
            crate::mail::show_all(&sent),
        )?;
    }
    Ok(())
}

/// When a majority has said no, there is nothing to wait for: the pre-candidate is a follower again, in its own term.
///
/// Hint: count the refusals, too.
fn a_majority_of_refusals_ends_the_question(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(with_pre_vote(Setup::new(1, 5).log(&[1]).term(2)))?;
    node.campaign()?;
    for (from, role) in [(2, Role::PreCandidate), (3, Role::PreCandidate), (4, Role::Follower)] {
        node.tell(pre_vote(from, 1, 2, false))?;
        let why = format!("of five members, those from n2 to n{from} have refused their pre-vote");
        expect::role(&mut node, role, 2, &why)?;
    }
    Ok(())
}

/// The real election has begun, and more answers to the question before it come in. They are no votes: whoever gave one may
/// vote otherwise.
///
/// Hint: in which role does an answer to which question count?
fn a_late_answer_is_no_vote(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(with_pre_vote(Setup::new(1, 5).log(&[1]).term(2)))?;
    node.campaign()?;
    for from in [2, 3] {
        node.tell(pre_vote(from, 1, 3, true))?;
    }
    expect::role(&mut node, Role::Candidate, 3, "n2 and n3 said yes to the pre-vote")?;
    for (from, granted) in [(4, true), (5, true), (2, false), (3, false)] {
        node.tell(pre_vote(from, 1, 3, granted))?;
    }
    let why = "late answers to its pre-vote came in: yes from n4 and n5, no from n2 and n3; nobody has voted";
    expect::role(&mut node, Role::Candidate, 3, why)?;
    for from in [2, 3] {
        node.tell(vote(from, 1, 3, true))?;
    }
    expect::role(&mut node, Role::Leader, 3, &format!("{why} but n2 and n3, with yes"))
}

/// A pre-candidate that hears from a leader of its own term was wrong about it, and follows.
///
/// Hint: as a candidate does.
fn a_pre_candidate_yields_to_a_leader(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for word in [heartbeat(2, 1, 2, 0), append(2, 1, 2, (0, 0), entries(1, &[2]))] {
        let mut node = lab.node(with_pre_vote(Setup::new(1, 3).term(2)))?;
        node.campaign()?;
        let why = format!("it was a pre-candidate in term 2, and got {}", notation::message(&word));
        node.tell(word)?;
        expect::role(&mut node, Role::Follower, 2, &why)?;
        expect::status(&mut node, "following n2", &why, |s| s.leader == 2)?;
    }
    Ok(())
}

/// The reason for all this: a node that was cut off for long comes back, and the leader leads on, in its
/// term. Without PreVote its high term would depose the leader for nothing.
///
/// Hint: it cannot win, and learns so without raising its term.
fn a_node_that_returns_does_not_depose_the_leader(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut net = lab.net((1..=3).map(|id| with_pre_vote(Setup::new(id, 3))).collect())?;
    net.campaign(1)?;
    net.beats(1)?;
    let term = net.status(1)?.term;
    net.isolate(3);
    net.propose(1, b"some data")?;
    net.beats(1)?;
    for _ in 0..100 {
        net.tick(3)?;
    }
    net.heal();
    net.campaign(3)?;
    for _ in 0..40 {
        net.tick_all()?;
    }
    let why = format!(
        "n1 led term {term}; n3, cut off for ten election timeouts, lacks an entry and came back"
    );
    for id in 1..=3 {
        let status = net.status(id)?;
        if (status.leader, status.term) != (1, term) {
            return Err(Failure::broke(
                "a node that returns deposes the leader",
                why,
                notation::status(id, &status),
            ));
        }
    }
    net.expect_commit(3, 2, &why)
}

/// PreVote must not keep a group from electing a leader when it needs one; not when terms differ, either.
///
/// Hint: an answer that refuses brings the higher term along.
fn a_group_with_pre_vote_elects_a_leader(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for terms in [[0, 0, 0], [1, 5, 9], [7, 2, 2]] {
        let setups = (1..).zip(terms).map(|(id, term)| with_pre_vote(Setup::new(id, 3).term(term)));
        let mut net = lab.net(setups.collect())?;
        let mut leads = false;
        for _ in 0..600 {
            net.tick_all()?;
            let status = net.status(1)?;
            leads = status.leader != 0 && net.status(status.leader)?.role == Role::Leader;
            if leads {
                break;
            }
        }
        expect::that(
            leads,
            "a group with PreVote never elects a leader",
            format!("three nodes in terms {terms:?}, no message lost, 60 election timeouts"),
            "nobody leads",
        )?;
    }
    Ok(())
}
