//! Something that was asked for is done: it is durable, applied, or installed.

use proto::raft_serverpb::RaftTruncatedState;

use super::{Answer, Peer, Round, Unpersisted};
use crate::Result;
use crate::apply::{Applied, ApplyResult};
use crate::node::RaftNode;

impl<N: RaftNode> Peer<N> {
    /// Readys up to `number` are durable, and so are those behind it that wrote nothing: their promises may leave.
    ///
    /// You will need `self.unpersisted`, `round.messages`, `node.on_persist_ready` and `storage_mut().persisted`. How
    /// far is the log durable, if a Ready that is still on its way replaces entries of one that has arrived?
    ///
    /// # Errors
    /// The storage failed.
    pub fn on_persisted(&mut self, number: u64, round: &mut Round) -> Result<()> {
        // BEGIN SOLUTION 2B.persisted
        let mut last = None;
        while let Some(first) = self.unpersisted.front()
            && (first.number <= number || !first.sync)
            && let Some(durable) = self.unpersisted.pop_front()
        {
            round.messages.extend(durable.messages);
            last = Some(durable.number);
            if let Some((_, end)) = durable.entries {
                self.persisted = end;
            }
        }
        let Some(last) = last else { return Ok(()) };
        let replaced = self.unpersisted.iter().filter_map(|ready| ready.entries);
        let replaced = replaced.map(|(first, _)| first).min().unwrap_or(u64::MAX);
        self.persisted = self.persisted.min(replaced - 1);
        self.node.storage_mut().persisted(self.persisted);
        self.node.on_persist_ready(last)?;
        Ok(())
        // END SOLUTION
    }

    /// What becomes of these entries is known: their proposers are told. Their data need not be committed here yet, since a
    /// majority has them in its logs; who reads waits for [`Peer::on_applied`]. They come in the order of the log, and none
    /// is left out: what waits before them has lost its place.
    ///
    /// You will need `self.proposals`: for each index, the fate of all that wait there is decided now.
    pub fn answer(&mut self, entries: Vec<(u64, u64, Applied)>, round: &mut Round) {
        // BEGIN SOLUTION 2B.applied
        for (index, term, answer) in entries {
            let later = self.proposals.split_off(&(index + 1, 0));
            let mut ours = Some(answer);
            for (place, proposal) in std::mem::replace(&mut self.proposals, later) {
                let answer = match ours.take_if(|_| place == (index, term)) {
                    Some(answer) => answer,
                    // Figure 3, State Machine Safety: nothing else will ever be applied here.
                    None => Err(Self::lost_its_place()),
                };
                round.answers.push(Answer::Write(proposal.callback, answer));
            }
        }
        // END SOLUTION
    }

    /// Entries are applied, and their data is committed: whoever looks now sees it.
    ///
    /// You will need [`Peer::answer`], for those that were not told before. And reads may have waited for this index.
    pub fn on_applied<O>(&mut self, result: ApplyResult<O>, round: &mut Round) -> Vec<O> {
        // BEGIN SOLUTION 2B.applied
        self.answer(result.entries, round);
        self.applied = result.applied_index;
        self.node.advance_apply_to(result.applied_index);
        self.grant_reads(round);
        result.outcomes
        // END SOLUTION
    }

    /// The log starts behind this entry: an applied command said so.
    pub fn on_compacted(&mut self, truncated: RaftTruncatedState) {
        let before = self.node.storage().truncated().index;
        let (left, had) = (
            self.applied.saturating_sub(truncated.index),
            self.applied.saturating_sub(before).max(1),
        );
        // A guess, and good enough to decide when to cut again: entries are of about one size.
        self.log_bytes = self.log_bytes / had * left;
        self.node.storage_mut().compacted(truncated);
    }

    /// The snapshot at this index is the region's data now, durably. Its Ready is durable when the log's file knows,
    /// too; that is on its way.
    pub fn on_installed(&mut self, index: u64, round: &mut Round) -> Option<u64> {
        self.applied = self.applied.max(index);
        self.log_bytes = 0;
        self.node.advance_apply_to(index);
        self.give_up_proposals(index, round);
        self.persisted = index;
        let taken = self.installing.take();
        // What was written before the snapshot came is not in the log any more, and says nothing of how far it is durable.
        let older = |ready: &&mut Unpersisted| taken.is_some_and(|taken| ready.number < taken);
        self.unpersisted.iter_mut().filter(older).for_each(|ready| ready.entries = None);
        taken
    }
}
