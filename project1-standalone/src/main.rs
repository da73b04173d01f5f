//! `standalone`: project 1's server, and a solo PD beside it.

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use standalone::server::{Config, Standalone, interrupted};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// A key-value store that speaks TiKV's raw API, with a solo PD so that official clients find it.
#[derive(Parser)]
#[command(version)]
struct Args {
    /// Where clients reach the store; port 0 picks a free one
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:20160")]
    addr: String,

    /// Where clients reach PD: this is the address to give to a client
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2379")]
    pd_addr: String,

    /// The data directory, created if missing; without it, data lives in memory and is lost at the
    /// end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Memory for cached pages, in MiB
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    cache_mib: u16,

    /// What to log, to standard error: error, warn, info, debug, trace, or a filter like
    /// `standalone=debug`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: Targets,
}

fn main() -> ExitCode {
    let args = Args::parse();
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
    // Listened for before anything is open, so that a signal during the start ends it in order,
    // too.
    let interrupted = interrupted()?;
    let server = Standalone::start(config).await?;
    // One line for programs that start us; the rest is log. A reader that hung up is no reason to
    // end.
    let data = config.data.as_ref().map_or("memory".into(), |dir| dir.display().to_string());
    let (addr, pd_addr) = (server.addr(), server.pd_addr());
    let _ = writeln!(io::stdout(), "ready addr={addr} pd-addr={pd_addr} data={data}");
    interrupted.await;
    server.shutdown().await;
    Ok(())
}
