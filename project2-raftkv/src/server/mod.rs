//! The edge: threads, sockets and the machine's clock, round a [`Store`](crate::Store) that knows none of them.
//!
//! ```text
//!   clients ──gRPC──> TikvService ─ RawApi ─ RaftStorage ──┐ inputs (bounded)       ┌──> log writer thread ──> raft.wal, raft.redb
//!   stores ───gRPC──> StoreService ────────────────────────┴──> loop: Store ────────┼──> kv writer thread ───> kv.redb
//!   stores <──gRPC── Transport: a queue and a stream a store <──────────────────────┴──> region worker thread ──> kv.redb
//! ```
//!
//! - [`Member`]: one member of the group, put together.
//! - `group`: what is special about a fixed group: who its members are, how they know each other's disks, and what is done
//!   about each effect of their store.
//! - `inputs`: the way into the loop.
//! - `driver`: the loop. Takes what has come, all of it, makes one round, has its effects carried out in order. It is a thread,
//!   or a task where the runtime has one worker only.
//! - `workers`: the log writer (everything that waits becomes one commit), and workers that do one thing after the other:
//!   the kv writer (which lets the loop write what is small when nothing else is to be done), the region worker.
//! - `transport`: to each other store a bounded queue and a connection of its own, so that a slow or dead one holds up
//!   nobody; back-off between attempts; a snapshot on a stream of its own.
//! - `service`: what other stores ask of us, and which service has a path.
//! - `disk`: the files.
//! - `pd`: the solo PD of each member. The leader of the region is the leader of PD.
//!
//! The loop, the workers, the transport and the service between stores know neither how many regions a store has nor who
//! its neighbours are: a store with its hands is [`Driven`], and what stores settle before they talk is [`Neighbours`].
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
//! | to another store | 4096 messages, 16 frames of them on the wire | the message is dropped; Raft sends again what matters |
//! | a snapshot to another store | 4 chunks | the reader of the snapshot waits |
//! | back from workers | none | as many come back as were asked for |
//!
//! # Who may join
//!
//! A voter that has lost its disk has forgotten whom it voted for and what it acknowledged. Under its old name it could
//! vote a second time in one term, or help to elect a leader that lacks a committed entry. So every disk has a number;
//! stores introduce themselves with it, and remember for good the number that they first heard. A member on a new disk
//! takes part only when all others have accepted it. At the first start of a group that is a moment; after a disk was
//! wiped it never happens, and the member stops and says why.

mod disk;
mod driver;
mod group;
mod inputs;
mod member;
mod pd;
mod service;
mod transport;
mod workers;

pub use disk::{Opened, draw, open};
pub use driver::{Driven, PATIENCE, runtime, spawn};
pub use inputs::{Input, Inputs, TICK};
pub use member::{Config, Member};
pub use service::{Fork, StoreService, between_stores, number};
pub use transport::{Neighbours, Transport};
pub use workers::{Done, KvWriter, REGION_QUEUE, log_writer, worker};
