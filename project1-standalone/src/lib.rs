//! Project 1: a key-value store with column families, on one machine, that speaks TiKV's raw API.
//!
//! Read it from the inside out, which is also the order in which a write returns:
//!
//! - [`engine`]: redb with a table per *column family*. A batch of writes is atomic; a snapshot sees
//!   one moment and goes on seeing it while others write.
//! - [`storage`]: the seam of the whole course. [`Storage`] is "write this batch" and "let me read";
//!   here the engine stands behind it, in project 2 a replicated log, in project 3 many regions. What
//!   stands in front of it does not change.
//! - [`raw`]: the handlers of TiKV's raw API, plain `async` functions over a [`Storage`]. They check
//!   a request, read, write, and fill a response.
//! - [`keys`]: how a user's key becomes an engine key, so that raw and transactional data can share
//!   one store and one map of regions.
//! - [`latches`]: one writer a key, where a handler must read before it writes.
//! - `server` and `pd`: the edge, where sockets, threads and the machine's clock are; and the solo PD,
//!   which shows official clients the way. (Feature `server`, on by default.)
//!
//! # One write, and one crash
//!
//! `RawPut(k, v)` arrives. The handler checks sizes and the column family's name, builds one
//! [`Modify`], and awaits [`Storage::write`]. [`StandaloneStorage`] turns it into an engine batch and
//! commits it with an fsync; only then does the future complete, and only then is the client
//! answered. If the power goes before the fsync returned, the client has no answer and the write may
//! or may not be there, whole; if it goes after, the write is there. Nothing in between exists, since
//! redb writes pages aside and makes a commit visible by flipping one header.
//!
//! # Invariants
//!
//! - What was acknowledged is durable.
//! - A batch is visible as a whole or not at all.
//! - A column family is a key space of its own: no read or scan of one sees another.
//! - Nothing that a client sends makes us panic; each refusal names the thing and the limit.
//!
//! Left out: write-ahead logging and compaction (redb is a copy-on-write B+tree, where TiKV has
//! RocksDB's log-structured merge tree: cheaper random writes, dearer reads), encryption, backup.

pub mod clock;
pub mod engine;
mod error;
pub mod keys;
pub mod latches;
pub mod pd;
pub mod raw;
#[cfg(feature = "server")]
pub mod server;
pub mod storage;

pub use error::{Error, Result};
pub use storage::{MemStorage, Modify, StandaloneStorage, Storage, StorageReader};
