//! One step at a time: the Ready, before anything is durable.

use prost::Message as _;
use proto::eraftpb::MessageType;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{heartbeat, show_all};
use crate::protocol::{Input, RaftNode};
use crate::world::{Lab, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("steps.rs":
        who_has_nothing_to_do_has_no_ready,
        an_answer_is_in_the_next_ready,
    )
}

/// A node that has just started has nothing to say, to write or to apply. One that says it has makes its driver
/// run in circles.
///
/// Hint: compare with what the driver knows already.
fn who_has_nothing_to_do_has_no_ready(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for setup in [Setup::new(1, 3), Setup::new(1, 3).log(&[1, 2]).term(3).vote(2).applied(2)] {
        let mut node = lab.node(setup)?;
        let ready = node.ready()?;
        expect::that(
            ready.is_none(),
            "a node that has nothing to do has a Ready",
            "it has just started, everything that is committed was applied, and nothing has happened",
            format!("it gave {ready:?}"),
        )?;
    }
    Ok(())
}

/// What a node wants to say is in its next Ready, among the messages that leave at once or among those that
/// wait for the disk; and when the Ready was taken, it is quiet again.
///
/// Hint: the outbox is emptied by `ready`; the cursors move when the Ready is advanced.
fn an_answer_is_in_the_next_ready(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    let mut node = lab.node(Setup::new(1, 3).term(3))?;
    let m = heartbeat(2, 1, 3, 0);
    node.order(Input::Step(m.encode_to_vec().into()))?.ok();
    let why = "n2, the leader of term 3, sent a heartbeat";
    let mut sent = Vec::new();
    while let Some(taken) = node.ready()? {
        sent.extend(taken.messages);
        sent.extend(taken.persisted_messages);
        expect::that(sent.len() < 9, "a node is never quiet", why, show_all(&sent))?;
    }
    expect::one(&sent, MessageType::MsgHeartbeatResponse, why).map(drop)
}
