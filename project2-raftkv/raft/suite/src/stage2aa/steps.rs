//! The first step: terms, before anything is handled.

use proto::eraftpb::MessageType;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::message;
use crate::protocol::RaftNode;
use crate::world::{Lab, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("steps.rs":
        an_answer_tells_of_a_higher_term,
    )
}

/// An answer that is of no use any more may still carry a larger term, and that is taken up (section 5.1); one
/// of an older term changes nothing.
///
/// Hint: this is all in `meet_term`; nothing has to be handled.
fn an_answer_tells_of_a_higher_term(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).term(3).vote(3))?;
    node.tell(message(MessageType::MsgHeartbeatResponse, 2, 1, 2))?;
    let why = "it was in term 3, had voted for n3, and got an answer of term 2";
    expect::status(&mut node, "as before", why, |s| s.term == 3 && s.vote == 3)?;
    node.tell(message(MessageType::MsgHeartbeatResponse, 2, 1, 5))?;
    let why = "it was in term 3, had voted for n3, and got an answer of term 5";
    expect::status(&mut node, "in term 5, its vote free", why, |s| s.term == 5 && s.vote == 0)
}
