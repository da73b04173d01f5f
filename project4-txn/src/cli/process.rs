//! `tinykv scheduler` and `tinykv store`: one part of a cluster, a process of its own.

use std::io::{self, Write as _};

use multiraft::raftstore::server as store;
use multiraft::scheduler::server::{self as scheduler, Scheduler};
use txn::server::start_store;

use crate::{AnyError, dashboard};
use standalone::server::interrupted;

/// Runs a scheduler.
pub async fn scheduler(settings: &scheduler::Settings) -> Result<(), AnyError> {
    // Listened for before anything is open, so that a signal during the start ends it in order, too.
    let interrupted = interrupted()?;
    let scheduler = Scheduler::start_with(settings, dashboard::of_scheduler).await?;
    let (addr, status_addr) = (scheduler.addr(), scheduler.status_addr());
    // One line for programs that start us; the rest is log. A reader that hung up is no reason to end.
    let data = settings.data.display();
    let _ = writeln!(io::stdout(), "ready addr={addr} status-addr={status_addr} data={data}");
    let failed = tokio::select! {
        () = scheduler.ended() => true,
        () = interrupted => false,
    };
    scheduler.shutdown().await;
    if failed { Err("the disk has failed: see the log".into()) } else { Ok(()) }
}

/// Runs a store.
pub async fn store(settings: &store::Settings) -> Result<(), AnyError> {
    let interrupted = interrupted()?;
    let mut store = start_store(settings, dashboard::of_store).await?;
    let (id, addr, status_addr) = (store.id(), store.addr(), store.status_addr());
    let data = settings.data.display();
    let _ =
        writeln!(io::stdout(), "ready id={id} addr={addr} status-addr={status_addr} data={data}");
    tokio::select! {
        ended = store.ended() => ended,
        () = interrupted => {
            store.shutdown().await;
            Ok(())
        }
    }
}
