//! The edge: gRPC, threads and the machine's clock round the handlers.
//!
//! - [`TxnService`]: `tikvpb.Tikv` with its transactional calls. The raw ones are project 1's service, wrapped.
//! - `batch`: many calls over one stream, BatchCommands.
//! - [`start_store`]: a store of a cluster, that is project 3's store with this service.
//! - `leaderships`: which regions it leads, and since when `max_ts` can be relied on there.
//! - `gc`: clears the regions that it leads, up to the scheduler's safe point.
//! - `elsewhere`: what a store asks the leaders of other regions.
//! - `horizon`: how far the oracle can be.
//! - `regions`: what a client asks about regions.
//! - `measured`: how long calls take.
//! - [`Watch`]: what people may ask a running store.
//! - [`Playground`]: a scheduler and some stores in one process: what `tinykv playground` is.
//! - [`Solo`]: one store on one disk without a log, with project 1's solo PD: `tinykv playground --stores 1`. It is all
//!   that projects 1 and 4 need, so it runs before projects 2 and 3 are written.
//! - [`TokioTimer`] waits.
//!
//! Whoever has another storage makes a [`TxnApi`](crate::TxnApi) over it and hands that to the service; whoever
//! watches leadership keeps a clone of its [`Concurrency`](crate::Concurrency).

mod batch;
mod cluster;
mod elsewhere;
mod gc;
mod horizon;
mod leaderships;
pub mod measured;
mod playground;
mod regions;
mod service;
mod solo;
mod timer;
mod watch;

pub use cluster::start_store;
pub use leaderships::timestamp;
pub use playground::{Pages, Playground, PlaygroundConfig, Slot, State};
pub use service::TxnService;
pub use solo::{Config, Solo};
pub use timer::TokioTimer;
pub use watch::Watch;
