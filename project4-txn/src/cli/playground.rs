//! `tinykv playground`: everything in one process.

use std::io::{self, Write as _};
use std::path::PathBuf;

use multiraft::raftstore::server::{Links, StoreServer};
use standalone::server::interrupted;
use tempfile::TempDir;
use txn::server::{Config, Pages, Playground, PlaygroundConfig, Solo};

use crate::dashboard::control::{Control, Order};
use crate::{AnyError, dashboard};

/// The flags.
#[derive(clap::Args)]
pub struct Args {
    /// How many stores; 1 is a store without replication or scheduler
    #[arg(long, value_name = "N", default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=9))]
    stores: u16,

    /// Where clients reach PD: this is the address to give to a client
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2379")]
    pd_addr: String,

    /// Where the first store is; the others take the ports behind it, and port 0 picks free ones
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:20160")]
    addr: String,

    /// Where the scheduler's status pages are
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2381")]
    status_addr: String,

    /// The data directory, created if missing
    #[arg(long, value_name = "DIR", default_value = "./tinykv-data")]
    data: PathBuf,

    /// Keep nothing: data lives in a temporary directory, which is removed at the end
    #[arg(long, conflicts_with = "data")]
    memory: bool,

    /// Memory for cached pages, in MiB, of each store
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u16).range(1..))]
    cache_mib: u16,

    /// What to log, to standard error: error, warn, info, debug, trace, or a filter like `txn=debug`
    #[arg(long, value_name = "FILTER", default_value = "warn")]
    pub log: String,
}

impl Args {
    /// Those of a playground that is asked for without any.
    pub fn usual() -> Args {
        #[derive(clap::Parser)]
        struct Usual {
            #[command(flatten)]
            args: Args,
        }
        <Usual as clap::Parser>::parse_from(["tinykv"]).args
    }
}

/// Runs a playground until it is interrupted.
pub async fn run(args: &Args) -> Result<(), AnyError> {
    // Listened for before anything is open, so that a signal during the start ends it in order, too.
    let interrupted = interrupted()?;
    if args.stores == 1 {
        return solo(args, interrupted).await;
    }
    let scratch = args.memory.then(scratch).transpose()?;
    let data = scratch.as_ref().map_or(args.data.as_path(), TempDir::path);
    let links = Links::default();
    let config = PlaygroundConfig {
        pd_addr: args.pd_addr.clone(),
        status_addr: args.status_addr.clone(),
        addrs: (0..args.stores).map(|n| behind(&args.addr, n)).collect::<Result<_, _>>()?,
        data: data.to_owned(),
        cache_bytes: usize::from(args.cache_mib) << 20,
        links: links.clone(),
    };
    let (control, mut orders) = Control::new(links)?;
    let served = control.clone();
    let pages = Pages {
        scheduler: Box::new(move |driver| dashboard::of_playground(driver, served)),
        store: dashboard::of_store,
    };
    let mut playground = Playground::start(config, pages).await?;
    let pd = playground.scheduler().addr().to_string();
    control.told(&pd, playground.slots());
    let what = if args.memory { "memory".into() } else { data.display().to_string() };
    tell(&welcome(&playground, &what));
    tokio::pin!(interrupted);
    let done = loop {
        tokio::select! {
            ended = playground.ended() => break ended,
            () = &mut interrupted => break Ok(()),
            Some((order, answer)) = orders.recv() => {
                let done = obey(&mut playground, order).await;
                control.told(&pd, playground.slots());
                // Who asked may have gone.
                let _ = answer.send(done);
            }
        }
    };
    playground.shutdown().await;
    done
}

/// Does what somebody asked for on the page, or by `tinykv ctl`.
async fn obey(playground: &mut Playground, order: Order) -> Result<String, String> {
    match order {
        Order::Stop(id) => {
            playground.stop_store(id).await.map(|()| format!("store {id} is stopped"))
        }
        Order::Kill(id) => {
            playground.kill_store(id).await.map(|()| format!("store {id} is killed"))
        }
        Order::Start(id) => playground.start_store(id).await.map(|()| format!("store {id} runs")),
        Order::Add => playground.add_store().await.map(|id| format!("store {id} is new")),
    }
}

async fn solo(args: &Args, interrupted: impl Future<Output = ()>) -> Result<(), AnyError> {
    let data = (!args.memory).then(|| args.data.join("solo"));
    let what = data.as_ref().map_or("memory".into(), |dir| dir.display().to_string());
    let config = Config {
        addr: args.addr.clone(),
        pd_addr: args.pd_addr.clone(),
        data,
        cache_bytes: usize::from(args.cache_mib) << 20,
    };
    let server = Solo::start(&config).await?;
    let (addr, pd_addr) = (server.addr(), server.pd_addr());
    tell(&format!("ready addr={addr} pd-addr={pd_addr} data={what}\n"));
    interrupted.await;
    server.shutdown().await;
    Ok(())
}

/// The address `n` ports behind this one; port 0 stays 0.
fn behind(addr: &str, n: u16) -> Result<String, String> {
    let wrong = || format!("`addr` is {addr}: it must be HOST:PORT, with {n} more ports behind it");
    let (host, port) = addr.rsplit_once(':').ok_or_else(wrong)?;
    let port: u16 = port.parse().map_err(|_| wrong())?;
    let port = if port == 0 { 0 } else { port.checked_add(n).ok_or_else(wrong)? };
    Ok(format!("{host}:{port}"))
}

/// The first line is for programs that start us, the rest for people.
fn welcome(playground: &Playground, data: &str) -> String {
    let (pd, status) = (playground.scheduler().addr(), playground.scheduler().status_addr());
    let line = |store: &StoreServer| {
        let (id, addr, status) = (store.id(), store.addr(), store.status_addr());
        format!("store {id} at {addr}:  http://{status}/\n")
    };
    let stores: String = playground.stores().map(line).collect();
    let flag = if pd.port() == 2379 { String::new() } else { format!(" --pd {pd}") };
    format!(
        "ready pd-addr={pd} status-addr={status} data={data}\n\n\
         PD, for clients:  {pd}\ndashboard:        http://{status}/\n{stores}\n\
         Try, in another terminal:\n\n  cargo tinykv ctl{flag} put greeting hello\n  \
         cargo tinykv ctl{flag} txn put alice 100\n  cargo tinykv ctl{flag} mvcc alice\n\n\
         ctrl-c ends it.\n"
    )
}

/// A reader that hung up is no reason to end.
fn tell(text: &str) {
    let _ = io::stdout().write_all(text.as_bytes());
    let _ = io::stdout().flush();
}

/// A directory of its own, removed at the end.
fn scratch() -> Result<TempDir, AnyError> {
    let made = tempfile::Builder::new().prefix("tinykv-").tempdir();
    made.map_err(|error| {
        let here = std::env::temp_dir();
        let here = here.display();
        format!("no temporary directory can be made in {here}: {error}; set TMPDIR, or give --data")
            .into()
    })
}
