//! `multiraft-store`: one store of a cluster of many regions.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;
use multiraft::raftstore::server::{Clients, Flags, Handles, Served, Settings, StoreServer};
use proto::tikvpb::tikv_server::TikvServer;
use raftkv::server::runtime;
use standalone::latches::Latches;
use standalone::raw::RawApi;
use standalone::server::{MAX_REQUEST_LEN, SystemClock, TikvService, interrupted};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// Holds peers of regions, and serves TiKV's raw API. Needs a scheduler: `multiraft-scheduler`.
#[derive(Parser)]
#[command(version)]
struct Args {
    #[command(flatten)]
    flags: Flags,
}

/// The whole program; `multiraft-store-failpoints` begins here, too.
pub fn main() -> ExitCode {
    let flags = Args::parse().flags;
    let done = Settings::read(flags).map_err(Into::into).and_then(|settings| {
        let filter = settings.log.parse::<Targets>();
        let filter = filter.map_err(|e| format!("`log` is \"{}\": {e}", settings.log))?;
        let log = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_filter(filter);
        tracing_subscriber::registry().with(log).init();
        runtime()?.block_on(run(&settings))
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
    let mut store = StoreServer::start(settings, Vec::new(), raw_calls).await?;
    let (id, addr, status_addr) = (store.id(), store.addr(), store.status_addr());
    // One line for programs that start us; the rest is log. A reader that hung up is no reason to end.
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

/// Project 1's calls, over the replicated storage.
fn raw_calls(handles: Handles) -> Served<impl Clients> {
    let api = RawApi::new(handles.storage, Latches::new(), Arc::new(SystemClock));
    let clients = TikvServer::new(TikvService::new(api)).max_decoding_message_size(MAX_REQUEST_LEN);
    Served { clients, pages: axum::Router::new() }
}
