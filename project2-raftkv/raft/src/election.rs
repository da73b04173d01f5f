//! Elections (paper, 5.2 and 5.4.1).
//!
//! Time is counted in ticks. A follower that has heard from no leader and from no candidate for its election
//! timeout becomes a candidate: it raises its term, votes for itself, and asks all voters. A voter says yes
//! to one candidate a term, the first whose log is at least as up to date as its own. Who has a majority
//! leads; since two majorities share a voter, a term has at most one leader.
//!
//! Timeouts are random and are drawn anew each time, so that one node usually asks first, and a vote that was
//! split is not split the same way again.
//!
//! Who may campaign? A node that has a vote in its own configuration. Who may vote? Everybody, learners and
//! nodes that do not know the candidate included: their configuration may be behind, and the *candidate's*
//! decides whose votes count.
//!
//! # Invariants
//!
//! - Votes are counted by voter, and only those of this campaign: an answer carries the term of the
//!   question.
//! - A vote is durable before it is told (see [`ready`](crate::ready)).

use bytes::Bytes;
use proto::eraftpb::{Message, MessageType};

use crate::error::Result;
use crate::quorum::VoteResult;
use crate::raft::{Raft, Role};
use crate::storage::Storage;
use crate::wire::{CAMPAIGN_TRANSFER, LIMIT, NOBODY, message};

/// How to run for office.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CampaignKind {
    /// Ask first whether it would be worth it (PreVote), then as `Real`.
    Pre,
    /// Ask for votes.
    Real,
    /// Ask for votes on behalf of the leader, which hands over: without PreVote, and voters do not refuse
    /// for the leader's sake.
    Transfer,
}

impl<S: Storage> Raft<S> {
    /// One tick of the logical clock.
    pub fn tick(&mut self) -> Result<()> {
        self.reads.tick();
        match self.role {
            Role::Leader => {
                self.tick_leader();
                Ok(())
            }
            _ => self.tick_election(),
        }
    }

    /// A tick of a node that does not lead.
    ///
    /// You will need `election_elapsed`, `randomized_election_timeout` and `hup`. Who is not `promotable`
    /// may wait for ever.
    pub(crate) fn tick_election(&mut self) -> Result<()> {
        // BEGIN SOLUTION 2AA.tick
        self.election_elapsed += 1;
        if self.promotable && self.election_elapsed >= self.randomized_election_timeout {
            self.election_elapsed = 0;
            return self.hup(self.usual_campaign());
        }
        Ok(())
        // END SOLUTION
    }

    /// A tick of a leader.
    ///
    /// You will need `heartbeat_elapsed` and `bcast_heartbeat`. Once an election timeout, if
    /// `Config::check_quorum` is set, a leader asks itself whether it still `hears_a_quorum`, and becomes a
    /// follower if not; `election_elapsed` counts for that.
    pub(crate) fn tick_leader(&mut self) {
        // BEGIN SOLUTION 2AA.tick
        self.election_elapsed += 1;
        if self.election_elapsed >= self.config.election_tick {
            self.election_elapsed = 0;
            if self.config.check_quorum && !self.hears_a_quorum() {
                self.become_follower(self.term, NOBODY);
                return;
            }
        }
        self.heartbeat_elapsed += 1;
        if self.heartbeat_elapsed >= self.config.heartbeat_tick {
            self.heartbeat_elapsed = 0;
            self.bcast_heartbeat();
        }
        // END SOLUTION
    }

    /// How this node runs if nobody asked for something else.
    pub(crate) fn usual_campaign(&self) -> CampaignKind {
        if self.config.pre_vote { CampaignKind::Pre } else { CampaignKind::Real }
    }

    /// Campaigns, if there is no reason against it. There are four: it leads already; it has no vote; the
    /// gate is closed; or it has just restarted in a group with leases, and may have promised its silence.
    ///
    /// # Errors
    /// The storage failed.
    pub fn hup(&mut self, kind: CampaignKind) -> Result<()> {
        if self.role == Role::Leader || !self.promotable || !self.gate_is_open()? {
            return Ok(());
        }
        if kind != CampaignKind::Transfer && self.reads.may_have_promised(&self.config) {
            return Ok(());
        }
        self.campaign(kind)
    }

    /// *Seam.* Asks `Config::campaign_gate` about everything that is committed, and not applied yet.
    fn gate_is_open(&self) -> Result<bool> {
        let Some(gate) = self.config.campaign_gate else { return Ok(true) };
        let mut at = self.log.applied().max(self.log.first_index()? - 1);
        while at < self.log.committed() {
            let page = self.log.entries(at + 1, self.config.max_size_per_msg)?.unwrap_or_default();
            let Some(last) = page.last() else { break };
            at = last.index;
            // A page may reach beyond what is committed.
            if !page.iter().take_while(|e| e.index <= self.log.committed()).all(gate) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// *Seam.* Campaigns, whatever the gate says.
    pub fn campaign(&mut self, kind: CampaignKind) -> Result<()> {
        if self.role == Role::Leader || !self.promotable || self.term >= LIMIT {
            return Ok(());
        }
        match kind {
            CampaignKind::Pre => self.pre_campaign(),
            CampaignKind::Real => self.ask_for_votes(Bytes::new()),
            CampaignKind::Transfer => self.ask_for_votes(Bytes::from_static(CAMPAIGN_TRANSFER)),
        }
        Ok(())
    }

    /// Runs for office in the next term.
    ///
    /// You will need `reset`. Whom does a candidate vote for? The vote itself is counted by `record_vote`.
    fn become_candidate(&mut self) {
        // BEGIN SOLUTION 2AA.campaign
        debug_assert!(self.role != Role::Leader, "a leader does not run against itself");
        // 5.2: a new term for each campaign, also for one after a split vote.
        self.reset(self.term + 1);
        self.role = Role::Candidate;
        self.vote = self.id;
        // END SOLUTION
    }

    /// Becomes a candidate, votes for itself, and asks all other voters.
    ///
    /// You will need `become_candidate`, `record_vote`, `become_leader` and `request_votes`. In a group of
    /// one, there is nobody to ask.
    pub(crate) fn ask_for_votes(&mut self, context: Bytes) {
        // BEGIN SOLUTION 2AA.campaign
        self.become_candidate();
        if self.record_vote(self.id, true) == VoteResult::Won {
            self.become_leader();
            return;
        }
        self.request_votes(MessageType::MsgRequestVote, self.term, context);
        // END SOLUTION
    }

    /// Sends a request to all other voters: index and term of the last entry, and the term to run in.
    pub(crate) fn request_votes(&mut self, kind: MessageType, term: u64, context: Bytes) {
        for to in self.quorum.voters() {
            if to != self.id {
                self.send(Message {
                    term,
                    index: self.log.last_index(),
                    log_term: self.log.last_term(),
                    context: context.clone(),
                    ..message(kind, to)
                });
            }
        }
    }

    /// Counts one vote of this campaign, and says how far it is.
    ///
    /// You will need `votes` and [`Quorum::won`](crate::Quorum::won). A voter's first word counts: answers
    /// may come twice.
    pub(crate) fn record_vote(&mut self, from: u64, granted: bool) -> VoteResult {
        // BEGIN SOLUTION 2AA.campaign
        // Who is no member has no vote, and shall not fill our memory.
        if self.progress.contains_key(&from) {
            self.votes.entry(from).or_insert(granted);
        }
        self.quorum.won(&self.votes)
        // END SOLUTION
    }

    /// Whether a log that ends with this entry is at least as up to date as ours (paper, 5.4.1).
    ///
    /// You will need `log.last_term` and `log.last_index`. Which of the two decides first?
    pub(crate) fn is_up_to_date(&self, last_index: u64, last_term: u64) -> bool {
        // BEGIN SOLUTION 2AA.request_vote
        // 5.4.1: the later term wins. A long log of an old term may hold nothing that was ever committed,
        // so length only decides between equals.
        if last_term != self.log.last_term() {
            return last_term > self.log.last_term();
        }
        last_index >= self.log.last_index()
        // END SOLUTION
    }

    /// A candidate asks for this node's vote, in this node's term (the term rules of `step` have seen to
    /// that). Exactly one answer goes out.
    ///
    /// You will need `vote`, `leader_id`, `is_up_to_date` and `send`. Which fields say what the
    /// candidate's log ends with? And a node that has just voted has a reason to wait.
    pub(crate) fn handle_request_vote(&mut self, m: &Message) {
        // BEGIN SOLUTION 2AA.request_vote
        // Figure 2, RequestVote 2. The same candidate may ask twice, for the answer may be lost; and whoever
        // has a leader in this term knows that the term is decided.
        let free = self.vote == m.from || (self.vote == NOBODY && self.leader_id == NOBODY);
        // 5.4.1: a leader has every committed entry, since a majority refuses whoever lacks one.
        let granted = free && self.is_up_to_date(m.index, m.log_term);
        if granted {
            self.vote = m.from;
            self.election_elapsed = 0;
        }
        let answer = message(MessageType::MsgRequestVoteResponse, m.from);
        self.send(Message { reject: !granted, ..answer });
        // END SOLUTION
    }

    /// A voter has answered, in this node's term.
    ///
    /// You will need `record_vote`. Answers may come when the campaign is over.
    pub(crate) fn handle_vote_response(&mut self, m: &Message) {
        // BEGIN SOLUTION 2AA.vote_response
        if self.role != Role::Candidate {
            return;
        }
        match self.record_vote(m.from, !m.reject) {
            VoteResult::Won => self.become_leader(),
            // 5.2: nothing to be won in this term any more. Wait for who wins, or for the next timeout.
            VoteResult::Lost => self.become_follower(self.term, NOBODY),
            VoteResult::Pending => {}
        }
        // END SOLUTION
    }
}
