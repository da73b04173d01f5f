//! What the judge says to a scheduler, and what the scheduler says back.
//!
//! Requests, answers and orders are `pdpb` messages as bytes, so that any scheduler that speaks TiKV's protocol can be
//! judged. What it wants saved is pairs of bytes: the judge is its disk, and on a crash keeps what a disk would.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;
use sim::seam::Protocol;

/// The vocabulary of stage 3C.
pub struct Scheduler;

impl Protocol for Scheduler {
    type Input = Input;
    type Effect = Effect;
}

/// The time, by both clocks, in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Now {
    /// Since the process was started: never steps back.
    pub uptime: u64,
    /// Since 1970, by the machine's clock: may step.
    pub wall: u64,
}

/// How a scheduler is set up. The names are those of its configuration.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[expect(missing_docs, reason = "as in `multiraft::scheduler::Config`")]
pub struct Settings {
    pub max_replicas: u64,
    pub max_store_down_time: u64,
    pub disconnect_after: u64,
    pub leader_schedule_limit: u64,
    pub region_schedule_limit: u64,
    pub replica_schedule_limit: u64,
    pub store_limit: u64,
    pub by_count: bool,
    pub leader_operator_timeout: u64,
    pub region_operator_timeout: u64,
    pub seed: u64,
}

impl Default for Settings {
    /// Nothing is scheduled by itself, and no limit is in the way.
    fn default() -> Self {
        Settings {
            max_replicas: 3,
            max_store_down_time: 600_000,
            disconnect_after: 20_000,
            leader_schedule_limit: 0,
            region_schedule_limit: 0,
            replica_schedule_limit: 0,
            store_limit: 1_000_000,
            by_count: false,
            leader_operator_timeout: 10_000,
            region_operator_timeout: 600_000,
            seed: 1,
        }
    }
}

/// A step, as plain values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Step {
    /// Store and peer.
    AddLearner(u64, u64),
    /// Store and peer.
    AddPeer(u64, u64),
    /// Store and peer.
    Promote(u64, u64),
    /// The new leader's store.
    Transfer(u64),
    /// Store.
    Remove(u64),
}

/// A change that a person asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Change {
    /// From one store to another.
    Move(u64, u64),
    /// A peer more, on this store.
    Add(u64),
    /// The peer on this store less.
    Remove(u64),
    /// The new leader's store.
    Transfer(u64),
}

/// What the judge says.
#[derive(Debug, Serialize, Deserialize)]
pub enum Input {
    /// Start on a disk that has these pairs.
    Open {
        /// Its settings.
        settings: Settings,
        /// What its former lives have saved.
        saved: Vec<(ByteBuf, ByteBuf)>,
        /// The time.
        now: Now,
    },
    /// These calls, one after the other: the name of the RPC, and the encoded request. `RegionHeartbeat` and `Tso` are
    /// one item of their streams.
    Calls(Vec<(String, ByteBuf)>, Now),
    /// Time has passed.
    Tick(Now),
    /// A person makes a plan for a region.
    Admin(u64, Vec<Change>, Now),
    /// A person has a store emptied.
    RemoveStore(u64, Now),
    /// A step, alone, looks at a region, given as an encoded `RegionHeartbeatRequest`.
    Look(Step, ByteBuf),
    /// An operator, alone, looks at a region.
    Advance {
        /// Its steps.
        steps: Vec<Step>,
        /// The one under way.
        at: u64,
        /// The region's `conf_ver` when it was planned.
        conf_ver: u64,
        /// When that was (uptime).
        started: u64,
        /// An encoded `RegionHeartbeatRequest`.
        region: ByteBuf,
        /// Uptime.
        now: u64,
        /// After how long it is given up.
        timeout: u64,
    },
}

/// What the scheduler says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Effect {
    /// It wants these saved; a pair without a value is deleted.
    Save {
        /// In this order.
        writes: Vec<(ByteBuf, Option<ByteBuf>)>,
        /// Whether what follows waits until they are durable.
        sync: bool,
    },
    /// It sends this `RegionHeartbeatResponse` to the store of its `target_peer`.
    Order(ByteBuf),
    /// The answer to a call; for a `RegionHeartbeat` a header alone, for a `Tso` that ends the stream the text.
    Answer(Result<ByteBuf, String>),
    /// Whether a plan was taken up, or why not.
    Planned(Result<(), String>),
    /// What a step has said: whether it is done, and its order.
    Looked(bool, ByteBuf),
    /// What an operator has said: how many steps are done, and its order, or how it ended (`OperatorStatus`).
    Advanced(u64, Result<ByteBuf, i32>),
}
