//! `tinykv ctl`: asks a running cluster, and changes it.
//!
//! One command, as in `tinykv ctl get greeting`; without one a prompt with a history and completion ([`repl`]); or, when
//! something is piped in, a script of commands, one a line, that ends at the first that fails.
//!
//! Keys and values are text. `\xff` stands for a byte, as it is shown.

mod cluster;
mod data;
mod mvcc;
mod repl;

use std::str::FromStr;
use std::sync::Arc;

use clap::Subcommand;

use super::client::Client;
use super::show;
use super::txn::Txn;
use crate::AnyError;

/// The flags.
#[derive(clap::Args)]
pub struct Args {
    /// Where PD is
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2379")]
    pd: String,

    /// Where the scheduler's status pages are (for what clients of PD cannot ask)
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2381")]
    status: String,

    /// What to do; nothing: a prompt, or a script from standard input
    #[command(subcommand)]
    command: Option<Command>,
}

/// A key or a value. `\xff` and its like stand for bytes.
#[derive(Debug, Clone, Default)]
struct Bytes(Vec<u8>);

impl FromStr for Bytes {
    type Err = String;

    fn from_str(text: &str) -> Result<Bytes, String> {
        show::bytes(text).map(Bytes)
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Read a raw key
    Get { key: Bytes },
    /// Write a raw key
    Put { key: Bytes, value: Bytes },
    /// Remove a raw key
    Delete { key: Bytes },
    /// Show raw keys and values, from START up to, and without, END
    Scan(Range),
    /// Work with transactional keys
    #[command(subcommand)]
    Txn(TxnCommand),
    /// Show every version of a transactional key, and its lock
    Mvcc { key: Bytes },
    /// Show the region with this id, or that of this transactional key; without either, all
    Region {
        #[arg(value_name = "ID|KEY")]
        key_or_id: Option<String>,
        /// It is a raw key
        #[arg(long, requires = "key_or_id")]
        raw: bool,
    },
    /// Show the stores, and what each has
    Store,
    /// Cut the region of a transactional key there
    Split { key: Bytes },
    /// Let another store's peer lead a region
    TransferLeader { region: u64, store: u64 },
    /// Add a peer to a region
    AddPeer { region: u64, store: u64 },
    /// Remove a peer from a region
    RemovePeer { region: u64, store: u64 },
    /// Take a timestamp
    Tso,
    /// In a playground: end a store in order
    StopStore { store: u64 },
    /// In a playground: end a store at once
    KillStore { store: u64 },
    /// In a playground: start a store again
    StartStore { store: u64 },
    /// In a playground: add an empty store
    AddStore,
    /// In a playground: two stores no longer hear each other
    CutLink { store: u64, other: u64 },
    /// In a playground: they do again
    MendLink { store: u64, other: u64 },
}

/// From where to where, and how much.
#[derive(Debug, clap::Args)]
struct Range {
    #[arg(default_value = "")]
    start: Bytes,
    #[arg(default_value = "")]
    end: Bytes,
    /// Show so many at most
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
}

#[derive(Debug, Subcommand)]
enum TxnCommand {
    /// Begin a transaction that lasts until commit or rollback (at the prompt, or in a script)
    Begin,
    /// Read a key: in the open transaction, or as of now
    Get { key: Bytes },
    /// Write a key: in the open transaction, or in one of its own
    Put { key: Bytes, value: Bytes },
    /// Remove a key: in the open transaction, or in one of its own
    Delete { key: Bytes },
    /// Show keys and values, from START up to, and without, END: in the open transaction, or as of now
    Scan(Range),
    /// Commit the open transaction
    Commit,
    /// Forget the open transaction: nothing of it was written
    Rollback,
}

/// What commands share.
struct Session {
    client: Arc<Client>,
    status: String,
    txn: Option<Txn>,
    /// There will be other commands.
    lasts: bool,
}

/// Does what was asked for, and prints the answer.
pub async fn run(args: Args) -> Result<(), AnyError> {
    let client = Arc::new(Client::connect(&args.pd).await?);
    let lasts = args.command.is_none();
    let mut session = Session { client, status: args.status, txn: None, lasts };
    let done = match args.command {
        Some(command) => session.execute(command).await,
        None => repl::run(&mut session).await,
    };
    session.client.settled().await;
    done
}

impl Session {
    async fn execute(&mut self, command: Command) -> Result<(), AnyError> {
        match command {
            Command::Get { key } => self.get(key.0).await,
            Command::Put { key, value } => self.put(key.0, value.0).await,
            Command::Delete { key } => self.delete(key.0).await,
            Command::Scan(range) => self.scan(range).await,
            Command::Txn(command) => self.txn(command).await,
            Command::Mvcc { key } => self.mvcc(key.0).await,
            Command::Region { key_or_id, raw } => self.region(key_or_id.as_deref(), raw).await,
            Command::Store => self.stores().await,
            Command::Split { key } => self.split(key.0).await,
            Command::TransferLeader { region, store } => {
                self.plan("transfer-leader", region, store).await
            }
            Command::AddPeer { region, store } => self.plan("add-peer", region, store).await,
            Command::RemovePeer { region, store } => self.plan("remove-peer", region, store).await,
            Command::Tso => self.tso().await,
            Command::StopStore { store } => self.play(&format!("stores/{store}/stop")).await,
            Command::KillStore { store } => self.play(&format!("stores/{store}/kill")).await,
            Command::StartStore { store } => self.play(&format!("stores/{store}/start")).await,
            Command::AddStore => self.play("stores/add").await,
            Command::CutLink { store, other } => {
                self.play(&format!("links/{store}/{other}/cut")).await
            }
            Command::MendLink { store, other } => {
                self.play(&format!("links/{store}/{other}/mend")).await
            }
        }
    }
}
