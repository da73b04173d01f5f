//! `multiraft-scheduler`: the scheduler of a cluster, PD in TiKV's words.

use std::io::{self, Write as _};
use std::process::ExitCode;

use clap::Parser;
use multiraft::scheduler::server::{Flags, Scheduler, Settings};
use standalone::server::interrupted;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// Hands out ids and timestamps, knows all stores and regions, and moves peers so that the load is even and nothing is
/// lost. Speaks TiKV's `pdpb.PD`.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    flags: Flags,
}

fn main() -> ExitCode {
    let flags = Args::parse().flags;
    let done = Settings::read(flags).map_err(Into::into).and_then(|settings| {
        let filter = settings.log.parse::<Targets>();
        let filter = filter.map_err(|e| format!("`log` is \"{}\": {e}", settings.log))?;
        let log = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_filter(filter);
        tracing_subscriber::registry().with(log).init();
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(run(&settings))
    });
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(settings: &Settings) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let interrupted = interrupted()?;
    let scheduler = Scheduler::start(settings).await?;
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
