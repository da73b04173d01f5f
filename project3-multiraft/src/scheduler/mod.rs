//! 3C: the scheduler, called PD (placement driver) in TiKV.
//!
//! Somebody has to know where everything is. A store knows its own peers, a client knows what it was told an hour ago;
//! the scheduler knows all stores and all regions, hands out ids and timestamps that nobody else has, and moves peers so
//! that the load is even and nothing is lost. It holds no data and no lock: whatever it believes came from *heartbeats*,
//! and whatever it wants it asks of leaders, in the answers to heartbeats. If it is gone for a minute, nothing is lost
//! but a minute.
//!
//! ```text
//!   StoreHeartbeat ────► stores ──┐                    ┌─► balance_leader ┐
//!   RegionHeartbeat ───► regions ─┴─► Board ──tick──►  ├─► balance_region ├─► Proposal ─► Operator
//!        ▲                                             └─► replica_checker┘                  │
//!        └────────────── the leader does it ◄── order ◄── one Step at a time ◄───────────────┘
//! ```
//!
//! - [`Cluster`] is all of it: a plain struct. A request and the time go in, the answer comes back, writes and orders
//!   lie in the [`Outbox`]. The edge, feature `server`, has the sockets, the disk and the clocks.
//! - [`RegionMap`]: who has which key. [`RegionInfo`], [`StoreInfo`]: one of each.
//! - [`Board`]: what a scheduler may look at. [`balance_region`], [`balance_leader`], [`check_replicas`]: functions from
//!   a board to a [`Proposal`].
//! - [`Operator`]: a proposal made into [`Step`]s. [`Operators`]: one a region, and those that ended.
//! - [`Ids`], and `standalone::pd::Tso`: numbers that are never given out twice.
//!
//! # Two clocks
//!
//! `now` is *uptime*: it starts anew with each process and never steps back. Silence and timeouts are measured in it,
//! so that a machine whose clock is set forward by an hour does not take all its stores for lost. `wall` is the machine's
//! idea of the time of day, which may step; timestamps begin at it and holds end by it.
//!
//! # Invariants
//!
//! - Regions in the map never overlap, and a region's epoch never goes back.
//! - An id is given out once, a timestamp is larger than all before it: over restarts, too.
//! - One operator a region. It adds before it removes, and ends by success, timeout, cancel or replacement.
//! - What an answer promises was saved before the answer leaves.
//! - A cluster to which nothing happens comes to rest: no operators.
//!
//! # Left out
//!
//! More than one member (PD replicates itself by etcd; here, a dead scheduler has to be started again, and until then
//! nothing splits and nobody new finds the way), placement rules and labels, hot regions, merging, region buckets, joint
//! consensus for moves of several peers.

mod balance_leader;
mod balance_region;
mod board;
mod budget;
mod cluster;
mod config;
mod ids;
mod operator;
mod operators;
mod outbox;
mod proposal;
mod region;
mod region_map;
mod replica_checker;
mod rng;
mod saved;
mod scatter;
#[cfg(feature = "server")]
pub mod server;
mod step;
mod store;

pub use balance_leader::balance_leader;
pub use balance_region::balance_region;
pub use board::Board;
pub use budget::Budget;
pub use cluster::Cluster;
pub use config::{Config, Policy};
pub use ids::{ID_STEP, Ids};
pub use operator::{Influence, Next, Operator, Status};
pub use operators::{Ended, HISTORY, Operators};
pub use outbox::{Outbox, Write};
pub use proposal::{Change, Kind, Proposal};
pub use region::{RegionInfo, is_voter};
pub use region_map::{RegionMap, Shelf};
pub use replica_checker::check_replicas;
pub use saved::Corrupt;
pub use step::Step;
pub use store::{Health, StoreInfo};

/// A time, or a span of it, in milliseconds.
pub type Millis = u64;
