//! Who may append: the leader, and nobody else.

use proto::eraftpb::MessageType;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail;
use crate::notation;
use crate::protocol::{RaftNode, Role};
use crate::world::{Lab, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("proposals.rs":
        a_node_that_does_not_lead_appends_nothing,
    )
}

/// Commands go to the leader (section 8). A follower passes a proposal on or refuses it, a candidate
/// refuses it; neither appends it to its own log.
///
/// Hint: `MsgPropose` means "append" on a leader only.
fn a_node_that_does_not_lead_appends_nothing(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for role in [Role::Follower, Role::Candidate] {
        for leader in [0, 2] {
            let mut node = lab.node(Setup::new(1, 3).log(&[1]))?;
            if leader > 0 {
                node.tell(mail::heartbeat(leader, 1, 1, 0))?;
            }
            if role == Role::Candidate {
                node.campaign()?;
            }
            let taken = node.propose(b"some data")?.is_ok();
            let sent = node.settle()?;
            let forwarded = sent.iter().any(|m| {
                m.kind() == MessageType::MsgPropose && m.msg.to == 2 && !m.msg.entries.is_empty()
            });
            let why = format!(
                "it was {}, knew {} as leader, and got a proposal",
                notation::role(role),
                notation::node(leader)
            );
            expect::log(&mut node, &[1], &why)?;
            expect::that(
                !taken || forwarded,
                "a node that does not lead takes a proposal and drops it silently",
                &why,
                format!("it answered Ok, and sent: {}", mail::show_all(&sent)),
            )?;
        }
    }
    Ok(())
}
