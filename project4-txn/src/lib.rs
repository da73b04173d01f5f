//! Project 4: transactions over many keys, and the server that official clients talk to.
//!
//! A transaction reads one moment of the whole database, writes any number of keys anywhere in it, and takes
//! effect as a whole or not at all. There is no coordinator that could be asked or could be lost: everything that
//! is known about a transaction is written beside the data, on one key that all others point to (Percolator, 2010).
//!
//! Read it from the inside out, which is also the order of the stages:
//!
//! - [`mvcc`] (4A): keys with timestamps, records, and readers. Nothing is ever overwritten.
//! - [`commands`] (4B, 4C): what each call decides, as functions that wait for nothing.
//! - [`TxnApi`]: what stands round a command: latches, the storage, waiting for locks.
//! - [`concurrency`]: `max_ts`, so that a store may choose commit timestamps by itself.
//! - [`lock_wait`]: who waits for whom.
//! - [`client`] (4D): the other half, which begins, commits, and cleans up after others.
//! - `server` (feature `server`): gRPC, threads, clocks, and the binary `tinykv`.
//!
//! # Two transfers
//!
//! A client takes a `start_ts` of 10, reads two accounts, and prewrites both, `alice` as the primary. On `alice` it
//! finds no lock and no commit after 10, so it leaves a lock, with the new balance. The same on `bob`, in another
//! region. It takes a `commit_ts` of 15 and commits `alice`: one write, and the transfer has happened. Then the
//! client dies. A reader at 20 finds `bob` locked. It may not guess: if the owner has committed at or below 20, the
//! new balance belongs into its snapshot. So it asks at `alice`, hears "committed at 15", turns the lock on `bob` into
//! a version at 15, and reads on. Had the client died before the commit, the same question, after the lock's time to
//! live, would have rolled `alice` back, for good, and then `bob`.
//!
//! # Invariants
//!
//! - A transaction sees the versions committed at or before its `start_ts`, and its own.
//! - Of two transactions that overlap in time and write the same key, one fails. (Two that only *read* what the
//!   other writes may both succeed: write skew. This is snapshot isolation, not serialisability.)
//! - What was answered stays true: committed stays committed, rolled back stays rolled back.
//!
//! Handlers stand on [`standalone::Storage`] and know nothing behind it: one disk, a replicated region, or many.

#![deny(missing_docs)]

pub mod api;
pub mod client;
pub mod commands;
pub mod concurrency;
mod error;
pub mod lock_wait;
pub mod mvcc;
#[cfg(feature = "server")]
pub mod server;
pub mod timer;
mod timestamp;

pub use api::TxnApi;
pub use concurrency::Concurrency;
pub use error::{Error, Result};
pub use timestamp::TimeStamp;
