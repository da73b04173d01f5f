//! `tinykv`: the complete server. So far, a playground with one store.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;
use txn::server::{Config, Solo};

/// A transactional key-value database that official TiKV clients can use.
#[derive(Parser)]
#[command(version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run everything in this process, to try it out
    Playground(Playground),
}

#[derive(Args)]
struct Playground {
    /// How many stores (so far: one)
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=1))]
    stores: u8,

    /// Where clients reach the store; port 0 picks a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:20160")]
    addr: String,

    /// Where clients reach PD: this is the address to give to a client
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2379")]
    pd_addr: String,

    /// The data directory, created if missing; without it, data lives in memory and is lost at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Memory for cached pages, in MiB
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    cache_mib: u16,

    /// What to log, to standard error: error, warn, info, debug, trace, or a filter like `txn=debug`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: Targets,
}

fn main() -> ExitCode {
    let Command::Playground(args) = Cli::parse().command;
    let log = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_filter(args.log);
    tracing_subscriber::registry().with(log).init();
    let config = Config {
        addr: args.addr,
        pd_addr: args.pd_addr,
        data: args.data,
        cache_bytes: usize::from(args.cache_mib) << 20,
    };
    let done = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(&config)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    // Listened for before anything is open, so that a signal during the start ends it in order, too.
    let interrupted = interrupted()?;
    let server = Solo::start(config).await?;
    // One line for programs that start us; the rest is log. A reader that hung up is no reason to end.
    let data = config.data.as_ref().map_or("memory".into(), |dir| dir.display().to_string());
    let (addr, pd_addr) = (server.addr(), server.pd_addr());
    let _ = writeln!(io::stdout(), "ready addr={addr} pd-addr={pd_addr} data={data}");
    interrupted.await;
    server.shutdown().await;
    Ok(())
}

/// Completes at ctrl-c, and at SIGTERM, which is how service managers ask.
#[cfg(unix)]
fn interrupted() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Completes at ctrl-c.
#[cfg(not(unix))]
fn interrupted() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        // An error means that no signal can come: then the server runs until it is killed.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    })
}
