//! `raftkv`: one member of a replicated store, and its solo PD.

use std::collections::BTreeMap;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use raftkv::server::{Config, Member, runtime};
use standalone::server::interrupted;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::prelude::*;

/// One member of a group that replicates a key-value store and speaks TiKV's raw API.
///
/// Three members on one machine:
///
///   for i in 1 2 3; do cargo run -p raftkv -- --id $i --data /tmp/raftkv/$i
///   --peers 1=127.0.0.1:20161,2=127.0.0.1:20162,3=127.0.0.1:20163 & done
///
/// A client is given all three addresses as PD's.
#[derive(Parser)]
#[command(version, verbatim_doc_comment)]
struct Args {
    /// Which of the members this is
    #[arg(long, value_name = "N")]
    id: u64,

    /// All members: where each is reached by clients and by the others. The same on all of them, for ever
    #[arg(long, value_name = "ID=HOST:PORT,...", value_delimiter = ',', value_parser = member, required = true)]
    peers: Vec<(u64, String)>,

    /// Where this member's PD listens as well (it is always on the member's own address)
    #[arg(long, value_name = "HOST:PORT")]
    pd_addr: Option<String>,

    /// The data directory, created if missing
    #[arg(long, value_name = "DIR")]
    data: PathBuf,

    /// Memory for cached pages, in MiB
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    cache_mib: u16,

    /// Cut the log at so many entries (or 64 MiB of them); who lacks them gets a snapshot
    #[arg(long, value_name = "N", default_value_t = 50_000, value_parser = clap::value_parser!(u64).range(1..))]
    log_entries: u64,

    /// Campaign without asking first whether anybody would vote for this member
    #[arg(long)]
    no_pre_vote: bool,

    /// Lead on without a majority, until somebody else is heard; no leases either. The same on all members
    #[arg(long)]
    no_check_quorum: bool,

    /// Ask a majority before each read, instead of relying on clocks that run about alike
    #[arg(long)]
    no_leases: bool,

    /// What to log, to standard error: error, warn, info, debug, trace, or a filter like `raftkv=debug`
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: Targets,
}

fn member(text: &str) -> Result<(u64, String), String> {
    let (id, address) = text.split_once('=').ok_or("a member is ID=HOST:PORT")?;
    let id = id.parse().ok().filter(|&id| id > 0).ok_or("an id is a number from 1 on")?;
    Ok((id, address.to_owned()))
}

fn main() -> ExitCode {
    let args = Args::parse();
    let log = tracing_subscriber::fmt::layer().with_writer(io::stderr).with_filter(args.log);
    tracing_subscriber::registry().with(log).init();
    let config = Config {
        id: args.id,
        peers: args.peers.into_iter().collect::<BTreeMap<_, _>>(),
        pd_addr: args.pd_addr,
        data: args.data,
        cache_bytes: usize::from(args.cache_mib) << 20,
        log_entries: args.log_entries,
        pre_vote: !args.no_pre_vote,
        check_quorum: !args.no_check_quorum,
        lease_read: !args.no_check_quorum && !args.no_leases,
    };
    let done = runtime().map_err(Into::into).and_then(|runtime| runtime.block_on(run(&config)));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(config: &Config) -> Result<(), Box<dyn std::error::Error>> {
    let interrupted = interrupted()?;
    let mut member = Member::start(config).await?;
    let (addr, pd_addr) = (member.addr(), member.pd_addr());
    let _ = writeln!(
        io::stdout(),
        "ready id={} addr={addr} pd-addr={pd_addr} data={}",
        config.id,
        config.data.display()
    );
    tokio::select! {
        ended = member.ended() => Ok(ended?),
        () = interrupted => {
            member.shutdown().await;
            Ok(())
        }
    }
}
