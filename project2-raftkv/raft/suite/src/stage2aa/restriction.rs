//! The election restriction (section 5.4.1), the voter's side: who lacks committed entries cannot win.

use proto::eraftpb::MessageType;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::request_vote;
use crate::notation;
use crate::protocol::RaftNode;
use crate::world::{Lab, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("restriction.rs":
        a_voter_refuses_a_log_behind_its_own,
        a_voter_in_its_own_term_looks_at_logs_too,
    )
}

/// "The voter denies its vote if its own log is more up-to-date than that of the candidate": the later
/// last term wins, and with equal last terms the longer log (section 5.4.1). Length alone says nothing: a
/// long log may be full of what never was committed.
///
/// Hint: compare (term, index) as a pair, in this order.
fn a_voter_refuses_a_log_behind_its_own(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let rows: [(&[u64], (u64, u64), bool); 15] = [
        (&[], (0, 0), true),
        (&[1], (1, 1), true),
        (&[1], (2, 1), true),
        (&[1, 1], (1, 1), false),
        (&[1, 1], (0, 0), false),
        (&[1], (1, 2), true),
        (&[1], (2, 2), true),
        (&[1, 1], (1, 2), true),
        (&[1, 1, 1, 1], (1, 2), true),
        (&[2], (1, 1), false),
        (&[2], (2, 1), false),
        (&[1, 2], (9, 1), false),
        (&[1, 2], (2, 2), true),
        (&[1, 2, 2], (2, 2), false),
        (&[1, 2, 2], (4, 2), true),
    ];
    for (log, last, expected) in rows {
        let mut node = lab.node(Setup::new(1, 3).log(log))?;
        let m = request_vote(2, 1, 5, last);
        let why =
            format!("its log is {}, and it got {}", notation::log(log), notation::message(&m));
        let sent = node.tell(m)?;
        let answer = expect::one(&sent, MessageType::MsgRequestVoteResponse, &why)?;
        expect::that(
            answer.reject != expected,
            format!("the vote should have been {}", if expected { "granted" } else { "refused" }),
            &why,
            notation::message(answer),
        )?;
        let vote = if expected { 2 } else { 0 };
        let text = format!("in term 5 with vote {}", notation::node(vote));
        expect::status(&mut node, &text, &why, |s| s.vote == vote && s.term == 5)?;
    }
    Ok(())
}

/// Also where the term does not rise, vote and log decide together; and a vote that was refused for the
/// log is still free.
///
/// Hint: both conditions, in one place.
fn a_voter_in_its_own_term_looks_at_logs_too(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let rows = [
        (0, 2, (1, 2), false),
        (0, 2, (2, 1), false),
        (0, 2, (2, 2), true),
        (0, 2, (1, 3), true),
        (2, 2, (3, 2), true),
        (3, 2, (3, 2), false),
        (3, 2, (9, 3), false),
    ];
    for (voted, candidate, last, expected) in rows {
        let mut node = lab.node(Setup::new(1, 3).log(&[2, 2]).term(3).vote(voted))?;
        let m = request_vote(candidate, 1, 3, last);
        let why = format!(
            "its log is [1..2@2], in term 3 it voted for {}, and it got {}",
            notation::node(voted),
            notation::message(&m)
        );
        let sent = node.tell(m)?;
        let answer = expect::one(&sent, MessageType::MsgRequestVoteResponse, &why)?;
        expect::that(
            answer.reject != expected,
            format!("the vote should have been {}", if expected { "granted" } else { "refused" }),
            &why,
            notation::message(answer),
        )?;
        let vote = if expected { candidate } else { voted };
        let text = format!("in term 3 with vote {}", notation::node(vote));
        expect::status(&mut node, &text, &why, |s| s.vote == vote)?;
    }
    Ok(())
}
