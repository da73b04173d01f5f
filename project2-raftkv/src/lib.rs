//! Project 2: one region, replicated by Raft.
//!
//! Project 1's storage behind a replicated log. The handlers of the raw API run unchanged on top, because
//! [`RaftStorage`] is one more `standalone::Storage`. From the client inwards:
//!
//! | module | what it is |
//! |---|---|
//! | [`storage`] | a call becomes a request with a callback |
//! | [`store`] | the loop: rounds, effects in a safe order, held requests |
//! | [`peer`] | one replica: proposals, reads, what consensus wants |
//! | [`node`] | the seam to consensus (`raftcore`) |
//! | [`peer_storage`] | what a peer has on disk, as consensus reads it; birth, restart, death |
//! | [`log_store`] | the log's file, shared by all peers of a store |
//! | [`apply`] | committed entries become data |
//! | [`snapshot`] | the data in place of a log that is gone |
//! | `server` | the edge: threads, sockets, the binary (feature `server`, on by default) |
//! | [`observer`], [`region`], [`cmd`], [`keys`], [`callback`] | small things that several of them need |
//!
//! # One write
//!
//! `RawPut(k, v)` arrives at the leader, store 1. The handler makes a batch of one `Modify`; [`RaftStorage`] makes a
//! `RaftCmdRequest` of it and puts it into the store's inbox. [`store::Store::request`] hands it to
//! [`peer::Peer::propose`], which checks who leads and where the key belongs, appends an entry to the log in memory, say
//! 9 in term 6, and keeps the callback under (9, 6). Then [`store::Store::poll`] makes a round:
//!
//! ```text
//!   1. Send      n1@6 -> n2, n3 Append base=8@6 [9@6]      before store 1's own disk has it: the disks write side by side
//!   2. WriteLog  [9@6], last_index = 9                     one fsync, whatever else is in the round
//!      ... log_written: consensus counts this store's copy. n2@6 -> n1 Accept 9: a majority, entry 9 is committed
//!   3. WriteKv   {k = v, applied = 9}                      no fsync: the log would bring it again
//!   4. Answer    (9, 6) is ours and applied                the client has its answer: a majority has 9 in its logs
//!      ... kv_written: readers see it; a read that came after 4 has waited for this
//! ```
//!
//! # One crash
//!
//! The power goes right after 4. The log has entry 9, since 2 was synced (`raft.wal`, or `raft.redb` behind it); `kv.redb`
//! falls back to its last synced commit, say applied = 7. On restart [`peer_storage::open`] finds a log up to 9 and data up
//! to 7, takes the larger commit index of both, and the peer starts as a follower. When it learns (from whoever leads) that
//! 9 is committed, it applies 8 and 9 again, to the same effect. Had the power gone before 2 was synced, entry 9 would be
//! lost *here*; but then this store had not counted its own copy, so that 9 was acknowledged only if both others have it.
//!
//! # Rules
//!
//! - R1: an entry is applied only once it is durable in this store's log.
//! - R2: the apply state carries a commit index; on open the larger of both files counts.
//! - R3: what changes a region or the state of its peer is durable before anybody acts on it.
//! - R4: log entries go only after a durable commit of the truncated state that covers them.
//! - R5: the data is synced every second, every 32 MiB, or when the log waits to be cut.
//!
//! Left out: many regions, changes of membership, and a scheduler (project 3), transactions (project 4).

#![deny(missing_docs)]

pub mod apply;
pub mod callback;
pub mod cmd;
mod error;
pub mod keys;
pub mod log_store;
pub mod node;
pub mod observer;
pub mod peer;
pub mod peer_storage;
pub mod region;
#[cfg(feature = "server")]
pub mod server;
pub mod snapshot;
pub mod storage;
pub mod store;

pub use error::{Error, Refusal, Result};
pub use storage::RaftStorage;
pub use store::Store;
