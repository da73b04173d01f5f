//! How a node is set up.

use proto::eraftpb::{ConfState, Entry};

use crate::error::{Error, Result};
use crate::quorum::{Majority, Quorum};

/// How a node is set up. Times are in ticks, sizes in bytes; the names are raft-rs's.
///
/// Everything optional is off in [`Config::new`]: PreVote, CheckQuorum, lease reads.
#[derive(Debug, Clone)]
#[expect(clippy::struct_excessive_bools)] // raft-rs's names, and each is a choice of its own
pub struct Config {
    /// This node; not 0.
    pub id: u64,
    /// Ticks without a word of a leader before a follower campaigns, at least. Each timeout is drawn from
    /// `election_tick..2 * election_tick`. More than `heartbeat_tick`.
    pub election_tick: u64,
    /// Ticks between two heartbeats; not 0.
    pub heartbeat_tick: u64,
    /// Where the node's random numbers come from. Nodes may share a seed.
    pub seed: u64,
    /// Everything up to here was applied before the start; 0 if nothing was, or if that is not known and
    /// entries may be applied again.
    pub applied: u64,
    /// The most that one append carries. At least one entry always goes.
    pub max_size_per_msg: u64,
    /// How many appends may be under way to one follower; not 0.
    pub max_inflight_msgs: usize,
    /// How many bytes of entries may be under way to one follower. At least one append always goes.
    pub max_inflight_bytes: u64,
    /// The most that may wait uncommitted on a leader; a proposal beyond it is dropped. One proposal
    /// always finds room.
    pub max_uncommitted_size: u64,
    /// The most that one Ready hands out to be applied. At least one entry always goes.
    pub max_committed_size_per_ready: u64,
    /// Followers hear of a new commit index with the next append or heartbeat, and not at once by a message of its own. They
    /// apply a little later, and to write one entry after the other takes half as many messages. Entries for which that
    /// is too late are announced: [`Raft::announce_last`](crate::Raft::announce_last).
    pub skip_bcast_commit: bool,
    /// Ask before disturbing (thesis 9.6).
    pub pre_vote: bool,
    /// A leader that hears from no quorum for an election timeout steps down, and a node that hears its
    /// leader refuses to vote (thesis 6.2, 4.2.3).
    pub check_quorum: bool,
    /// Serve reads by the leader's lease (thesis 6.4.1). Needs `check_quorum`, on every node of the group.
    pub lease_read: bool,
    /// *Seam.* How long ago, in ticks, this node may last have promised something that it does not know of. With leases on it
    /// keeps silent until an election timeout has passed since. 0: it may be a restart; a driver that begins a node in the
    /// middle of its own life knows better.
    pub age: u64,
    /// *Seam.* What a configuration means by a majority. Asked at the start, at each restore and at each
    /// [`set_conf`](crate::RawNode::set_conf); [`Majority::of`] knows simple configurations, project 3
    /// brings the joint ones.
    pub quorum: fn(&ConfState) -> Result<Box<dyn Quorum>>,
    /// *Seam.* Whether a node may campaign while this entry is committed, but not yet applied here. Asked
    /// of each such entry, in each campaign; `None` allows all. Project 3 says no to configuration changes:
    /// who has not applied one might count the wrong votes.
    pub campaign_gate: Option<fn(&Entry) -> bool>,
}

impl Config {
    /// Node `id`, with an election timeout of 10 ticks, a heartbeat each tick, and nothing optional.
    pub fn new(id: u64) -> Self {
        Config {
            id,
            election_tick: 10,
            heartbeat_tick: 1,
            seed: 0,
            applied: 0,
            max_size_per_msg: 1 << 20,
            max_inflight_msgs: 256,
            max_inflight_bytes: 64 << 20,
            max_uncommitted_size: u64::MAX,
            max_committed_size_per_ready: 64 << 20,
            skip_bcast_commit: false,
            pre_vote: false,
            check_quorum: false,
            lease_read: false,
            age: 0,
            quorum: Majority::of,
            campaign_gate: None,
        }
    }

    /// # Errors
    /// [`Error::Config`], which names the field and what it must be.
    pub fn validate(&self) -> Result<()> {
        let refuse = |what: &str| Err(Error::Config(what.into()));
        if self.id == 0 {
            return refuse("id is 0, which means nobody");
        }
        if self.heartbeat_tick == 0 {
            return refuse("heartbeat_tick is 0");
        }
        if self.election_tick <= self.heartbeat_tick {
            return refuse("election_tick must be greater than heartbeat_tick");
        }
        if self.election_tick > u64::from(u32::MAX) {
            return refuse("election_tick is over 2^32 - 1");
        }
        if self.max_inflight_msgs == 0 {
            return refuse("max_inflight_msgs is 0: nothing could ever be sent");
        }
        if self.lease_read && !self.check_quorum {
            return refuse(
                "lease_read needs check_quorum: a lease stands on votes that are refused",
            );
        }
        Ok(())
    }
}
