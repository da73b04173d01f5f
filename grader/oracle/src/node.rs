//! raft-rs under our peers: a [`MembershipNode`] over the crate `raft`.
//!
//! Design of project 3: whatever keeps [`MembershipNode`]'s contract can drive a `Peer`. This is the second implementation,
//! so that the suite of stage 3B, with its stores, splits, snapshots and crashes, runs on a Raft that we did not write.
//! What it proves is the seam: the peers lean on nothing that only our core does.
//!
//! The log stays where it is: raft-rs reads it through [`Log`], which is our `PeerStorage` in raft-rs's words. Messages,
//! entries and snapshots are the same bytes in two Rust types, and cross as bytes.
//!
//! # What raft-rs decides differently
//!
//! - **A read on a leader that has committed nothing in its term** is dropped by raft-rs without a word. Our peers must hear of it
//!   ([`raftcore::Error::ReadDropped`]), or their client waits in vain: [`RaftRs::read_index`] asks first.
//! - **A restored snapshot** may not be called applied before it is called persisted. Our peers say it in the other order;
//!   [`RaftRs::advance_apply_to`] keeps what comes too early.
//! - **A campaign while a snapshot is being installed**: raft-rs looks for changes of members between what is applied and what is
//!   committed, and panics because its log has nothing there. TiKV's peer does not tick its node meanwhile, nor lets anybody make
//!   it campaign; [`RaftRs::is_installing`] does the same here.
//! - **A change of members that comes too early** is replaced by an empty entry, and the proposer is told that all is well. What
//!   TiKV's peer asks before stands in [`peer`], as in stage 3A.
//! - **A leader that was removed** goes on sending heartbeats; ours falls silent. Its store destroys it at once, so that nobody
//!   sees a difference.
//! - **Election timeouts** come from the operating system. Here they are drawn anew from the seed, as in [`subject`](crate::subject).
//! - **Leases**: ours are the core's, TiKV's are the peer's. Without leases nothing is asked: `suspend_lease` does nothing here.

use std::collections::VecDeque;

use bytes::Bytes;
use multiraft::membership::{Error, MemberStatus, MembershipNode};
use proto::eraftpb::{self, MessageType};
use raft::storage::GetEntriesContext;
use raft::{ProgressState, RawNode, SnapshotStatus, StateRole};
use raftcore::{Role, Storage as _};
use raftkv::node::{NodeStatus, RaftNode};
use raftkv::peer_storage::PeerStorage;
use sim::rng::Rng;

use crate::peer;

/// Our log, as raft-rs reads it.
pub struct Log(PeerStorage);

/// One peer's consensus, by raft-rs.
pub struct RaftRs {
    raw: RawNode<Log>,
    rng: Rng,
    /// (term, role) when the election timeout was drawn.
    drawn: (u64, StateRole),
    election_tick: usize,
    /// raft-rs's half of the Readys that were taken and not advanced yet.
    taken: VecDeque<raft::Ready>,
    /// Applied, by a snapshot that is not persisted yet; 0: nothing.
    applied_early: u64,
}

/// A message of theirs as one of ours. Both are the same bytes of proto3, where every message has a meaning.
fn ours<M: prost::Message + Default>(theirs: &impl protobuf::Message) -> M {
    let bytes = theirs.write_to_bytes().expect("proto3 messages always encode");
    M::decode(&bytes[..]).expect("what one side writes the other can read")
}

/// And the other way round.
fn theirs<M: protobuf::Message>(ours: &impl prost::Message) -> M {
    M::parse_from_bytes(&ours.encode_to_vec()).expect("what one side writes the other can read")
}

fn all<M: prost::Message + Default>(theirs: &[impl protobuf::Message]) -> Vec<M> {
    theirs.iter().map(ours).collect()
}

fn storage_error(error: raftcore::StorageError) -> raft::Error {
    use raftcore::StorageError as Ours;
    raft::Error::Store(match error {
        Ours::Compacted => raft::StorageError::Compacted,
        Ours::Unavailable => raft::StorageError::Unavailable,
        Ours::SnapshotTemporarilyUnavailable => raft::StorageError::SnapshotTemporarilyUnavailable,
        Ours::Other(text) => raft::StorageError::Other(text.into()),
    })
}

impl raft::Storage for Log {
    fn initial_state(&self) -> raft::Result<raft::RaftState> {
        let state = self.0.initial_state().map_err(storage_error)?;
        Ok(raft::RaftState::new(theirs(&state.hard_state), theirs(&state.conf_state)))
    }

    fn entries(
        &self,
        low: u64,
        high: u64,
        max_size: impl Into<Option<u64>>,
        _: GetEntriesContext,
    ) -> raft::Result<Vec<raft::eraftpb::Entry>> {
        let most = max_size.into().unwrap_or(u64::MAX);
        let entries = self.0.entries(low, high, most).map_err(storage_error)?;
        Ok(entries.iter().map(theirs).collect())
    }

    fn term(&self, index: u64) -> raft::Result<u64> {
        self.0.term(index).map_err(storage_error)
    }

    fn first_index(&self) -> raft::Result<u64> {
        self.0.first_index().map_err(storage_error)
    }

    fn last_index(&self) -> raft::Result<u64> {
        self.0.last_index().map_err(storage_error)
    }

    fn snapshot(&self, request_index: u64, to: u64) -> raft::Result<raft::eraftpb::Snapshot> {
        self.0.snapshot(request_index, to).map(|snapshot| theirs(&snapshot)).map_err(storage_error)
    }
}

impl RaftRs {
    /// A node that starts from what its storage holds: `raftstore::MakeNode`.
    ///
    /// # Errors
    /// A configuration that cannot be used.
    pub fn new(config: raftcore::Config, store: PeerStorage) -> raftcore::Result<Self> {
        let ticks = |ticks: u64| usize::try_from(ticks).unwrap_or(usize::MAX);
        let raft_config = raft::Config {
            id: config.id,
            election_tick: ticks(config.election_tick),
            heartbeat_tick: ticks(config.heartbeat_tick),
            applied: config.applied,
            max_size_per_msg: config.max_size_per_msg,
            max_inflight_msgs: config.max_inflight_msgs,
            max_uncommitted_size: config.max_uncommitted_size,
            max_committed_size_per_ready: config.max_committed_size_per_ready,
            pre_vote: config.pre_vote,
            check_quorum: config.check_quorum,
            ..raft::Config::default()
        };
        let logger = slog::Logger::root(slog::Discard, slog::o!());
        let raw = RawNode::new(&raft_config, Log(store), &logger)
            .map_err(|error| raftcore::Error::Config(error.to_string()))?;
        let mut node = RaftRs {
            raw,
            rng: Rng::fork(config.seed ^ config.id.rotate_left(32), "election timeouts"),
            drawn: (u64::MAX, StateRole::Follower),
            election_tick: raft_config.election_tick,
            taken: VecDeque::new(),
            applied_early: 0,
        };
        node.draw();
        Ok(node)
    }

    /// raft-rs's node, to look at.
    pub fn raw(&self) -> &RawNode<Log> {
        &self.raw
    }

    /// Whether a snapshot has taken the log's place, and is not applied yet.
    pub fn is_installing(&self) -> bool {
        self.raw.raft.raft_log.applied < self.raw.store().0.truncated().index
    }

    /// Entries of the log from this index on, stored or not.
    pub fn entries_from(&self, index: u64) -> Vec<eraftpb::Entry> {
        let log = &self.raw.raft.raft_log;
        let end = log.last_index() + 1;
        if index >= end {
            return Vec::new();
        }
        log.slice(index, end, None, GetEntriesContext::empty(false))
            .map(|entries| all(&entries))
            .unwrap_or_default()
    }

    // raft-rs draws a timeout whenever it changes its role or its term; we put a seeded one in its place.
    fn draw(&mut self) {
        let now = (self.raw.raft.term, self.raw.raft.state);
        if now != self.drawn {
            self.drawn = now;
            let timeout = self.election_tick + self.rng.below(self.election_tick);
            self.raw.raft.set_randomized_election_timeout(timeout);
        }
    }

    /// What has come of something that changes the node.
    fn done(&mut self, result: raft::Result<()>) -> raftcore::Result<()> {
        self.draw();
        result.map_err(|error| self.refusal(&error))
    }

    fn refusal(&self, error: &raft::Error) -> raftcore::Error {
        let raft = &self.raw.raft;
        match error {
            raft::Error::ProposalDropped if raft.state != StateRole::Leader => {
                raftcore::Error::NoLeader { term: raft.term }
            }
            raft::Error::ProposalDropped if raft.prs().get(raft.id).is_none() => {
                raftcore::Error::NotAMember
            }
            raft::Error::ProposalDropped if raft.lead_transferee.is_some() => {
                raftcore::Error::Refused("leadership is being handed over")
            }
            raft::Error::ProposalDropped => raftcore::Error::ProposalDropped {
                waiting: raft.uncommitted_size() as u64,
                limit: 0,
            },
            raft::Error::StepPeerNotFound => raftcore::Error::UnknownPeer(0),
            raft::Error::Store(error) => {
                raftcore::Error::Storage(raftcore::StorageError::Other(error.to_string()))
            }
            _ => raftcore::Error::Malformed("raft-rs refuses it"),
        }
    }

    /// A snapshot that was called applied before it was persisted, if it is persisted now.
    fn apply_what_came_early(&mut self) {
        let early = self.applied_early;
        if early > 0 && self.raw.raft.raft_log.persisted >= early {
            self.applied_early = 0;
            self.raw.advance_apply_to(early);
        }
    }
}

impl RaftNode for RaftRs {
    fn storage(&self) -> &PeerStorage {
        &self.raw.store().0
    }

    fn storage_mut(&mut self) -> &mut PeerStorage {
        &mut self.raw.mut_store().0
    }

    fn tick(&mut self) -> raftcore::Result<()> {
        if !self.is_installing() {
            self.raw.tick();
        }
        self.done(Ok(()))
    }

    fn set_now(&mut self, _: u64) {}

    fn step(&mut self, message: eraftpb::Message) -> raftcore::Result<()> {
        if self.is_installing() && message.msg_type() == MessageType::MsgTimeoutNow {
            return Ok(());
        }
        let from = message.from;
        let result = self.raw.step(theirs(&message));
        match self.done(result) {
            Err(raftcore::Error::UnknownPeer(_)) => Err(raftcore::Error::UnknownPeer(from)),
            other => other,
        }
    }

    fn campaign(&mut self) -> raftcore::Result<()> {
        // raft-rs leaves it to the caller to ask whether there is a vote at all.
        let may = self.raw.raft.promotable() && !self.is_installing();
        let result = if may { self.raw.campaign() } else { Ok(()) };
        self.done(result)
    }

    fn propose(&mut self, data: Bytes) -> raftcore::Result<()> {
        let result = self.raw.propose(Vec::new(), data.to_vec());
        self.done(result)
    }

    fn read_index(&mut self, context: Bytes) -> raftcore::Result<()> {
        let raft = &self.raw.raft;
        if raft.state == StateRole::Leader && !raft.commit_to_current_term() {
            return Err(raftcore::Error::ReadDropped("nothing is committed in this term yet"));
        }
        if raft.leader_id == 0 {
            return Err(raftcore::Error::NoLeader { term: raft.term });
        }
        self.raw.read_index(context.to_vec());
        self.done(Ok(()))
    }

    fn has_ready(&self) -> bool {
        self.raw.has_ready()
    }

    fn ready(&mut self) -> raftcore::Result<raftcore::Ready> {
        let mut ready = self.raw.ready();
        let snapshot = Some(ready.snapshot()).filter(|snapshot| !snapshot.is_empty()).map(ours);
        let read_states = ready.take_read_states().into_iter().map(|read| raftcore::ReadState {
            index: read.index,
            request_ctx: read.request_ctx.into(),
        });
        let taken = raftcore::Ready {
            number: ready.number(),
            soft_state: None,
            hard_state: ready.hs().map(ours),
            read_states: read_states.collect(),
            snapshot,
            entries: all(ready.entries()),
            must_sync: ready.must_sync(),
            messages: all(&ready.take_messages()),
            persisted_messages: all(&ready.take_persisted_messages()),
            committed_entries: all(&ready.take_committed_entries()),
        };
        self.taken.push_back(ready);
        Ok(taken)
    }

    fn advance_append_async(&mut self, ready: raftcore::Ready) {
        let first = self.taken.pop_front().expect("a Ready is advanced once, in its turn");
        assert_eq!(first.number(), ready.number, "Readys are advanced in their order");
        self.raw.advance_append_async(first);
    }

    fn on_persist_ready(&mut self, number: u64) -> raftcore::Result<()> {
        self.raw.on_persist_ready(number);
        self.apply_what_came_early();
        self.done(Ok(()))
    }

    fn advance_apply_to(&mut self, index: u64) {
        let log = &self.raw.raft.raft_log;
        if index > log.persisted {
            self.applied_early = index;
        } else if index > log.applied {
            self.raw.advance_apply_to(index);
            self.draw();
        }
    }

    fn report_unreachable(&mut self, id: u64) {
        self.raw.report_unreachable(id);
    }

    fn report_snapshot(&mut self, id: u64, arrived: bool) {
        let status = if arrived { SnapshotStatus::Finish } else { SnapshotStatus::Failure };
        self.raw.report_snapshot(id, status);
    }

    fn status(&self) -> NodeStatus {
        let raft = &self.raw.raft;
        let leads = raft.state == StateRole::Leader;
        let slowest = raft.prs().iter().map(|(_, progress)| progress.matched).min();
        NodeStatus {
            role: match raft.state {
                StateRole::Follower => Role::Follower,
                StateRole::PreCandidate => Role::PreCandidate,
                StateRole::Candidate => Role::Candidate,
                StateRole::Leader => Role::Leader,
            },
            term: raft.term,
            vote: raft.vote,
            leader_id: raft.leader_id,
            committed: raft.raft_log.committed,
            last_index: raft.raft_log.last_index(),
            slowest_match: slowest.filter(|_| leads).unwrap_or(0),
        }
    }
}

impl MembershipNode for RaftRs {
    fn propose_conf_change(
        &mut self,
        change: &eraftpb::ConfChange,
    ) -> multiraft::membership::Result<()> {
        let result = peer::propose(&mut self.raw, theirs(change));
        self.draw();
        result.map_err(|why| self.why_not(why))
    }

    fn apply_conf_change(
        &mut self,
        change: &eraftpb::ConfChange,
    ) -> multiraft::membership::Result<eraftpb::ConfState> {
        let change: raft::eraftpb::ConfChange = theirs(change);
        let result = self.raw.apply_conf_change(&change);
        self.draw();
        // A change that makes no sense changes nothing, on any replica.
        result.map(|conf| ours(&conf)).map_err(|_| Error::BadChange("raft-rs refuses it"))
    }

    fn transfer_leader(&mut self, to: u64) -> multiraft::membership::Result<()> {
        let result = peer::transfer(&mut self.raw, to);
        self.draw();
        result.map_err(|why| self.why_not(why))
    }

    fn conf_state(&self) -> eraftpb::ConfState {
        ours(&self.raw.raft.prs().conf().to_conf_state())
    }

    fn pending_conf_index(&self) -> u64 {
        self.raw.raft.pending_conf_index
    }

    fn transferee(&self) -> Option<u64> {
        self.raw.raft.lead_transferee
    }

    fn members(&self) -> Vec<MemberStatus> {
        let raft = &self.raw.raft;
        if raft.state != StateRole::Leader {
            return Vec::new();
        }
        let learners = self.conf_state().learners;
        let mut members: Vec<MemberStatus> = raft
            .prs()
            .iter()
            .map(|(&id, progress)| MemberStatus {
                id,
                learner: learners.contains(&id),
                match_index: progress.matched,
                snapshot: progress.state == ProgressState::Snapshot,
            })
            .collect();
        members.sort_by_key(|member| member.id);
        members
    }

    fn id(&self) -> u64 {
        self.raw.raft.id
    }
}

impl RaftRs {
    fn why_not(&self, why: peer::WhyNot) -> Error {
        let raft = &self.raw.raft;
        match why {
            peer::WhyNot::ChangePending => Error::ChangePending {
                pending: raft.pending_conf_index,
                applied: raft.raft_log.applied,
            },
            peer::WhyNot::NoVoterLeft => Error::BadChange("no voter would be left"),
            peer::WhyNot::CannotChange => Error::BadChange("the members cannot change so, now"),
            peer::WhyNot::HandsOver(to) => Error::HandsOver { to },
            peer::WhyNot::CannotLead(id, why) => Error::CannotLead { id, why },
            peer::WhyNot::Raft(error) => Error::Raft(self.refusal(&error)),
        }
    }
}
