//! The edge of a store: threads, sockets and the machine's clock, round a [`Store`](super::Store) that knows none of them.
//!
//! ```text
//!   clients ──gRPC──> whatever stands on `RaftStorage` ────┐ inbox (bounded)        ┌──> log writer thread ──> raft.wal, raft.redb
//!   stores ───gRPC──> StoreService ────────────────────────┴──> loop: Store ────────┼──> kv writer thread ───> kv.redb
//!   stores <──gRPC── Transport: a queue and a stream a store <──────────────────────┼──> region worker thread ─> kv.redb
//!   scheduler <──gRPC── Reports: heartbeats out, orders and ids in <────────────────┘
//! ```
//!
//! - [`StoreServer`]: a store's process, put together.
//! - `identity`: who this is. The scheduler gives ids, once; the disk remembers them.
//! - `driver`: what comes to the store, and what is done about each of its effects. The loop itself, the log writer, the
//!   transport and the service between stores are project 2's (`raftkv::server`): they never knew how many regions there
//!   are.
//! - `neighbours`: where other stores are, and which cluster they must be of.
//! - `reports`: to the scheduler, and its orders.
//! - `start`: all of it put together. What clients ask is not decided there: [`StoreServer::start`] is given a function
//!   that makes a service of the replicated storage, so that project 4 can serve more than raw calls.
//! - `status`: pages for people and for Prometheus. Whoever starts a store may serve more of them ([`Served`]).
//! - `links`: those that a playground has cut.
//!
//! # Queues
//!
//! | queue | bound | when it is full |
//! |---|---|---|
//! | into the loop | 4096 | clients' calls and other stores' streams wait |
//! | parts of snapshots on their way into the loop | 64 | the streams that bring them wait |
//! | to the log writer | 64 | the loop waits: the disk is the limit |
//! | to the kv writer | 1 | never: the store asks for one commit at a time |
//! | what gathers for the next such commit | 64 MiB | the store takes no Ready: it is silent until its disk has caught up |
//! | to the region worker | 64 | the loop waits |
//! | to another store | 4096 messages | the message is dropped; Raft sends again what matters |
//! | to the scheduler | 4096 reports | the report is dropped; the next heartbeat says it again |

mod commits;
mod config;
mod driver;
mod identity;
mod links;
mod neighbours;
mod reports;
mod start;
mod status;

pub use config::{Flags, Settings};
pub use driver::{Inputs, Order};
pub use links::Links;
pub use reports::Pd;
pub use start::{Clients, Handles, Served, StoreServer};
