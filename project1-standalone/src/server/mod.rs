//! The edge: sockets, threads, and the machine's clock.
//!
//! Everything else in this crate decides and never waits by itself; here is where waiting lives.
//! The server is a stack of small things, each of which knows only the one below it:
//!
//! ```text
//!   official client ── gRPC ──┬── TikvService ─ RawApi ─ SoloRegions ─┐
//!                             └── PdService ── Cluster, Tso, Ledger ──┤
//!                                                       GroupCommit ──┴─ StandaloneStorage ─ Engine
//! ```
//!
//! - [`net`]: listen, serve, and what our gRPC servers have in common.
//! - [`TikvService`]: the store's service over any [`Storage`](crate::Storage). It knows of no
//!   region and no disk, so a replicated storage can stand behind it just as well.
//! - [`apart`]: scans, on threads of their own.
//! - [`GroupCommit`]: many waiting writes, one fsync.
//! - [`Stop`]: the switch that ends everything in order.
//! - [`Standalone`]: project 1's server, put together.
//!
//! # How it ends
//!
//! On ctrl-c or SIGTERM the listeners close, streams that would last for ever (timestamps) end, and
//! calls that were accepted are answered, for [`net::GRACE`] at most. Then the write queue takes no
//! more, what is in it is committed, and redb closes its file, which saves the next start a repair.
//! A `kill -9` skips all of this and loses nothing that was acknowledged: order at the end is for
//! speed, not for safety.
//!
//! Left out: TLS and authentication (the server listens on loopback unless told otherwise), flow
//! control beyond HTTP/2's, metrics, a pool of read threads with priorities as in TiKV.

mod apart;
mod clock;
mod group_commit;
pub mod net;
mod service;
mod signal;
mod standalone;
mod stop;

pub use apart::apart;
pub use clock::SystemClock;
pub use group_commit::{GROUP_BYTES, GROUP_WRITES, GroupCommit, QUEUE};
pub use service::{MAX_REQUEST_LEN, TikvService};
pub use signal::interrupted;
pub use standalone::{Config, Standalone};
pub use stop::{Beats, Stop};
