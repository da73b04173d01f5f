//! PreVote (thesis 9.6): ask before disturbing. Extra credit, off by default.
//!
//! A node that was cut off raises its term with each campaign that nobody hears. When it comes back, its term
//! throws down a leader with which nothing was wrong. So it asks first: "would you vote for me, in the next
//! term?" Neither side changes its term or its vote for that. Only who would win really runs.
//!
//! A voter says yes if the log is up to date and the term would be a new one. (The thesis also wants it to
//! hear from no leader: here, as in raft-rs, that is CheckQuorum's part, in
//! [`check_quorum`](crate::check_quorum).) A yes carries the term that was asked about, a no the voter's own:
//! a candidate that is behind learns of it.

use bytes::Bytes;
use proto::eraftpb::{Message, MessageType};

use crate::quorum::VoteResult;
use crate::raft::{Raft, Role};
use crate::storage::Storage;
use crate::wire::{NOBODY, message};

impl<S: Storage> Raft<S> {
    /// Asks all voters whether they would vote for this node.
    ///
    /// You will need `record_vote`, `ask_for_votes` and `request_votes`. The term does not change, nor does
    /// the vote; a leader, if there is one, is not believed in any more.
    pub(crate) fn pre_campaign(&mut self) {
        // BEGIN SOLUTION 2X.pre_vote
        self.role = Role::PreCandidate;
        self.leader_id = NOBODY;
        self.votes.clear();
        self.draw_election_timeout();
        if self.record_vote(self.id, true) == VoteResult::Won {
            self.ask_for_votes(Bytes::new());
            return;
        }
        self.request_votes(MessageType::MsgRequestPreVote, self.term + 1, Bytes::new());
        // END SOLUTION
    }

    /// A node asks whether this one would vote for it in `m.term`, which is at least this node's term.
    ///
    /// You will need what `handle_request_vote` needs. Which promise does a yes make? Set the answer's term
    /// yourself.
    pub(crate) fn handle_request_pre_vote(&mut self, m: &Message) {
        // BEGIN SOLUTION 2X.pre_vote
        let free = m.term > self.term
            || self.vote == m.from
            || (self.vote == NOBODY && self.leader_id == NOBODY);
        let granted = free && self.is_up_to_date(m.index, m.log_term);
        // A yes is about the term of the question: with our own, which may be lower, it would be dropped as
        // out of date.
        let term = if granted { m.term } else { self.term };
        let answer = message(MessageType::MsgRequestPreVoteResponse, m.from);
        self.send(Message { reject: !granted, term, ..answer });
        // END SOLUTION
    }

    /// A voter has said whether it would vote for this node.
    ///
    /// You will need `record_vote`, `ask_for_votes` and `become_follower`. What term does a yes to *this*
    /// question carry?
    pub(crate) fn handle_pre_vote_response(&mut self, m: &Message) {
        // BEGIN SOLUTION 2X.pre_vote
        let stale = !m.reject && m.term != self.term + 1;
        if self.role != Role::PreCandidate || stale {
            return;
        }
        match self.record_vote(m.from, !m.reject) {
            VoteResult::Won => self.ask_for_votes(Bytes::new()),
            VoteResult::Lost => self.become_follower(self.term, NOBODY),
            VoteResult::Pending => {}
        }
        // END SOLUTION
    }
}
