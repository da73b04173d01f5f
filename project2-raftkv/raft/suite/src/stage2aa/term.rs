//! Terms (section 5.1): whoever hears of a higher one takes it up and follows; what is older is nothing.

use proto::eraftpb::{Message, MessageType};
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{self, append, heartbeat, message, request_vote};
use crate::notation;
use crate::protocol::{RaftNode, Role};
use crate::world::{Lab, Node, Puppets, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("term.rs":
        a_node_starts_as_a_follower,
        a_restarted_node_starts_as_a_follower_of_its_old_term,
        a_follower_takes_up_a_higher_term,
        a_candidate_steps_down_for_a_higher_term,
        a_leader_steps_down_for_a_higher_term,
        a_message_of_an_older_term_changes_nothing,
        a_term_survives_a_crash,
    )
}

/// When servers start up, they begin as followers (section 5.2): in term 0, without a leader and without
/// a word to anybody.
///
/// Hint: `Raft::new` ends in `become_follower`.
fn a_node_starts_as_a_follower(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    expect::role(&mut node, Role::Follower, 0, "it has just started, on an empty disk")?;
    expect::status(&mut node, "without vote and leader", "it has just started", |s| {
        s.vote == 0 && s.leader == 0 && s.last_index == 0 && s.committed == 0
    })?;
    let sent = node.settle()?;
    expect::that(
        sent.is_empty(),
        "a node speaks before it was spoken to",
        "it has just started, and no time has passed",
        format!("sent: {}", mail::show_all(&sent)),
    )
}

/// A node that comes back finds term, vote and log on its disk (figure 2: persistent state). It is a
/// follower, whatever it was before, and has sent nothing yet.
///
/// Hint: `Storage::initial_state`.
fn a_restarted_node_starts_as_a_follower_of_its_old_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let setup = Setup::new(2, 3).log(&[1, 1, 4]).term(5).vote(2).commit(2);
    let mut node = lab.node(setup)?;
    let why = "its disk holds term 5, vote n2, commit 2 and the log [1..2@1 3@4]";
    expect::role(&mut node, Role::Follower, 5, why)?;
    expect::status(&mut node, "where its disk left it", why, |s| {
        s.vote == 2 && s.leader == 0 && (s.last_index, s.last_term) == (3, 4) && s.committed == 2
    })
}

const FROM_ABOVE: [MessageType; 5] = [
    MessageType::MsgHeartbeat,
    MessageType::MsgRequestVote,
    MessageType::MsgRequestVoteResponse,
    MessageType::MsgAppendResponse,
    MessageType::MsgHeartbeatResponse,
];

fn hears_of_a_higher_term(node: &mut Node, kind: MessageType, was: &str) -> Outcome {
    let term = node.status()?.term + 3;
    let m = message(kind, 2, 1, term);
    let text = notation::message(&m);
    node.tell(m)?;
    expect::role(node, Role::Follower, term, &format!("it was {was}, and heard {text}"))
}

/// A server whose term is smaller than that of a message takes up the larger one (section 5.1), whatever
/// the message is.
///
/// Hint: compare terms once, at the top of `step`, before you look at what kind of message it is.
fn a_follower_takes_up_a_higher_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for kind in FROM_ABOVE {
        let mut node = lab.node(Setup::new(1, 3).term(1))?;
        hears_of_a_higher_term(&mut node, kind, "a follower in term 1")?;
    }
    Ok(())
}

/// A candidate that discovers that its term is out of date reverts to follower at once (section 5.1).
///
/// Hint: compare terms once, at the top of `step`, before you look at your role.
fn a_candidate_steps_down_for_a_higher_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for kind in FROM_ABOVE {
        let mut node = lab.node(Setup::new(1, 3))?;
        node.campaign()?;
        expect::role(&mut node, Role::Candidate, 1, "it campaigned, and nobody answered")?;
        hears_of_a_higher_term(&mut node, kind, "a candidate in term 1")?;
    }
    Ok(())
}

/// A leader that discovers that its term is out of date reverts to follower at once (section 5.1).
///
/// Hint: compare terms once, at the top of `step`, before you look at your role.
fn a_leader_steps_down_for_a_higher_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for kind in FROM_ABOVE {
        let mut node = lab.node(Setup::new(1, 3))?;
        Puppets::new(&[2, 3]).elect(&mut node)?;
        hears_of_a_higher_term(&mut node, kind, "the leader of term 1")?;
    }
    Ok(())
}

/// "If a server receives a request with a stale term number, it rejects the request" (section 5.1). An
/// answer may tell the sender so, but term, role, vote, leader, commit index and log stay as they are.
///
/// Networks hold messages back: what comes from an older term was meant for a node that is no more.
///
/// Hint: one `if m.term < self.term` at the top of `step`, for requests *and* for answers.
fn a_message_of_an_older_term_changes_nothing(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let stale = || -> Vec<Message> {
        vec![
            append(2, 1, 2, (3, 2), mail::entries(4, &[2, 2])),
            Message { commit: 5, ..append(2, 1, 2, (0, 0), mail::entries(1, &[2])) },
            heartbeat(2, 1, 2, 3),
            request_vote(2, 1, 2, (9, 2)),
            mail::vote(2, 1, 2, true),
            mail::vote(3, 1, 2, true),
            mail::accepted(2, 1, 2, 3),
            mail::refused(2, 1, 2, 3, (0, 0)),
            message(MessageType::MsgHeartbeatResponse, 2, 1, 2),
            mail::install(2, 1, 2, mail::snapshot(7, 2, &[1, 2, 3], b"")),
        ]
    };
    for was in [Role::Follower, Role::Candidate, Role::Leader] {
        for m in stale() {
            let setup = Setup::new(1, 3).log(&[1, 2, 2]).term(5).commit(1);
            let mut puppets = Puppets::like(&setup, &[2, 3]);
            let mut node = lab.node(setup)?;
            node.settle()?;
            match was {
                Role::Follower => {}
                Role::Leader => drop(puppets.elect(&mut node)?),
                _ => drop(node.campaign()?),
            }
            let before = node.status()?;
            let log = node.disk.written().terms();
            let text = notation::message(&m);
            node.tell(m)?;
            let after = node.status()?;
            expect::that(
                (before.role, before.term, before.vote, before.leader, before.committed)
                    == (after.role, after.term, after.vote, after.leader, after.committed)
                    && before.progress == after.progress
                    && log == node.disk.written().terms()
                    && before.last_index == after.last_index,
                "a message of an older term changed something",
                format!("{} heard {text}", notation::status(1, &before)),
                format!(
                    "now: {}, vote {}, {:?} (match and next were {:?})",
                    notation::status(1, &after),
                    notation::node(after.vote),
                    after.progress,
                    before.progress
                ),
            )?;
        }
    }
    Ok(())
}

/// The current term is part of the persistent state (figure 2). A node that forgets it may vote in a term
/// in which it has voted already.
///
/// Hint: a change of term must show up in `Ready.hard_state`.
fn a_term_survives_a_crash(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3))?;
    node.tell(heartbeat(2, 1, 7, 0))?;
    node.crash()?;
    let why = "it followed n2 in term 7, every Ready was durable, then it crashed";
    expect::role(&mut node, Role::Follower, 7, why)?;
    for _ in 0..3 {
        node.campaign()?;
    }
    node.crash()?;
    let why = "it campaigned in terms 8, 9 and 10, every Ready was durable, then it crashed";
    expect::role(&mut node, Role::Follower, 10, why)
}
