//! A client reads: never through the log, and never from a leader that is none any more.
//!
//! A read waits in three places, one after the other:
//!
//! ```text
//!   fresh --- consensus is asked ---> asked --- a quorum has answered: index i ---> at i --- applied >= i ---> granted
//! ```
//!
//! Reads that come in one round are asked for together. When the role or the term changes, all that wait are refused:
//! the leadership that they relied on is over, and their clients know where to go. A read changes nothing, so that
//! refusing it is always definite.
//!
//! With leases switched on in the node, the second step takes no message: consensus answers at once, as long as the time
//! that it was told ([`RaftNode::set_now`]) is within the lease. Nothing changes here.

use std::collections::VecDeque;

use bytes::Bytes;
use raftcore::ReadState;

use super::{Answer, Micros, Peer, Read, ReadGrant, Round, Turned};
use crate::error::Refusal;
use crate::node::RaftNode;
use crate::region;

/// How many reads may wait on one peer. More are held at the edge.
const MAX_READS: usize = 16 << 10;

/// Reads that wait.
#[derive(Default)]
pub(super) struct Reads {
    fresh: Vec<Read>,
    /// By the number that consensus was asked with.
    asked: VecDeque<(u64, Vec<Read>)>,
    /// By the index that must be applied.
    at: VecDeque<(u64, Vec<Read>)>,
    questions: u64,
}

impl Reads {
    pub(super) fn len(&self) -> usize {
        let groups = self.asked.iter().chain(&self.at);
        self.fresh.len() + groups.map(|(_, reads)| reads.len()).sum::<usize>()
    }

    /// All that wait.
    pub(super) fn take_all(&mut self) -> Vec<Read> {
        self.extract(|_| true)
    }

    /// Those that have waited for too long.
    pub(super) fn expire(&mut self, now: Micros) -> Vec<Read> {
        self.extract(|read| read.deadline <= now)
    }

    fn extract(&mut self, which: impl Fn(&mut Read) -> bool) -> Vec<Read> {
        let mut found = Vec::new();
        let groups = self.asked.iter_mut().chain(&mut self.at).map(|(_, reads)| reads);
        for reads in groups.chain([&mut self.fresh]) {
            found.extend(reads.extract_if(.., &which));
        }
        self.asked.retain(|(_, reads)| !reads.is_empty());
        self.at.retain(|(_, reads)| !reads.is_empty());
        found
    }
}

impl<N: RaftNode> Peer<N> {
    /// Takes a read, or gives it back.
    ///
    /// # Errors
    /// As [`Peer::propose`]: all definite.
    pub fn read(&mut self, mut read: Read) -> Result<(), Box<Turned<Read>>> {
        if let Err(why) = self.check(&read.header) {
            return Turned::back(why, read);
        }
        if self.reads.len() >= MAX_READS {
            let why = Refusal::Later("too many reads wait".into());
            return Turned::back(why, read);
        }
        // The leadership that this read relies on.
        read.header.term = self.node.status().term;
        self.reads.fresh.push(read);
        Ok(())
    }

    /// Goes on with what waits here: asks for the reads that have come since the last round.
    pub(super) fn advance_reads(&mut self) {
        if !self.reads.fresh.is_empty() {
            self.ask_for_reads();
        }
    }

    /// Lets those look that wait for nothing any more.
    pub(super) fn grant_reads(&mut self, round: &mut Round) {
        if self.reads.at.front().is_some_and(|(index, _)| *index <= self.applied) {
            self.grant(round);
        }
    }

    /// Asks consensus for an index on behalf of all reads that have come since the last round; there is at least one.
    ///
    /// You will need `node.read_index` with a context that names the group, and `reads.asked`. What does a refusal
    /// mean for reads that only came a little too early, to a leader that has committed nothing in its term yet?
    fn ask_for_reads(&mut self) {
        // BEGIN SOLUTION 2B.read
        let question = self.reads.questions + 1;
        if self.node.read_index(Bytes::copy_from_slice(&question.to_be_bytes())).is_err() {
            // They stay, and are asked for again in the next round; their deadline ends it.
            return;
        }
        self.reads.questions = question;
        let group = std::mem::take(&mut self.reads.fresh);
        self.reads.asked.push_back((question, group));
        // END SOLUTION
    }

    /// Consensus has answered: those reads may be served when `index` is applied.
    ///
    /// Answers come in the order of the questions; one that was never answered is covered by a later one.
    pub(super) fn reads_answered(&mut self, state: &ReadState) {
        // BEGIN SOLUTION 2B.read
        let Ok(number) = <[u8; 8]>::try_from(&state.request_ctx[..]) else { return };
        let question = u64::from_be_bytes(number);
        while let Some((asked, _)) = self.reads.asked.front()
            && *asked <= question
            && let Some((_, group)) = self.reads.asked.pop_front()
        {
            self.reads.at.push_back((state.index, group));
        }
        // END SOLUTION
    }

    /// Lets those look whose index is applied and committed to the data: `self.applied` says how far that is. The store takes their
    /// view when it gives the answer.
    ///
    /// You will need `reads.at`, whose indexes rise, and `self.applied`. A read of the tail gets the tail's region.
    fn grant(&mut self, round: &mut Round) {
        // BEGIN SOLUTION 2B.read
        let mut granted = Vec::new();
        while let Some((index, _)) = self.reads.at.front()
            && *index <= self.applied
            && let Some((_, group)) = self.reads.at.pop_front()
        {
            granted.extend(group);
        }
        let term = self.node.status().term;
        let here = self.region().clone();
        let (ours, tails): (Vec<Read>, Vec<Read>) =
            granted.into_iter().partition(|read| read.header.region_id == here.id);
        let tail = region::tail_of(&here);
        for (reads, region) in [(ours, here), (tails, tail)] {
            if !reads.is_empty() {
                let callbacks = reads.into_iter().map(|read| read.callback).collect();
                round.answers.push(Answer::Grant(callbacks, ReadGrant { region, term }));
            }
        }
        // END SOLUTION
    }

    /// If the leadership that reads rely on is over, so are they.
    pub(super) fn drop_reads_of_the_deposed(&mut self, round: &mut Round) {
        let status = self.node.status();
        let deposed = |read: &mut Read| !status.is_leader() || read.header.term != status.term;
        let dropped = self.reads.extract(deposed);
        self.refuse_reads(dropped, round);
    }

    /// Who leads and cannot serve names nobody: its clients would come back at once, for as long as it reaches no majority.
    pub(super) fn refuse_reads(&self, reads: Vec<Read>, round: &mut Round) {
        let other = self.certain_leader().filter(|_| !self.node.status().is_leader());
        for read in reads {
            let refusal = region::not_leader(read.header.region_id, other);
            round.answers.push(Answer::NoRead(read.callback, refusal));
        }
    }
}
