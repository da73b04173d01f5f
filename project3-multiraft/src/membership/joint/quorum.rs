//! Both halves must agree.

use std::collections::{BTreeMap, BTreeSet};

use proto::eraftpb::ConfState;
use raftcore::{Majority, Quorum, Result, VoteResult};

/// A majority of the new half *and* one of the old half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Joint {
    /// The new half.
    incoming: Majority,
    /// The old half.
    outgoing: Majority,
}

impl Joint {
    /// What a configuration means by a majority, joint or not: a `Config::quorum`.
    ///
    /// # Errors
    /// As [`Majority::of`], but for a joint configuration.
    pub fn of(conf: &ConfState) -> Result<Box<dyn Quorum>> {
        if conf.voters_outgoing.is_empty() {
            return Majority::of(conf);
        }
        Ok(Box::new(Joint {
            incoming: Majority::new(conf.voters.iter().copied()),
            outgoing: Majority::new(conf.voters_outgoing.iter().copied()),
        }))
    }
}

/// You will need the two halves, which know the answers of each.
impl Quorum for Joint {
    fn voters(&self) -> BTreeSet<u64> {
        // BEGIN SOLUTION 3X.quorum
        // Many are in both.
        self.incoming.voters().union(&self.outgoing.voters()).copied().collect()
        // END SOLUTION
    }

    fn committed(&self, reached: &dyn Fn(u64) -> u64) -> u64 {
        // BEGIN SOLUTION 3X.quorum
        self.incoming.committed(reached).min(self.outgoing.committed(reached))
        // END SOLUTION
    }

    fn won(&self, votes: &BTreeMap<u64, bool>) -> VoteResult {
        // BEGIN SOLUTION 3X.quorum
        match (self.incoming.won(votes), self.outgoing.won(votes)) {
            (VoteResult::Won, VoteResult::Won) => VoteResult::Won,
            (VoteResult::Lost, _) | (_, VoteResult::Lost) => VoteResult::Lost,
            _ => VoteResult::Pending,
        }
        // END SOLUTION
    }

    fn active(&self, set: &BTreeSet<u64>) -> bool {
        // BEGIN SOLUTION 3X.quorum
        self.incoming.active(set) && self.outgoing.active(set)
        // END SOLUTION
    }
}
