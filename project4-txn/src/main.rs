//! `tinykv`: the complete server, and what one needs to look at it.

mod cli;
mod dashboard;

use std::io;
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use multiraft::raftstore::server as store;
use multiraft::scheduler::server as scheduler;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// A transactional key-value database that official TiKV clients can use.
#[derive(Parser)]
#[command(version)]
struct Cli {
    /// What to run; nothing: a playground
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Run a whole cluster in this process, to try it out
    Playground(cli::playground::Args),
    /// Run the scheduler of a cluster (PD, in TiKV's words)
    Scheduler(scheduler::Flags),
    /// Run a store of a cluster
    Store(store::Flags),
    /// Ask a running cluster, and change it
    Ctl(cli::ctl::Args),
    /// Measure a running cluster
    Bench(cli::bench::Args),
}

fn main() -> ExitCode {
    let command = Cli::parse().command;
    let playground = || Command::Playground(cli::playground::Args::usual());
    match run(command.unwrap_or_else(playground)) {
        Ok(()) => ExitCode::SUCCESS,
        // `tinykv ctl scan | head -1`: it has read enough.
        Err(error) if is_hung_up(&error) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<(), AnyError> {
    let runtime = match command {
        Command::Store(_) => raftkv::server::runtime()?,
        _ => tokio::runtime::Builder::new_multi_thread().enable_all().build()?,
    };
    match command {
        Command::Playground(args) => {
            log_to_stderr(&args.log)?;
            runtime.block_on(cli::playground::run(&args))
        }
        Command::Scheduler(flags) => {
            let settings = scheduler::Settings::read(flags)?;
            log_to_stderr(&settings.log)?;
            runtime.block_on(cli::process::scheduler(&settings))
        }
        Command::Store(flags) => {
            let settings = store::Settings::read(flags)?;
            log_to_stderr(&settings.log)?;
            runtime.block_on(cli::process::store(&settings))
        }
        Command::Ctl(args) => runtime.block_on(cli::ctl::run(args)),
        Command::Bench(args) => runtime.block_on(cli::bench::command(args)),
    }
}

fn is_hung_up(error: &AnyError) -> bool {
    let io = error.downcast_ref::<io::Error>();
    io.is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

fn log_to_stderr(filter: &str) -> Result<(), String> {
    let targets = filter.parse::<Targets>().map_err(|e| format!("`log` is \"{filter}\": {e}"))?;
    let log = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_filter(targets);
    tracing_subscriber::registry().with(log).init();
    Ok(())
}
