//! What a suite says to one Raft node, and what the node says back.
//!
//! One subject is one life of one node: [`Input::Start`] gives it a configuration and what was durable when its
//! last life ended. The suite holds everything that outlives a crash: it keeps what the node's Readys told it to
//! persist, and calls it durable when it says [`Input::Persisted`]. A crash is a new subject, started from what
//! was durable. Messages are `eraftpb.Message` bytes, so that nodes of different makes can talk.
//!
//! # How a subject answers
//!
//! It holds a `RawNode` over a storage in memory, and does nothing by itself:
//!
//! | input | what it does |
//! |---|---|
//! | `Tick` .. `ProposeConfChange`, `ProposeConfChangeV2` | one call of the `RawNode`; answers `Done` |
//! | `Ready` | if `has_ready()`: takes a Ready and answers `Ready`; else answers `Idle` |
//! | `Advance` | stores entries, hard state and snapshot of the Ready that was taken last where the node can read them, and calls `advance_append_async` |
//! | `Persisted(n)` | `on_persist_ready(n)` |
//! | `Applied(i)` | `advance_apply_to(i)` |
//! | `Compact`, `MakeSnapshot` | the storage forgets entries, or holds a snapshot that can be sent |
//! | `ApplyConfChange`, `ApplyConfChangeV2` | `apply_conf_change`, and its storage tells the new members from then on; answers `Conf` |
//! | `Status`, `Log` | answers what the public readers say |
//!
//! Between `Ready` and `Advance` anything may come. A Ready that is not advanced before the next one is taken was
//! dropped: what it asked to be stored comes again. (A subject around a node that lets nothing come between,
//! as raft-rs does, advances before it passes on the next input.)
//!
//! At [`Level::Election`] and [`Level::Log`] the subject has no `RawNode`, and does the same with its `Raft` by hand.
//! A subject that is complete from the start (raft-rs) need not look at the level.
//!
//! Members change, and leaders hand over, in project 3 only: before, a subject refuses these inputs. The two of kind V2
//! are stage 3X's alone.
//!
//! So the storage in the subject always holds what the node was told is being written, and only the suite knows
//! what of it would survive.

use proto::eraftpb;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sim::seam::Protocol;

/// The vocabulary of the Raft suites.
pub struct RaftNode;

impl Protocol for RaftNode {
    type Input = Input;
    type Effect = Effect;
}

/// How a node is set up. Times are in ticks, sizes in bytes; names as in raft-rs's `Config`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Config {
    /// This node.
    pub id: u64,
    /// Ticks without a leader's word before a follower campaigns, at least; the node draws each timeout from
    /// `election_tick..2 * election_tick`.
    pub election_tick: u64,
    /// Ticks between two heartbeats.
    pub heartbeat_tick: u64,
    /// Where the node's random numbers come from.
    pub seed: u64,
    /// The most that one append carries; at least one entry always goes.
    pub max_size_per_msg: u64,
    /// How many appends may be under way to one follower.
    pub max_inflight_msgs: usize,
    /// The most that may wait uncommitted on a leader; a proposal beyond it is dropped.
    pub max_uncommitted_size: u64,
    /// Ask before disturbing (thesis 9.6). Extra credit.
    pub pre_vote: bool,
    /// A leader that hears from no quorum for an election timeout steps down (thesis 6.2). Extra credit.
    pub check_quorum: bool,
    /// Serve reads by the leader's lease, not by a round of heartbeats. Extra credit; needs `check_quorum`.
    pub lease_read: bool,
    /// Everything up to here was applied before the start.
    pub applied: u64,
    /// How much of a node there is to be driven.
    pub level: Level,
}

/// How much of a node a test needs. A student writes elections first, then the log, then the `RawNode`, and the
/// tests of each stage must be green before the next one is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Level {
    /// Elections alone (2AA): the subject drives its `Raft` by hand, leaders write no first entry and send no
    /// appends. Tests propose nothing, and send neither appends nor answers to appends.
    Election,
    /// Elections and the log (2AB): by hand, too. Every message waits for the disk.
    Log,
    /// A whole `RawNode` (2AC on).
    Node,
}

impl Config {
    /// Node `id` with an election timeout of 10 ticks, a heartbeat each tick, and nothing optional.
    pub fn new(id: u64) -> Self {
        Config {
            id,
            election_tick: 10,
            heartbeat_tick: 1,
            seed: id,
            max_size_per_msg: 1 << 20,
            max_inflight_msgs: 256,
            max_uncommitted_size: u64::MAX,
            pre_vote: false,
            check_quorum: false,
            lease_read: false,
            applied: 0,
            level: Level::Node,
        }
    }
}

/// What a node finds when it starts.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Durable {
    /// `eraftpb.HardState`
    pub hard_state: ByteBuf,
    /// The members: `eraftpb.ConfState`.
    pub conf_state: ByteBuf,
    /// What the log starts after: index and term of the last entry that is only in a snapshot (0, 0: none).
    pub truncated: (u64, u64),
    /// The data of that snapshot.
    pub snapshot_data: ByteBuf,
    /// `eraftpb.Entry`, one after the other from `truncated.0 + 1` on.
    pub entries: Vec<ByteBuf>,
}

impl Durable {
    /// A node that was never started, in a group of `voters`.
    pub fn new(voters: &[u64]) -> Self {
        use prost::Message;
        let conf_state = eraftpb::ConfState { voters: voters.to_vec(), ..Default::default() };
        Durable { conf_state: conf_state.encode_to_vec().into(), ..Default::default() }
    }
}

/// What a suite says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Input {
    /// Begin a life. The first input, and only the first.
    Start(Config, Durable),
    /// One tick of the logical clock.
    Tick,
    /// A message arrived: `eraftpb.Message`.
    Step(ByteBuf),
    /// A client proposes an entry with this data.
    Propose(ByteBuf),
    /// Campaign now (`campaign()`, that is MsgHup).
    Campaign,
    /// A client wants to read; the answer comes as a read state with this context.
    ReadIndex(ByteBuf),
    /// The leader is asked to hand over to this node.
    TransferLeader(u64),
    /// A change of one member is proposed: `eraftpb.ConfChange`.
    ProposeConfChange(ByteBuf),
    /// A change of one member, which is committed, is applied: `eraftpb.ConfChange`. Answered with `Conf`.
    ApplyConfChange(ByteBuf),
    /// A change of any number of members is proposed: `eraftpb.ConfChangeV2`. Asked of stage 3X only.
    ProposeConfChangeV2(ByteBuf),
    /// A change of any number of members, which is committed, is applied: `eraftpb.ConfChangeV2`. Answered with `Conf`.
    ApplyConfChangeV2(ByteBuf),
    /// Take a Ready, if there is one.
    Ready,
    /// What the Ready that was taken last asked to be stored can be read.
    Advance,
    /// What the Ready with this number asked for, and all before, is durable.
    Persisted(u64),
    /// Everything up to this index is applied.
    Applied(u64),
    /// The storage forgets the entries up to this index, which is applied.
    Compact(u64),
    /// The storage holds a snapshot at this applied index, with this data, to be sent to who needs it.
    MakeSnapshot(u64, ByteBuf),
    /// The snapshot sent to this node arrived (true), or was lost (false).
    ReportSnapshot(u64, bool),
    /// This node cannot be reached.
    ReportUnreachable(u64),
    /// What do you say of yourself?
    Status,
    /// Show the log from this index (inclusive) to that one (exclusive).
    Log(u64, u64),
}

/// A role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Role {
    /// Follows a leader, or waits for one. A learner is one, too.
    Follower,
    /// Asks whether it would win (PreVote).
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads its term.
    Leader,
}

/// What a node is told to do, and may do, by one Ready; see raft-rs's `Ready` for the contract.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReadyOut {
    /// Its number, rising by one.
    pub number: u64,
    /// Whether what is to be persisted must be synced before `persisted_messages` leave.
    pub must_sync: bool,
    /// `eraftpb.HardState`, if it changed.
    pub hard_state: Option<ByteBuf>,
    /// `eraftpb.Entry`s to append; they replace what the log holds from the first one's index on.
    pub entries: Vec<ByteBuf>,
    /// `eraftpb.Snapshot` to install, before the entries.
    pub snapshot: Option<ByteBuf>,
    /// `eraftpb.Message`s that may leave at once.
    pub messages: Vec<ByteBuf>,
    /// `eraftpb.Message`s that may leave only when this Ready, and all before it, is durable.
    pub persisted_messages: Vec<ByteBuf>,
    /// `eraftpb.Entry`s to apply.
    pub committed: Vec<ByteBuf>,
    /// Reads that may be served once this index is applied: index, context.
    pub read_states: Vec<(u64, ByteBuf)>,
}

/// What a node says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Its role.
    pub role: Role,
    /// Its term.
    pub term: u64,
    /// Whom it voted for in this term; 0: nobody.
    pub vote: u64,
    /// Whom it takes for the leader; 0: nobody.
    pub leader: u64,
    /// The last index that it knows to be committed.
    pub committed: u64,
    /// The last index that it was told is applied.
    pub applied: u64,
    /// The last index of its log, durable or not.
    pub last_index: u64,
    /// The term of that entry.
    pub last_term: u64,
    /// On a leader: each member's (id, match index, next index).
    pub progress: Vec<(u64, u64, u64)>,
}

/// What a node says.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Effect {
    /// The input was carried out, or refused with this text (a dropped proposal, a message of a wrong kind).
    Done(Result<(), String>),
    /// Nothing to take.
    Idle,
    /// A Ready.
    Ready(Box<ReadyOut>),
    /// The answer to [`Input::Status`].
    Status(Box<Status>),
    /// The answer to [`Input::ApplyConfChange`] and [`Input::ApplyConfChangeV2`]: the members from now on, an
    /// `eraftpb.ConfState`; or why nothing has changed.
    Conf(Result<ByteBuf, String>),
    /// The answer to [`Input::Log`]: `eraftpb.Entry`s, or why they cannot be had (compacted).
    Log(Result<Vec<ByteBuf>, String>),
}
