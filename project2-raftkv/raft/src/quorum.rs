//! What counts as a majority, as a seam.
//!
//! Raft asks its configuration four questions: who has a vote, what is stored on enough of them, has this
//! candidate won, and are these enough? [`Majority`] answers for one set of voters. While a group changes its
//! members there are two sets at a time (paper, section 6), and each question needs both to agree: that
//! [`Quorum`] comes from outside, in project 3, and nothing else in this crate notices.
//!
//! The same `committed` serves two purposes. Over match indexes it is the commit rule (paper, 5.3); over
//! the heartbeat rounds that members have answered it is the newest round in which a quorum still knew
//! this leader, which is what linearizable reads and leases stand on ([`read`](crate::read)).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use proto::eraftpb::ConfState;

use crate::error::{Error, Result};

/// How far an election is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VoteResult {
    /// Neither is sure yet.
    Pending,
    /// A quorum can no longer be had.
    Lost,
    /// A quorum said yes.
    Won,
}

/// What a configuration means by "enough". Any two quorums must share a node: all of Raft's safety rests
/// on that overlap.
pub trait Quorum: Debug + Send {
    /// Who has a vote, in any part of the configuration.
    fn voters(&self) -> BTreeSet<u64>;

    /// The largest number that a quorum of voters has reached, if `reached` says how far each one is.
    fn committed(&self, reached: &dyn Fn(u64) -> u64) -> u64;

    /// How far the election is. Votes of nodes that have none do not count; a voter without an entry has
    /// not answered yet.
    fn won(&self, votes: &BTreeMap<u64, bool>) -> VoteResult;

    /// Whether this set holds a quorum.
    fn active(&self, set: &BTreeSet<u64>) -> bool;
}

/// More than half of one set of voters.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Majority {
    /// In rising order, each once.
    voters: Vec<u64>,
}

impl Majority {
    /// The majority of these voters. Of no voters there is none: nothing commits, nobody wins.
    pub fn new(voters: impl IntoIterator<Item = u64>) -> Self {
        let set: BTreeSet<u64> = voters.into_iter().collect();
        Majority { voters: set.into_iter().collect() }
    }

    /// What `Config::quorum` is unless told otherwise.
    ///
    /// # Errors
    /// [`Error::Config`] for a joint configuration, which needs two majorities: to look at one of them
    /// would be unsafe.
    pub fn of(conf: &ConfState) -> Result<Box<dyn Quorum>> {
        if conf.voters_outgoing.is_empty() {
            Ok(Box::new(Majority::new(conf.voters.iter().copied())))
        } else {
            Err(Error::Config("a joint configuration needs a quorum of both its halves".into()))
        }
    }

    /// How many voters are enough.
    fn needed(&self) -> usize {
        self.voters.len() / 2 + 1
    }
}

impl Quorum for Majority {
    fn voters(&self) -> BTreeSet<u64> {
        self.voters.iter().copied().collect()
    }

    fn committed(&self, reached: &dyn Fn(u64) -> u64) -> u64 {
        let mut numbers: Vec<u64> = self.voters.iter().map(|&id| reached(id)).collect();
        // From the largest down: the last one of a majority is what all of that majority has reached.
        numbers.sort_unstable_by(|a, b| b.cmp(a));
        numbers.get(self.needed() - 1).copied().unwrap_or(0)
    }

    fn won(&self, votes: &BTreeMap<u64, bool>) -> VoteResult {
        let answered = |yes| self.voters.iter().filter(|id| votes.get(id) == Some(&yes)).count();
        let (granted, refused) = (answered(true), answered(false));
        if granted >= self.needed() {
            VoteResult::Won
        } else if self.voters.len() - refused >= self.needed() {
            VoteResult::Pending
        } else {
            VoteResult::Lost
        }
    }

    fn active(&self, set: &BTreeSet<u64>) -> bool {
        self.voters.iter().filter(|id| set.contains(id)).count() >= self.needed()
    }
}
