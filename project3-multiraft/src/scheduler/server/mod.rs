//! The edge of the scheduler: sockets, a disk, and two clocks.
//!
//! ```text
//!   stores, clients ── gRPC ── Service ──┐
//!                         a ticker ──────┼── Driver ─┬─ Cluster (decides)
//!   people, Prometheus ─ HTTP ─ status ──┘           └─ Disk (redb)
//! ```
//!
//! [`Driver`] keeps the outbox's rule: call the cluster, save what must be saved, then let the answer go. If saving fails
//! the process ends, since the cluster in memory is then ahead of its disk; a new one starts from what is there.
//!
//! **Holding.** The cluster answers at once, also "nobody is known to lead". Official clients take a late answer better
//! than a bad one, so that [`Service`] asks again for up to a second before it
//! passes such an answer on.

mod config;
mod disk;
mod driver;
mod service;
mod start;
mod status;

pub use config::{FileConfig, Flags, Settings};
pub use disk::Disk;
pub use driver::{Driver, Times};
pub use service::Service;
pub use start::Scheduler;
