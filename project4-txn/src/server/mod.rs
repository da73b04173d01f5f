//! The edge: gRPC, threads and the machine's clock round the handlers.
//!
//! - [`TxnService`]: `tikvpb.Tikv` with its transactional calls. The raw ones are project 1's service, wrapped.
//! - [`Solo`]: everything in one process on one disk, with project 1's solo PD: what `tinykv playground --stores 1` is.
//! - [`TokioTimer`] waits.
//!
//! Whoever has another storage (a cluster's) makes a [`TxnApi`](crate::TxnApi) over it and hands that to the service; whoever
//! watches leadership keeps a clone of its [`Concurrency`](crate::Concurrency).

mod service;
mod solo;
mod timer;

pub use service::TxnService;
pub use solo::{Config, Solo};
pub use timer::TokioTimer;
