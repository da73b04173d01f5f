//! The edge: threads, sockets and the machine's clock, round a [`Store`](crate::Store) that knows none of them.
//!
//! ```text
//!   clients ──gRPC──> TikvService ─ RawApi ─ RaftStorage ──┐ inbox (bounded)        ┌──> log writer thread ──> raft.wal, raft.redb
//!   stores ───gRPC──> RaftService ─────────────────────────┴──> loop thread: Store ─┼──> kv writer thread ───> kv.redb
//!   stores <──gRPC── Transport: a queue and a stream a store <──────────────────────┴──> region worker thread ──> kv.redb
//! ```
//!
//! - [`Member`]: one member of the group, put together.
//! - `driver`: the loop. Takes what has come, all of it, makes one round, carries out its effects in order.
//! - `workers`: the log writer (everything that waits becomes one commit), the kv writer, and the region worker.
//! - `transport`: to each other store a bounded queue and a connection of its own, so that a slow or dead one holds up
//!   nobody; back-off between attempts; a snapshot on a stream of its own.
//! - `service`: what other stores and clients ask of us.
//! - `pd`: the solo PD of each member. The leader of the region is the leader of PD.
//!
//! # Queues
//!
//! | queue | bound | when it is full |
//! |---|---|---|
//! | into the loop | 4096 | clients' calls and other stores' streams wait |
//! | to the log writer | 64 | the loop waits: the disk is the limit |
//! | to the kv writer | 1 | never: the store asks for one commit at a time |
//! | to the region worker | 16 | the loop waits |
//! | to another store | 4096 messages | the message is dropped; Raft sends again what matters |
//!
//! # Who may join
//!
//! A voter that has lost its disk has forgotten whom it voted for and what it acknowledged. Under its old name it could
//! vote a second time in one term, or help to elect a leader that lacks a committed entry. So every disk has a number;
//! stores introduce themselves with it, and remember for good the number that they first heard. A member on a new disk
//! takes part only when all others have accepted it. At the first start of a group that is a moment; after a disk was
//! wiped it never happens, and the member stops and says why.

mod driver;
mod member;
mod pd;
mod service;
mod transport;
mod workers;

pub use member::{Config, Member};
