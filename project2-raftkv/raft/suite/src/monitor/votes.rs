//! Election Safety: at most one leader a term (figure 3), because each node votes once a term
//! (section 5.2), and remembers it over a crash (figure 2: persistent state).

use std::collections::BTreeMap;

use proto::eraftpb::MessageType;
use sim::failure::{Failure, Outcome};

use crate::mail::Mail;
use crate::notation;
use crate::protocol::{Role, Status};
use crate::world::{Node, When};

/// Who voted for whom, and who led when.
#[derive(Debug, Default)]
pub struct Votes {
    // (voter, term) -> candidate, as told to others; a candidate tells its own vote by asking.
    told: BTreeMap<(u64, u64), u64>,
    leaders: BTreeMap<u64, u64>,
    /// How many terms had a leader.
    pub elections: u64,
}

impl Votes {
    /// Who led this term, if anybody did.
    pub fn leader(&self, term: u64) -> Option<u64> {
        self.leaders.get(&term).copied()
    }

    pub(super) fn on_status(&mut self, when: When, id: u64, status: &Status) -> Outcome {
        if status.role == Role::Leader { self.leads(when, id, status.term) } else { Ok(()) }
    }

    fn leads(&mut self, when: When, id: u64, term: u64) -> Outcome {
        match self.leaders.insert(term, id) {
            None => self.elections += 1,
            Some(other) if other != id => {
                let voters = |of: u64| {
                    let all: Vec<String> = self
                        .told
                        .iter()
                        .filter(|((_, t), candidate)| *t == term && **candidate == of)
                        .map(|((voter, _), _)| notation::node(*voter))
                        .collect();
                    if all.is_empty() { "none, it did not even ask".into() } else { all.join(", ") }
                };
                return Err(Failure::broke(
                    format!("two leaders in term {term}: Election Safety is broken"),
                    format!(
                        "n{other} leads or led term {term}; votes that were sent for it: {}",
                        voters(other)
                    ),
                    format!(
                        "{when}n{id} leads term {term}, too; votes that were sent for it: {}",
                        voters(id)
                    ),
                ));
            }
            Some(_) => {}
        }
        Ok(())
    }

    pub(super) fn on_leave(&mut self, when: When, node: &Node<'_>, mail: &Mail) -> Outcome {
        let m = &mail.msg;
        match m.msg_type() {
            MessageType::MsgRequestVote => self.votes(when, node, m.term, m.from, mail),
            MessageType::MsgRequestVoteResponse if !m.reject => {
                self.votes(when, node, m.term, m.to, mail)
            }
            MessageType::MsgAppend | MessageType::MsgHeartbeat | MessageType::MsgSnapshot => {
                self.leads(when, m.from, m.term)
            }
            _ => Ok(()),
        }
    }

    fn votes(
        &mut self,
        when: When,
        node: &Node<'_>,
        term: u64,
        candidate: u64,
        mail: &Mail,
    ) -> Outcome {
        let voter = node.id;
        let before = self.told.insert((voter, term), candidate);
        if let Some(other) = before.filter(|other| *other != candidate) {
            return Err(Failure::broke(
                format!("n{voter} voted twice in term {term}"),
                format!("it has told that it votes for n{other}"),
                format!("{when}it votes for n{candidate}: {}", mail.show()),
            ));
        }
        let hard = &node.disk.durable().hard;
        if hard.term < term || (hard.term == term && hard.vote != candidate) {
            return Err(Failure::broke(
                "a vote leaves a node before it is durable there",
                format!("{when}sent: {}", mail.show()),
                format!(
                    "on n{voter}'s disk for certain: {}; after a crash now it could vote again",
                    notation::hard_state(hard)
                ),
            ));
        }
        Ok(())
    }
}
