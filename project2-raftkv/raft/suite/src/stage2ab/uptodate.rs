//! The election restriction (section 5.4.1): who lacks committed entries cannot win.

use proto::eraftpb::MessageType;
use sim::failure::Outcome;
use sim::harness::Test;

use crate::mail::{append, entries};
use crate::notation::{self, at};
use crate::protocol::RaftNode;
use crate::world::{Lab, Setup, World, expect};

pub(super) fn tests() -> Vec<Test<RaftNode>> {
    sim::tests!("uptodate.rs":
        a_vote_request_names_the_last_entry,
    )
}

/// The RequestVote RPC includes information about the candidate's log: index and term of its last entry
/// (section 5.4.1), and goes to all others.
///
/// Hint: `index` and `log_term` of the message.
fn a_vote_request_names_the_last_entry(run: &mut World) -> Outcome {
    let lab = Lab::new(run);
    for log in [&[1][..], &[1, 2], &[1, 2, 2, 5]] {
        let mut node = lab.node(Setup::new(1, 3))?;
        let term = log.last().copied().unwrap_or(0);
        node.tell(append(2, 1, term, (0, 0), entries(1, log)))?;
        let sent = node.ticks(2 * node.config().election_tick)?;
        let (index, log_term) = (log.len() as u64, term);
        let why = format!("its log is {}, and its election timeout passed", notation::log(log));
        for to in [2, 3] {
            let expected = format!("a RequestVote with last={} to n{to}", at(index, log_term));
            expect::some(&sent, &expected, &why, |m| {
                m.msg_type() == MessageType::MsgRequestVote
                    && (m.to, m.term) == (to, term + 1)
                    && (m.index, m.log_term) == (index, log_term)
            })?;
        }
    }
    Ok(())
}
