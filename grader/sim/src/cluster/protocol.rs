//! What the world says to one store of a cluster, and what the store says back.
//!
//! One subject is one *life* of one store process: from [`Event::Open`] to a crash, or to [`Effect::Stopped`].
//! It has no clock, no socket, no thread and no file of its own. The world hands it one [`Input`] at a time; it
//! does all that can be done now, in the calling thread, and returns what it did as a list of [`Effect`]s **in
//! the order in which it happened**. What would take time in a real process (an fsync by the log writer, a
//! snapshot scan by the region worker) it asks for as a job, and carries it out when the world says so.
//!
//! # One input
//!
//! | event | the store | must answer |
//! |---|---|---|
//! | `Open` (first, once) | opens its files, recovers, is ready | nothing, or `Stopped` |
//! | `Tick` | timers: Raft ticks, deadlines, flushes, log GC | |
//! | `Message`, `Unreachable` | what its transport would hand to it | |
//! | `Request` | begins a client's RPC | now or later exactly one `Reply` |
//! | `RunJob` | does the work behind an earlier `Effect::Job`, to its end, and goes on from there | |
//! | `FailDisk` | orders its disk to fail a call (`Recorder` does it) | |
//! | `Look` | nothing: the world only wants [`Input::look`] | `Inspected` |
//!
//! # What is durable when
//!
//! The disk is a set of named files (`raft.redb`, `kv.redb`, whatever the store likes). A write is durable once a
//! [`DiskOp::Sync`](crate::disk::DiskOp) of the same file stands *after* it in the effects; nothing else makes
//! it so, and no order between two files is kept but the one that syncs make.
//! A promise (a vote, an acknowledgement, a reply) is only as good as the syncs before it. So
//! `[write, sync, send]` is safe and `[send, write, sync]` is not, and the difference must be visible: a subject
//! whose disk and outbox are separate records both in one journal, [`Recorder`](super::recorder::Recorder).
//!
//! # What a crash is
//!
//! The subject is dropped (or killed); nothing is said to it. Of the effects of its last inputs some first part
//! happened, and the rest never did: the world releases effects one by one, a sync takes time, and a crash may
//! fall between any two. Pending jobs are gone. Then a new subject is started from the files as a power cut may
//! have left them: all that was synced, and of what was not any part ([`DiskImage`](crate::disk::DiskImage)).
//! It learns nothing else about its last life: not its requests, not its jobs.
//!
//! # Replies, exactly once
//!
//! Each [`Event::Request`] is answered by exactly one [`Effect::Reply`] of the same life, at the latest at the
//! first tick after its deadline. Nobody waits for an answer after a crash, and none may come.
//! [`Status::definite`] is the difference that the checker lives on: *definite* says that the request has not
//! happened and never will; *indefinite* says that nobody knows. To say definite and apply it later is a lie, and
//! is reported as one.
//!
//! # Lanes
//!
//! A job has a [`Lane`], which stands for a thread: the world lets jobs of one lane run one after the other in
//! the order in which they were asked for, each after a latency, and lanes beside each other and beside all other
//! events. So a log write that is one `Job(LogWrite)` runs as by a log-writer thread while the loop goes on;
//! a store without such a thread simply writes and syncs before it returns, and is *busy* for as long as its
//! syncs take. Both are right.
//!
//! Nothing here is believed for a verdict that the world can know by itself: disks, messages, requests and time
//! are the world's. [`Inspected`] is what a store says about its insides, and serves the monitors.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use crate::disk::{DiskCall, DiskOp};
use crate::seam::Protocol;

/// The vocabulary of every cluster suite.
pub struct Cluster;

impl Protocol for Cluster {
    type Input = Input;
    type Effect = Effect;
}

/// A store's id, never 0. Schedulers and other helpers are nodes of the world, too.
pub type NodeId = u64;

/// A time or a span in microseconds. What a store is given is its own clock: it starts anywhere, may run a
/// little fast or slow, and never falls within a life.
pub type Micros = u64;

/// One thing that happens to a store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    /// The store's clock. Never lower than in the input before.
    pub now: Micros,
    /// What happens.
    pub event: Event,
    /// With `Some`, the last effect of the answer is one [`Effect::Inspected`]: the state after the event.
    pub look: Option<Look>,
}

/// What can happen to a store.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Event {
    /// A life begins. The first event, and only the first.
    Open(Box<Open>),
    /// Time has passed. Comes every [`Open::tick`] of the store's clock (later while it is busy or paused;
    /// missed ticks do not pile up).
    Tick,
    /// A message arrived, unchanged. Messages may be lost, come twice, late, in any order, and from an earlier
    /// life of the sender (or to an earlier life of this store).
    Message {
        /// Who sent it. Never forged by the world.
        from: NodeId,
        /// What it came on.
        channel: Channel,
        /// What was sent.
        bytes: ByteBuf,
    },
    /// The transport could not deliver something to this store. A hint and no more: it may come late or never.
    Unreachable {
        /// The destination.
        to: NodeId,
        /// What it was sent on.
        channel: Channel,
    },
    /// A client calls.
    Request {
        /// Names the request in the reply; unique over all lives of all stores.
        id: u64,
        /// The RPC: `RawPut`, `RawGet`, ..., or a method that only a suite has (`admin/...`).
        method: String,
        /// The encoded request.
        bytes: ByteBuf,
        /// By the store's clock: an answer after this is of no use to the client. By then, at the next tick at
        /// the latest, the store has answered (indefinite, if nothing better is known).
        deadline: Micros,
    },
    /// The job with this id, asked for by an [`Effect::Job`] of this life, is carried out now: the store does
    /// the work (writes, syncs, scans) and then what follows from its completion (`on_persisted`, sends,
    /// replies), all in this input.
    RunJob {
        /// The job.
        id: u64,
    },
    /// The `nth` call (1 is the next one) of this kind on this file fails with EIO, and so does every later
    /// write and sync on it in this life. A store that sees it makes no further promise that rests on this
    /// file, and ends with [`Effect::Stopped`] by its next tick.
    FailDisk {
        /// The file's name; one that the store does not have yet is a file that it will open.
        file: String,
        /// Which calls are counted.
        call: DiskCall,
        /// Which of them is the first to fail.
        nth: u64,
    },
    /// Nothing happens.
    Look,
}

/// What a store finds when it starts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Open {
    /// Who it is.
    pub node: NodeId,
    /// Where its random numbers come from in this life.
    pub seed: u64,
    /// How often [`Event::Tick`] comes.
    pub tick: Micros,
    /// Its files: what an earlier life left; none at the first start.
    pub files: Vec<(String, ByteBuf)>,
    /// How it is set up (members, features, sizes): between the suite and its subject, opaque to the world.
    pub config: ByteBuf,
}

/// On what a message travels. Each is a connection of its own: a long snapshot does not hold up heartbeats.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Channel {
    /// Raft messages: `Raft`, `BatchRaft`.
    Raft,
    /// Chunks of snapshots and what answers them.
    Snapshot,
    /// To and from a scheduler.
    Scheduler,
    /// Between a client that is a node of the world itself, and the stores.
    Client,
}

/// Which thread of a real store would do a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Lane {
    /// The log writer: one commit and one fsync of the Raft log.
    LogWrite,
    /// The apply system.
    Apply,
    /// The region worker: snapshot builds and installs, scans, destruction in chunks.
    Region,
}

/// What a store did. The order in the list is the order in which it happened.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Effect {
    /// It did this to one of its files. The first mention of a name creates the file.
    Disk {
        /// The file.
        file: String,
        /// What was done to it.
        op: DiskOp,
    },
    /// It removed a file. Durable at once (a shortcut: a removed file never comes back after a crash).
    Remove {
        /// The file.
        file: String,
    },
    /// It sent a message. What becomes of it is the network's affair.
    Send {
        /// To whom. To itself or to nobody that exists: dropped.
        to: NodeId,
        /// On what.
        channel: Channel,
        /// The encoded message.
        bytes: ByteBuf,
    },
    /// The answer to a request.
    Reply {
        /// The request's id.
        id: u64,
        /// The encoded response, or a status.
        result: Result<ByteBuf, Status>,
    },
    /// It wants [`Event::RunJob`] with this id once `lane` gets to it.
    Job {
        /// Unique within this life.
        id: u64,
        /// Where it runs.
        lane: Lane,
    },
    /// The answer to [`Input::look`].
    Inspected(Box<Inspected>),
    /// It has stopped by itself: its disk failed, or its files cannot be used. Nothing comes after it. Open
    /// requests are lost to their clients as in a crash.
    Stopped {
        /// Why, for people.
        why: String,
    },
}

/// An answer that is no response: what a gRPC status would say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// True: the request has not happened and never will. False: it may have, or may yet.
    pub definite: bool,
    /// For people.
    pub text: String,
}

/// What the world wants to see.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Look {
    /// Every region; else those suffice in which something may have changed since the last look of this life
    /// (telling too many is never wrong).
    pub all: bool,
    /// From which index on to show the log of a region; one that is not listed, or whose log begins later,
    /// is shown from its first index.
    pub logs: Vec<(u64, u64)>,
    /// Compute [`RegionView::digest`].
    pub digest: bool,
}

/// What a store says about its insides: as Raft sees them after the event, durable or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inspected {
    /// One view for each region that has a peer here, uninitialised ones too.
    pub regions: Vec<RegionView>,
    /// Regions whose peer was destroyed here since the last look of this life.
    pub removed: Vec<u64>,
}

/// A role in an election.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
pub enum Role {
    /// Follows a leader, or waits for one. Learners are followers here.
    #[default]
    Follower,
    /// Asks whether it would win (PreVote).
    PreCandidate,
    /// Asks for votes.
    Candidate,
    /// Leads its term.
    Leader,
}

/// A member of a group: its peer id (Raft's id) and the store that it lives on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Member {
    /// The peer.
    pub peer: u64,
    /// Its store.
    pub store: NodeId,
}

/// One entry of a log. [`entry_digest`](super::digest::entry_digest) makes the digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct EntryView {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// Of its type and data: equal on all implementations for equal entries.
    pub digest: u64,
}

/// One peer, as it is after an event. Invariants that each correct store keeps are on the fields; the monitors
/// ask for them after every event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionView {
    /// The region.
    pub region: u64,
    /// This store's peer in it.
    pub peer: u64,
    /// Its role.
    pub role: Role,
    /// Its term. Never falls in a life.
    pub term: u64,
    /// The peer it voted for in this term; 0: none. Within a term and a life it is set once.
    pub vote: u64,
    /// The peer it takes for the leader; 0: none.
    pub leader: u64,
    /// `commit <= last`. Never falls in a life.
    pub commit: u64,
    /// `applied <= commit`, `applied <= persisted` (R1). Never falls in a life: what a reader of this store
    /// would see has all entries up to here.
    pub applied: u64,
    /// Up to here the log is known to be durable in this store. Counts a snapshot whose install is durable.
    pub persisted: u64,
    /// Index and term of the last entry that is no longer in the log. (0, 0): the log is whole.
    /// `truncated.0 <= applied`.
    pub truncated: (u64, u64),
    /// The last index of the log, durable or not; `truncated.0` when the log is empty.
    pub last: u64,
    /// The log from `max(truncated.0 + 1, asked)` to `last`, without a gap.
    pub entries: Vec<EntryView>,
    /// The term of the entry before the first of `entries` (or of entry `last`, if there is none); 0 for index 0.
    pub before: u64,
    /// The region's range `[start, end)`, an empty end meaning no end; `None` while the peer is uninitialised.
    pub range: Option<(ByteBuf, ByteBuf)>,
    /// The region's epoch: `(conf_ver, version)`.
    pub epoch: (u64, u64),
    /// The voters that Raft counts now.
    pub voters: Vec<Member>,
    /// The voters of the old configuration, in a joint one; else empty.
    pub outgoing: Vec<Member>,
    /// The learners.
    pub learners: Vec<Member>,
    /// With [`Look::digest`]: the data of the region at `applied`, made by
    /// [`StateDigest`](super::digest::StateDigest): equal on all replicas at equal `applied`.
    pub digest: Option<u64>,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Channel::Raft => "raft",
            Channel::Snapshot => "snapshot",
            Channel::Scheduler => "scheduler",
            Channel::Client => "client",
        })
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Lane::LogWrite => "log writer",
            Lane::Apply => "apply",
            Lane::Region => "region worker",
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Follower => "follower",
            Role::PreCandidate => "pre-candidate",
            Role::Candidate => "candidate",
            Role::Leader => "leader",
        })
    }
}
