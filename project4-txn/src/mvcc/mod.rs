//! Many versions of each key, in three column families (stage 4A).
//!
//! A plain store keeps one value for a key, and who overwrites it takes it away from everybody who was still
//! reading. Here nothing is overwritten: each write adds a *version*, with the timestamp at which it was
//! committed, and a reader at a timestamp takes the newest version that is not newer than itself. So readers
//! never wait for writers, and one who reads twice reads the same.
//!
//! ```text
//! column family   key                        value
//! lock            x enc(key)                 Lock    at most one: somebody is about to write this key
//! write           x enc(key) !commit_ts      Write   one for each commit, and for each rollback
//! default         x enc(key) !start_ts       bytes   the value, unless it is short
//! ```
//!
//! - [`key`]: how a user's key and a timestamp become an engine key, such that the order of bytes is the
//!   order of keys, and within a key *the newest version comes first*.
//! - [`Lock`] and [`Write`]: the records of the two other families, in TiKV's bytes. A value of up to 255 bytes
//!   stands in the record itself, which saves every reader a second look-up.
//! - [`MvccTxn`]: collects what a command wants to change.
//! - [`MvccReader`]: asks about one key. [`Scanner`]: walks over many.
//!
//! # Invariants
//!
//! - A key has at most one lock. Whoever holds it is the only one who may commit or roll back that key.
//! - A value in `default` belongs to a lock or to a `Put` record with its `start_ts`, or it is garbage.
//! - At one `(key, commit_ts)` there is one record. A rollback is recorded at its own `start_ts`; if somebody
//!   else's commit lies there, it is *overlapped*: a flag on that record.
//! - A transaction has at most one record on a key, a commit or a rollback, and it stays what it is.
//!
//! # Left out
//!
//! TiKV collapses the rollback records of a key into the last one; ours stay until garbage collection takes
//! them. It keeps hints of where the last real change lies, to jump over long runs of `Lock` and `Rollback`
//! records; our readers step over them one by one. It has fences that protect overlapped records from a
//! collection inside RocksDB's compaction; ours runs as a command, under latches.

mod codec;
pub mod key;
mod lock;
mod reader;
mod scanner;
mod txn;
mod write;

pub use lock::{Lock, LockKind};
pub use reader::{MvccReader, Reading, Record};
pub use scanner::{Found, Scanner};
pub use txn::MvccTxn;
pub use write::{Write, WriteKind};

/// The longest value that stands in a record itself, in bytes.
pub const SHORT_VALUE_MAX: usize = 255;
