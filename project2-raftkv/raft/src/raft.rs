//! One node of a Raft group: what it knows, and the roles that it plays.
//!
//! [`Raft`] is a plain struct. Something happens to it (a tick, a message, a proposal), it changes itself,
//! and leaves in its outbox what others should hear. It reads its log, and never writes to a disk, a socket
//! or a clock; [`RawNode`](crate::RawNode) hands the effects out as a [`Ready`](crate::Ready).
//!
//! ```text
//!                    times out              times out, new term
//!                  +-----------+              +------+
//!                  |           v              |      v
//!   start --> Follower       Candidate -------+------+-- wins a quorum --> Leader
//!                  ^           |                                            |
//!                  |           |  someone else leads this term              |
//!                  +-----------+------------- a higher term is seen --------+
//! ```
//!
//! (Paper, figure 4. With PreVote there is a `PreCandidate` between the first two.)
//!
//! The other modules are the chapters of the same struct: `election` (2AA), `step` (the door and the term
//! rules), `heartbeat`, `propose` and `replication` (2AB), `snapshot` (2C), `read` (linearizable reads),
//! `members` (the seams of a configuration change), `pre_vote` and `check_quorum` (extra credit).
//!
//! # Invariants
//!
//! - `term` never falls, and in one term at most one `vote` is given (paper, figure 3: Election Safety).
//! - What is sent under a term and a vote leaves only when both are durable; see [`ready`](crate::ready).
//! - A leader never replaces entries of its own log (Leader Append-Only).

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::Arc;

use proto::eraftpb::{ConfState, HardState, Message, MessageType};

use crate::config::Config;
use crate::error::Result;
use crate::log::RaftLog;
use crate::progress::Progress;
use crate::quorum::Quorum;
use crate::read::{ReadState, Reads};
use crate::rng::Rng;
use crate::status::Status;
use crate::storage::Storage;
use crate::wire::NOBODY;

/// What a node is in its term.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Role {
    /// Follows a leader, or waits for one. Learners are followers.
    #[default]
    Follower,
    /// Asks whether it would win, before it disturbs anybody (PreVote).
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads its term.
    Leader,
}

/// What a node knows that need not survive a restart, and that others like to know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SoftState {
    /// Whom it takes for the leader of its term; 0: nobody.
    pub leader_id: u64,
    /// Its role.
    pub role: Role,
}

/// One node of a Raft group.
#[derive(Debug)]
pub struct Raft<S: Storage> {
    pub(crate) id: u64,
    pub(crate) config: Config,
    pub(crate) rng: Rng,

    /// Figure 2, persistent state. A change of it is in the next Ready.
    pub(crate) term: u64,
    /// Who got this node's vote in `term`; 0: nobody yet.
    pub(crate) vote: u64,
    /// The log, with its marks.
    pub log: RaftLog<S>,

    pub(crate) role: Role,
    /// The leader of `term`, as far as known; 0: nobody.
    pub(crate) leader_id: u64,
    /// Ticks since a leader or a candidate gave a reason to wait; on a leader, since it last looked for its
    /// quorum.
    pub(crate) election_elapsed: u64,
    /// Ticks since a leader's last heartbeat. `0 .. heartbeat_tick`
    pub(crate) heartbeat_elapsed: u64,
    /// When this node loses its patience. `election_tick .. 2 * election_tick`, drawn at each change of role
    /// or term.
    pub(crate) randomized_election_timeout: u64,
    /// Who has answered this campaign, and what.
    pub(crate) votes: BTreeMap<u64, bool>,

    /// The members, voters and learners.
    pub(crate) conf: ConfState,
    pub(crate) quorum: Box<dyn Quorum>,
    /// What is known of each member, this node included. Means something on a leader only.
    pub(crate) progress: BTreeMap<u64, Progress>,
    /// All members but this node.
    pub(crate) peers: Arc<[u64]>,
    /// Whether this node has a vote, and so may campaign.
    pub(crate) promotable: bool,

    /// A leader that has not written the first entry of its term.
    pub(crate) opening: bool,
    /// Bytes of data that this leader has proposed, and that were not handed out to be applied.
    pub(crate) uncommitted_size: u64,
    /// What this leader found in its log when it was elected; entries behind it count as proposed by it.
    pub(crate) inherited: u64,
    /// Everybody is to hear at once when this entry is committed; 0: none.
    pub(crate) announced: u64,
    pub(crate) reads: Reads,

    /// What others should hear, as soon as term and vote are durable.
    pub(crate) messages: Vec<Message>,
    /// What others should hear once the log is durable, too.
    pub(crate) persisted_messages: Vec<Message>,
    /// Reads that may be served at an index.
    pub(crate) read_states: Vec<ReadState>,
}

impl<S: Storage> Raft<S> {
    /// A node that starts, or starts again, from what its storage holds. Always as a follower, whatever it
    /// was before.
    ///
    /// # Errors
    /// A [`Config`](crate::Error::Config) that cannot be used, or a storage that failed.
    pub fn new(config: Config, store: S) -> Result<Self> {
        config.validate()?;
        let state = store.initial_state()?;
        let hard_state = state.hard_state;
        let mut raft = Raft {
            id: config.id,
            rng: Rng::new(config.seed, config.id),
            term: hard_state.term,
            vote: hard_state.vote,
            log: RaftLog::new(store, hard_state.commit, config.applied)?,
            role: Role::Follower,
            leader_id: NOBODY,
            election_elapsed: 0,
            heartbeat_elapsed: 0,
            randomized_election_timeout: 0,
            votes: BTreeMap::new(),
            conf: ConfState::default(),
            quorum: (config.quorum)(&ConfState::default())?,
            progress: BTreeMap::new(),
            peers: Arc::new([]),
            promotable: false,
            opening: false,
            uncommitted_size: 0,
            inherited: 0,
            announced: 0,
            reads: Reads::default(),
            messages: Vec::new(),
            persisted_messages: Vec::new(),
            read_states: Vec::new(),
            config,
        };
        raft.set_conf(&state.conf_state)?;
        raft.become_follower(hard_state.term, NOBODY);
        Ok(raft)
    }

    /// Starts over in `term`: whatever belonged to a campaign or a leadership is void.
    ///
    /// You will need: term and vote (when is a vote still good?), the leader, both timers and a new
    /// election timeout from `draw_election_timeout`, the votes, [`Progress::reset`] for each member (next
    /// is one behind the log's end), `reads`, and `uncommitted_size`. What this node has durably
    /// (`log.persisted`) is its own match index.
    pub(crate) fn reset(&mut self, term: u64) {
        // BEGIN SOLUTION 2AA.become_follower
        // 5.2: one vote a term. A vote that was given in this term stays given.
        if self.term != term {
            self.term = term;
            self.vote = NOBODY;
        }
        self.leader_id = NOBODY;
        self.election_elapsed = 0;
        self.heartbeat_elapsed = 0;
        // 5.2: drawn anew each time, so that a split vote is not split again.
        self.draw_election_timeout();
        self.votes.clear();
        let next_index = self.log.last_index() + 1;
        for (&id, progress) in &mut self.progress {
            // What was acknowledged in an earlier leadership may have been replaced since.
            progress.reset(next_index);
            if id == self.id {
                progress.match_index = self.log.persisted;
            }
        }
        self.opening = false;
        self.uncommitted_size = 0;
        self.reads.reset();
        // END SOLUTION
    }

    pub(crate) fn draw_election_timeout(&mut self) {
        let least = self.config.election_tick;
        self.randomized_election_timeout = least + self.rng.below(least);
    }

    /// Follows `leader_id` in `term`, or waits for a leader if that is 0.
    ///
    /// You will need `reset`.
    pub(crate) fn become_follower(&mut self, term: u64, leader_id: u64) {
        // BEGIN SOLUTION 2AA.become_follower
        self.reset(term);
        self.role = Role::Follower;
        self.leader_id = leader_id;
        // END SOLUTION
    }

    /// Leads its term.
    ///
    /// You will need `reset` and `bcast_heartbeat`. The first entry of the term is written by
    /// `open_term` (stage 2AB), which is called for every node that has `opening` set: set it, and remember
    /// in `inherited` where the log ended.
    pub(crate) fn become_leader(&mut self) {
        // BEGIN SOLUTION 2AA.become_leader
        debug_assert!(self.role != Role::Follower, "a leader is elected");
        self.reset(self.term);
        self.role = Role::Leader;
        self.leader_id = self.id;
        self.opening = true;
        self.inherited = self.log.last_index();
        // 5.2: a word to everybody at once, so that nobody else runs.
        self.bcast_heartbeat();
        // END SOLUTION
    }

    /// *Seam.* Puts a message into the outbox, with this node as sender and its term, unless these are set.
    /// Forwarded proposals and reads carry no term: their sender speaks for a client.
    pub fn send(&mut self, mut m: Message) {
        if m.from == NOBODY {
            m.from = self.id;
        }
        let kind = m.msg_type();
        if m.term == 0 && !matches!(kind, MessageType::MsgPropose | MessageType::MsgReadIndex) {
            m.term = self.term;
        }
        if kind == MessageType::MsgAppendResponse {
            // 5.3: "I have it" is a promise that the leader counts. It waits for the disk.
            self.persisted_messages.push(m);
        } else {
            self.messages.push(m);
        }
    }

    /// Empties the outbox: what may leave as soon as term and vote are durable, and what waits for the log.
    pub fn take_messages(&mut self) -> (Vec<Message>, Vec<Message>) {
        self.reads.outbox_taken();
        // The next one will be about as full: room for that, and no more.
        let take = |outbox: &mut Vec<Message>| {
            let room = Vec::with_capacity(outbox.len());
            mem::replace(outbox, room)
        };
        (take(&mut self.messages), take(&mut self.persisted_messages))
    }

    /// The reads that may be served, each at its index.
    pub fn take_read_states(&mut self) -> Vec<ReadState> {
        mem::take(&mut self.read_states)
    }

    /// What the node says of itself.
    pub fn status(&self) -> Status<'_> {
        Status::new(self)
    }

    /// This node's id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Its role.
    pub fn role(&self) -> Role {
        self.role
    }

    /// Its term.
    pub fn term(&self) -> u64 {
        self.term
    }

    /// Whom it takes for the leader of its term; 0: nobody.
    pub fn leader_id(&self) -> u64 {
        self.leader_id
    }

    /// Role and leader.
    pub fn soft_state(&self) -> SoftState {
        SoftState { leader_id: self.leader_id, role: self.role }
    }

    /// What must be durable before this node speaks (paper, figure 2: persistent state), and the commit
    /// index, which need not be.
    pub fn hard_state(&self) -> HardState {
        HardState { term: self.term, vote: self.vote, commit: self.log.committed }
    }

    /// How the node was set up.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// The members, as of the last [`set_conf`](Self::set_conf).
    pub fn conf_state(&self) -> &ConfState {
        &self.conf
    }

    /// Whether this node has a vote in its own configuration; others never campaign.
    pub fn promotable(&self) -> bool {
        self.promotable
    }

    /// What a leader knows of each member, itself included; means nothing on others.
    pub fn progress(&self) -> &BTreeMap<u64, Progress> {
        &self.progress
    }

    /// Panics if an invariant does not hold, with a sentence that says which. Tests call it after each step.
    pub fn check_invariants(&self) {
        self.log.check_invariants();
        let (id, term, last) = (self.id, self.term, self.log.last_index());
        assert!(self.log.last_term() <= term, "node {id} has an entry from after its term {term}");
        let timeouts = self.config.election_tick..2 * self.config.election_tick;
        assert!(
            timeouts.contains(&self.randomized_election_timeout),
            "the election timeout {} of node {id} is not in {timeouts:?}",
            self.randomized_election_timeout
        );
        match self.role {
            Role::Follower => assert!(self.leader_id != id, "follower {id} follows itself"),
            Role::PreCandidate => assert!(self.leader_id == NOBODY, "{id} runs, and has a leader"),
            Role::Candidate => {
                assert!(self.vote == id, "candidate {id} did not vote for itself in term {term}");
                assert!(self.leader_id == NOBODY, "{id} runs, and has a leader");
            }
            Role::Leader => {
                assert!(self.leader_id == id, "leader {id} follows {}", self.leader_id);
                assert!(self.vote == id, "leader {id} did not vote for itself in term {term}");
            }
        }
        let members: BTreeSet<u64> = self.progress.keys().copied().collect();
        let voters = self.quorum.voters();
        assert!(
            voters.is_subset(&members),
            "the voters {voters:?} are not all members {members:?}"
        );
        if self.role == Role::Leader {
            for (member, p) in &self.progress {
                let (matched, next) = (p.match_index, p.next_index);
                assert!(
                    matched < next,
                    "member {member}: match {matched} is not before next {next}"
                );
                assert!(
                    matched <= last,
                    "member {member}: match {matched} is beyond our end {last}"
                );
                assert!(next <= last + 1, "member {member}: next {next} is beyond our end {last}");
                let (sent, window) = (p.inflights.len(), p.inflights.window());
                assert!(
                    sent <= window,
                    "member {member}: {sent} appends under way, {window} allowed"
                );
            }
        }
    }
}
