//! CheckQuorum (thesis 6.2): a leader that hears from no majority steps down, and who hears from a leader
//! listens to no candidate.

use proto::eraftpb::{Message, MessageType};
use sim::failure::{Failure, Outcome};
use sim::harness::Test;

use crate::mail::{self, Mail, heartbeat, request_vote};
use crate::notation;
use crate::protocol::{RaftNode, Role};
use crate::world::{Lab, Puppets, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("check_quorum.rs":
        a_leader_without_a_quorum_steps_down,
        a_leader_with_a_quorum_leads_on,
        a_follower_in_touch_with_its_leader_ignores_candidates,
        a_follower_without_a_leader_listens_to_candidates,
        a_node_with_a_higher_term_is_not_stuck,
    )
}

fn with_check_quorum(setup: Setup) -> Setup {
    setup.with(|c| c.check_quorum = true)
}

/// A leader that has not heard from a majority for an election timeout steps down: others may have elected
/// another, and clients that wait here wait in vain.
///
/// Hint: note who was heard; look once in an election timeout, and begin anew.
fn a_leader_without_a_quorum_steps_down(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for answering in [&[][..], &[2]] {
        let mut puppets = Puppets::new(&[2, 3, 4, 5]);
        let mut node = lab.node(with_check_quorum(Setup::new(1, 5)))?;
        puppets.elect(&mut node)?;
        puppets.beats(&mut node, 5)?;
        puppets.only(answering);
        puppets.beats(&mut node, 30)?;
        let why =
            format!("it led n2 to n5; for three election timeouts only {answering:?} answered");
        expect::status(&mut node, "without leadership", &why, |s| s.role != Role::Leader)?;
    }
    Ok(())
}

/// A majority that answers is enough, be it another one each time.
///
/// Hint: an answer of any kind counts.
fn a_leader_with_a_quorum_leads_on(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut puppets = Puppets::new(&[2, 3, 4, 5]);
    let mut node = lab.node(with_check_quorum(Setup::new(1, 5)))?;
    puppets.elect(&mut node)?;
    for round in 0..6 {
        let pair = if round % 2 == 0 { [2, 3] } else { [4, 5] };
        puppets.only(&pair);
        puppets.beats(&mut node, 20)?;
        let why = format!("of n2 to n5, {pair:?} answered for two election timeouts");
        expect::role(&mut node, Role::Leader, 1, &why)?;
    }
    // Once in an election timeout is enough.
    for _ in 0..8 {
        puppets.only(&[2, 3]);
        puppets.beats(&mut node, 2)?;
        puppets.only(&[]);
        puppets.beats(&mut node, 6)?;
        let why =
            "of n2 to n5, n2 and n3 answered two of eight heartbeats; an election timeout is ten";
        expect::role(&mut node, Role::Leader, 1, why)?;
    }
    Ok(())
}

/// "If a server receives a RequestVote request within the minimum election timeout of hearing from a
/// current leader, it does not update its term or grant its vote" (section 6; thesis 4.2.3): a node that
/// cannot hear the leader does not depose it.
///
/// Hint: drop the request before the term is looked at.
fn a_follower_in_touch_with_its_leader_ignores_candidates(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(with_check_quorum(Setup::new(1, 3)))?;
    node.tell(heartbeat(2, 1, 1, 0))?;
    for _ in 0..4 {
        let sent = node.tell(request_vote(3, 1, 7, (9, 6)))?;
        let why = "it heard from n2, the leader of term 1, a few ticks ago, and n3 asked for its vote in term 7";
        let granted =
            sent.iter().find(|m| m.kind() == MessageType::MsgRequestVoteResponse && !m.msg.reject);
        expect::that(
            granted.is_none(),
            "a candidate gets a vote although there is a leader",
            why,
            granted.map_or_else(String::new, Mail::show),
        )?;
        expect::role(&mut node, Role::Follower, 1, why)?;
        expect::status(&mut node, "following n2", why, |s| s.leader == 2)?;
        node.ticks(2)?;
    }
    // But for the one that the leader itself has asked to run: it says so in the request.
    let context = b"CampaignTransfer".to_vec().into();
    let sent = node.tell(Message { context, ..request_vote(3, 1, 2, (9, 1)) })?;
    expect::that(
        sent.iter().any(|m| m.kind() == MessageType::MsgRequestVoteResponse && !m.msg.reject),
        "the candidate that the leader hands over to gets no vote",
        "n3 asked for a vote in term 2, and said that the leader hands over to it",
        format!("it sent {}", mail::show_all(&sent)),
    )
}

/// When the leader has been silent for an election timeout, its lease is over, and votes are given again.
///
/// Hint: the *minimum* election timeout, not the one that was drawn.
fn a_follower_without_a_leader_listens_to_candidates(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(with_check_quorum(Setup::new(1, 3)))?;
    node.tell(heartbeat(2, 1, 1, 0))?;
    let silent = node.config().election_tick;
    // It may be a candidate of its own by then, in term 2.
    node.ticks(silent)?;
    let sent = node.tell(request_vote(3, 1, 7, (9, 6)))?;
    let why = format!(
        "its leader has been silent for {silent} ticks, the minimum election timeout; n3 asked in term 7"
    );
    let answer = expect::one(&sent, MessageType::MsgRequestVoteResponse, &why)?;
    expect::that(
        !answer.reject,
        "a vote is refused although there is no leader",
        &why,
        notation::message(answer),
    )?;
    expect::role(&mut node, Role::Follower, 7, &why)
}

/// A node that has a higher term than the leader (it campaigned while it was cut off) rejoins: its requests
/// are ignored, so it must tell the leader by its answers that there is a higher term. Else it would hear
/// the leader for ever and follow it never.
///
/// Hint: with CheckQuorum or PreVote on, an append or heartbeat of a lower term is answered.
fn a_node_with_a_higher_term_is_not_stuck(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for pre_vote in [false, true] {
        let setup = |id| with_check_quorum(Setup::new(id, 3)).with(|c| c.pre_vote = pre_vote);
        let mut net = lab.net(vec![setup(1), setup(2), setup(3).term(20)])?;
        net.isolate(3);
        let mut leader = 0;
        for _ in 0..100 {
            net.tick_all()?;
            leader = net.status(1)?.leader;
        }
        expect::that(
            leader != 0,
            "no leader",
            "n1 and n2 of three had ten election timeouts",
            "none was elected",
        )?;
        net.heal();
        for _ in 0..600 {
            net.tick_all()?;
        }
        let status = net.status(3)?;
        let leader = status.leader;
        if leader == 0 || net.status(leader)?.role != Role::Leader {
            return Err(Failure::broke(
                "a node with a higher term never joins its group",
                format!(
                    "n3, in term 20, came back to n1 and n2, PreVote is {pre_vote}; 60 election timeouts went by"
                ),
                notation::status(3, &status),
            ));
        }
        net.propose(leader, b"some data")?;
        net.beats(leader)?;
        let commit = net.status(leader)?.committed;
        net.expect_commit(3, commit, "n3 is back")?;
    }
    // By itself: the answer to a request of the past carries the term that it is in.
    for m in [mail::append(2, 1, 3, (0, 0), Vec::new()), heartbeat(2, 1, 3, 0)] {
        let mut node = lab.node(with_check_quorum(Setup::new(1, 3).term(20)))?;
        let why = format!("it is in term 20, and got {}", notation::message(&m));
        let sent = node.tell(m)?;
        expect::some(&sent, "an answer in term 20", &why, |m| (m.to, m.term) == (2, 20))?;
    }
    Ok(())
}
