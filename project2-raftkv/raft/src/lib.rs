//! Project 2A: consensus alone. One node of a Raft group as a plain struct that depends on nothing but its
//! messages: no socket, no disk, no clock, no thread.
//!
//! # The idea
//!
//! Several machines keep one log. Whatever is *committed* in it stays, in the same place, on all of them, as
//! long as a majority lives. A state machine behind the log then does the same things everywhere, and the group
//! looks like one machine that does not fail. Ongaro and Ousterhout, "In Search of an Understandable Consensus
//! Algorithm (Extended Version)", is the paper; wherever a comment here gives a section, it is that paper's, and
//! "thesis" is Ongaro's.
//!
//! # One write
//!
//! [`RawNode::propose`] puts an entry at the end of the leader's log, and returns. The driver asks
//! [`RawNode::has_ready`], and takes a [`Ready`]. It holds the entry, to be written to disk, and one append for each
//! follower, to be sent at once. While the leader's disk writes, the followers get theirs; each checks that the
//! entry before is one that it has, and puts the entry into a Ready of its own, together with an answer *that waits
//! for the disk*. The answers come back, the leader's own disk is done ([`RawNode::on_persist_ready`]), and as soon
//! as a majority has the entry durably, it is committed. The leader's next Ready gives it out to be applied, and its
//! next append or heartbeat tells the followers, who do the same.
//!
//! # One crash
//!
//! The leader dies after its disk has the entry, and before any follower has. Followers hear no heartbeat; one loses
//! its patience first, raises its term, writes that and its vote for itself to disk, and asks for votes. A majority
//! says yes, since no log is more up to date than the candidate's. The new leader knows nothing of the entry, and puts an
//! empty one of its own term in that place. When the old leader comes back, it is a follower of a higher term; its
//! entry conflicts with the new leader's append, and is replaced: it was never committed, and no client was told that
//! it was. Had *one* follower of three had it, that one alone could have won, and the entry would have stayed.
//!
//! # The rooms
//!
//! | module | what it is | stage |
//! |---|---|---|
//! | [`raft`] | the struct, and its roles | 2AA |
//! | [`election`], [`step`], [`heartbeat`] | who leads; terms; signs of life | 2AA |
//! | [`log`], [`unstable`], [`storage`], [`mem`] | the log, and where it lies | 2AB |
//! | [`propose`], [`replication`], [`progress`] | how entries get everywhere | 2AB |
//! | [`read`] | reads that do not go through the log | 2AB |
//! | [`ready`], [`rawnode`] | what the driver has to do | 2AC |
//! | [`snapshot`] | what takes the place of a log that was dropped | 2C |
//! | [`pre_vote`], [`check_quorum`], [`lease`] | extra credit | 2X |
//! | [`quorum`], [`members`] | the seams of a configuration change | project 3 |
//! | [`door`] | what is refused before it can touch anything | |
//! | [`fmt`] | the notation of logs and traces | |
//!
//! # Invariants
//!
//! The five properties of figure 3, and those that the modules name. [`RawNode::check_invariants`] looks at what one
//! node can see of them; the simulator looks at all nodes.
//!
//! - The same inputs give the same outputs: time is ticks, and random numbers come from a seed.
//! - Whatever arrives as a message, nothing panics, and what is committed stays ([`door`]).
//!
//! # Left out
//!
//! Configuration changes and leadership transfer are project 3's, on the seams marked *Seam* here. Of raft-rs: group
//! commit, priorities, asynchronous fetching of entries, snapshots on a follower's request (such a request is ignored).

pub mod check_quorum;
pub mod config;
pub mod door;
pub mod election;
mod error;
pub mod fmt;
pub mod heartbeat;
mod inflights;
pub mod lease;
pub mod log;
pub mod mem;
pub mod members;
pub mod pre_vote;
pub mod progress;
pub mod propose;
pub mod quorum;
pub mod raft;
pub mod rawnode;
pub mod read;
pub mod ready;
pub mod replication;
mod rng;
pub mod snapshot;
pub mod status;
pub mod step;
pub mod storage;
pub mod unstable;
mod wire;

pub use config::Config;
pub use election::CampaignKind;
pub use error::{Error, Result, StorageError};
pub use fmt::Compact;
pub use mem::MemStorage;
pub use progress::{Progress, ProgressState};
pub use quorum::{Majority, Quorum, VoteResult};
pub use raft::{Raft, Role, SoftState};
pub use rawnode::RawNode;
pub use read::ReadState;
pub use ready::Ready;
pub use status::Status;
pub use storage::{RaftState, Storage};
pub use wire::NOBODY;
