//! The edge of a store: threads, sockets and the machine's clock, round a [`Store`](super::Store) that knows none of them.
//!
//! ```text
//!   clients ──gRPC──> whatever stands on `RaftStorage` ────┐ inbox (bounded)        ┌──> log writer thread ──> raft.redb
//!   stores ───gRPC──> StoreService ────────────────────────┴──> loop thread: Store ─┼──> region worker thread ─> kv.redb
//!   stores <──gRPC── Transport: a queue and a stream a store <──────────────────────┤
//!   scheduler <──gRPC── Reports: heartbeats out, orders and ids in <────────────────┘
//! ```
//!
//! - [`StoreServer`]: a store's process, put together.
//! - `identity`: who this is. The scheduler gives ids, once; the disk remembers them.
//! - `driver`: the loop. Takes what has come, all of it, makes one round, carries out its effects in order.
//! - `workers`: the log writer (everything that waits becomes one commit), and the region worker.
//! - `transport`: to each other store a bounded queue and a connection of its own, so that a slow or dead one holds up
//!   nobody. Where a store is, the scheduler says.
//! - `reports`: to the scheduler, and its orders.
//! - `service`: what other stores ask of us. What clients ask is not decided here: [`StoreServer::start`] is given a
//!   function that makes a service of the replicated storage, so that project 4 can serve more than raw calls.
//! - `status`: pages for people and for Prometheus.
//!
//! # Queues
//!
//! | queue | bound | when it is full |
//! |---|---|---|
//! | into the loop | 4096 | clients' calls and other stores' streams wait |
//! | to the log writer | 64 | the loop waits: the disk is the limit |
//! | to the region worker | 64 | the loop waits |
//! | to another store | 4096 messages | the message is dropped; Raft sends again what matters |
//! | to the scheduler | 4096 reports | the report is dropped; the next heartbeat says it again |

mod config;
mod driver;
mod identity;
mod reports;
mod service;
mod start;
mod status;
mod transport;
mod workers;

pub use config::{Flags, Settings};
pub use driver::Inputs;
pub use reports::Pd;
pub use start::{Clients, Handles, StoreServer};
