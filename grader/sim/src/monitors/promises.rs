//! What a node said in messages binds it, over restarts too: a vote, and an acknowledgement.

use std::collections::BTreeMap;

use super::{broke, entry};
use crate::cluster::dialect::MessageInfo;
use crate::cluster::protocol::{Micros, NodeId, RegionView};
use crate::failure::Outcome;
use crate::history::at as when;

/// Promises made so far, by region and node.
#[derive(Debug, Default)]
pub(super) struct Promises {
    // (region, node, peer, term) -> candidate, when. By peer: one that is removed and added again is another member.
    votes: BTreeMap<(u64, NodeId, u64, u64), (u64, Micros)>,
    // (region, node, peer) -> the term, the highest index acknowledged in it, when
    acks: BTreeMap<(u64, NodeId, u64), (u64, u64, Micros)>,
}

impl Promises {
    pub fn made(&mut self, node: NodeId, peer: u64, at: Micros, message: &MessageInfo) -> Outcome {
        if let Some(vote) = &message.vote {
            let key = (message.region, node, peer, vote.term);
            let (candidate, since) = *self.votes.entry(key).or_insert((vote.candidate, at));
            if candidate != vote.candidate {
                return broke(
                    "one node gave two votes in one term (5.2)",
                    format!(
                        "n{node} granted its vote of term {} to peer {candidate} at {}",
                        vote.term,
                        when(since)
                    ),
                    format!(
                        "it granted the same term's vote to peer {} at {}",
                        vote.candidate,
                        when(at)
                    ),
                );
            }
        }
        if let Some(ack) = &message.ack {
            let acked = self.acks.entry((message.region, node, peer)).or_insert((0, 0, at));
            if (ack.term, ack.index) > (acked.0, acked.1) {
                *acked = (ack.term, ack.index, at);
            }
        }
        Ok(())
    }

    /// Tests the first view of a new life against what earlier ones said.
    pub fn kept(&self, node: NodeId, known: bool, view: &RegionView) -> Outcome {
        if known {
            return Ok(());
        }
        if let Some((&(.., term), (candidate, at))) = self
            .votes
            .range(
                (view.region, node, view.peer, view.term)
                    ..=(view.region, node, view.peer, u64::MAX),
            )
            .next_back()
            && (term > view.term || view.vote != *candidate)
        {
            return broke(
                "a node forgot its vote: it was sent before it was durable (5.2)",
                format!(
                    "n{node} granted its vote of term {term} to peer {candidate} at {}",
                    when(*at)
                ),
                format!("after a crash it is in term {} with vote {}", view.term, view.vote),
            );
        }
        if let Some((term, index, at)) = self.acks.get(&(view.region, node, view.peer))
            && (*term > view.term || (*term == view.term && *index > view.last))
        {
            return broke(
                "a node forgot entries that it had acknowledged: the answer was sent before they were durable (5.3)",
                format!(
                    "n{node} acknowledged everything up to {index} in term {term} at {}",
                    when(*at)
                ),
                format!(
                    "after a crash it is in term {} and its log ends at {}",
                    view.term,
                    entry(view.last, view.entries.last().map_or(view.before, |e| e.term))
                ),
            );
        }
        Ok(())
    }
}
