//! The solo PD: just enough of a scheduler that an unmodified official client finds its way.
//!
//! An official client never asks a store for the way. It asks PD (the *placement driver*, TiKV's
//! scheduler): who is in charge, what time it is, which region has this key, where its store is.
//! With one server there is nothing to schedule, but the questions must be answered, and exactly
//! (a client panics on an answer without a header, and takes a failed look-up in the middle of a
//! batch for success).
//!
//! - [`Cluster`] knows all answers that follow from the cluster as it is: members, stores, regions
//!   and who leads them. It is a plain value with one method a question. A [`Topology`] tells the
//!   present one; here it never changes, and a cluster whose leader moves is another `Topology`.
//! - [`Tso`] gives out timestamps.
//! - [`Ledger`] remembers what must outlive a restart: the cluster's id, how far timestamps may
//!   have been given out, the garbage collection's safe point.
//! - [`PdService`] is the gRPC service over these.
//! - [`SoloRegions`] is the other half of the bargain: the store must refuse what PD did not
//!   promise. It stands in front of the storage and checks region and epoch.
//!
//! # Two regions for one store
//!
//! Region 1 is `["", TAIL_START)` and holds everything; region 2 is the *tail*, `[TAIL_START, "")`,
//! and holds nothing, ever. Without it region 1 would have no end, and the official client's raw
//! scan, when it comes to a region without an end before its limit is reached, starts again at the
//! first region.
//!
//! Left out: scheduling, several members, keyspaces (project 3 has the first; a client that asks
//! for a keyspace is told UNIMPLEMENTED, since its keys and those of a client without one could
//! collide here).

mod cluster;
mod ledger;
mod regions;
#[cfg(feature = "server")]
mod service;
mod tso;

pub use cluster::{Cluster, Placed, Topology};
pub use ledger::{Entry, Ledger};
pub use regions::{RegionReader, SoloRegions};
#[cfg(feature = "server")]
pub use service::PdService;
pub use tso::{Answer, Tso, WINDOW_MS};
