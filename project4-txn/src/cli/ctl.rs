//! `tinykv ctl`: asks a running cluster, and changes it.
//!
//! Keys and values are text. Bytes that are no printable characters are shown as `\xff`.

use std::fmt::Write as _;

use clap::Subcommand;
use proto::kvrpcpb::{
    BatchRollbackRequest, CommitRequest, GetRequest, KeyError, Mutation, MvccGetByKeyRequest,
    MvccInfo, Op, PrewriteRequest, RawDeleteRequest, RawGetRequest, RawPutRequest, RawScanRequest,
    SplitRegionRequest,
};
use proto::metapb::Region;
use proto::pdpb::GetRegionResponse;
use txn::TimeStamp;
use txn::mvcc::key;
use txn::server::timestamp;

use super::client::{Client, post};
use crate::AnyError;

/// How long a lock of ours lives, in milliseconds, if we die.
const LOCK_TTL: u64 = 3_000;

/// The flags.
#[derive(clap::Args)]
pub struct Args {
    /// Where PD is
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2379")]
    pd: String,

    /// Where the scheduler's status pages are (for transfer-leader, add-peer and remove-peer)
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:2381")]
    status: String,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Read a raw key
    Get { key: String },
    /// Write a raw key
    Put { key: String, value: String },
    /// Remove a raw key
    Delete { key: String },
    /// Show raw keys and values, from START up to, and without, END
    Scan {
        #[arg(default_value = "")]
        start: String,
        #[arg(default_value = "")]
        end: String,
        /// Show so many at most
        #[arg(long, value_name = "N", default_value_t = 100)]
        limit: u32,
    },
    /// Work with transactional keys
    #[command(subcommand)]
    Txn(Txn),
    /// Show every version of a transactional key, and its lock
    Mvcc { key: String },
    /// Show the region with this id, or that of this transactional key; without either, all
    Region { key_or_id: Option<String> },
    /// Show the stores
    Store,
    /// Cut the region of a transactional key there
    Split { key: String },
    /// Let another store's peer lead a region
    TransferLeader { region: u64, store: u64 },
    /// Add a peer to a region
    AddPeer { region: u64, store: u64 },
    /// Remove a peer from a region
    RemovePeer { region: u64, store: u64 },
    /// Take a timestamp
    Tso,
}

#[derive(Subcommand)]
enum Txn {
    /// Read a key, as of now
    Get { key: String },
    /// Write a key in a transaction of its own
    Put { key: String, value: String },
    /// Remove a key in a transaction of its own
    Delete { key: String },
}

/// Does what was asked for, and prints the answer.
pub async fn run(args: Args) -> Result<(), AnyError> {
    let client = Client::connect(&args.pd).await?;
    match args.command {
        Command::Get { key } => get(&client, &key).await,
        Command::Put { key, value } => put(&client, &key, &value).await,
        Command::Delete { key } => delete(&client, &key).await,
        Command::Scan { start, end, limit } => scan(&client, start.into(), end.into(), limit).await,
        Command::Txn(Txn::Get { key }) => txn_get(&client, &key).await,
        Command::Txn(Txn::Put { key, value }) => txn_write(&client, &key, Some(&value)).await,
        Command::Txn(Txn::Delete { key }) => txn_write(&client, &key, None).await,
        Command::Mvcc { key } => mvcc(&client, &key).await,
        Command::Region { key_or_id } => region(&client, key_or_id.as_deref()).await,
        Command::Store => stores(&client).await,
        Command::Split { key } => split(&client, &key).await,
        Command::TransferLeader { region, store } => {
            plan(&args.status, "transfer-leader", region, store).await
        }
        Command::AddPeer { region, store } => plan(&args.status, "add-peer", region, store).await,
        Command::RemovePeer { region, store } => {
            plan(&args.status, "remove-peer", region, store).await
        }
        Command::Tso => {
            let ts = timestamp(client.pd()).await?;
            println!("{ts} ({} ms since 1970, and {})", ts.physical(), ts.get() & ((1 << 18) - 1));
            Ok(())
        }
    }
}

async fn get(client: &Client, key: &str) -> Result<(), AnyError> {
    let answer = client
        .ask(key.as_bytes(), async |mut store, context, _| {
            let (context, key) = (Some(context), key.to_owned().into());
            store.raw_get(RawGetRequest { context, key, ..Default::default() }).await
        })
        .await?;
    said(&answer.error)?;
    let found = (!answer.not_found).then_some(&answer.value[..]);
    println!("{}", found.map_or("(nothing)".into(), show));
    Ok(())
}

async fn put(client: &Client, key: &str, value: &str) -> Result<(), AnyError> {
    let answer = client
        .ask(key.as_bytes(), async |mut store, context, _| {
            let (key, value) = (key.to_owned().into(), value.to_owned().into());
            let context = Some(context);
            store.raw_put(RawPutRequest { context, key, value, ..Default::default() }).await
        })
        .await?;
    said(&answer.error)
}

async fn delete(client: &Client, key: &str) -> Result<(), AnyError> {
    let answer = client
        .ask(key.as_bytes(), async |mut store, context, _| {
            let (context, key) = (Some(context), key.to_owned().into());
            store.raw_delete(RawDeleteRequest { context, key, ..Default::default() }).await
        })
        .await?;
    said(&answer.error)
}

/// Region by region.
async fn scan(
    client: &Client,
    mut from: Vec<u8>,
    end: Vec<u8>,
    limit: u32,
) -> Result<(), AnyError> {
    let mut left = limit;
    while left > 0 {
        let asked = std::sync::Mutex::new(Vec::new());
        let answer = client
            .ask(&from, async |mut store, context, region| {
                // Where the next region begins.
                *asked.lock().unwrap_or_else(std::sync::PoisonError::into_inner) =
                    region.end_key.to_vec();
                let request = RawScanRequest {
                    context: Some(context),
                    start_key: from.clone().into(),
                    end_key: end.clone().into(),
                    limit: left,
                    ..Default::default()
                };
                store.raw_scan(request).await
            })
            .await?;
        for pair in &answer.kvs {
            println!("{} = {}", show(&pair.key), show(&pair.value));
        }
        left = left.saturating_sub(u32::try_from(answer.kvs.len()).unwrap_or(u32::MAX));
        let next = asked.into_inner().unwrap_or_default();
        if next.is_empty() || (!end.is_empty() && next >= end) {
            break;
        }
        from = next;
    }
    Ok(())
}

async fn txn_get(client: &Client, key: &str) -> Result<(), AnyError> {
    let version = timestamp(client.pd()).await?.get();
    let answer = client
        .ask(&key::encode(key.as_bytes()), async |mut store, context, _| {
            let (context, key) = (Some(context), key.to_owned().into());
            store.kv_get(GetRequest { context, key, version }).await
        })
        .await?;
    agreed(answer.error.as_slice())?;
    let found = (!answer.not_found).then_some(&answer.value[..]);
    println!("{}", found.map_or("(nothing)".into(), show));
    Ok(())
}

/// A transaction of one key: its only key is its primary.
async fn txn_write(client: &Client, key: &str, value: Option<&str>) -> Result<(), AnyError> {
    let position = key::encode(key.as_bytes());
    let start_version = timestamp(client.pd()).await?.get();
    let prewritten = client
        .ask(&position, async |mut store, context, _| {
            let mutation = Mutation {
                op: if value.is_some() { Op::Put } else { Op::Del }.into(),
                key: key.to_owned().into(),
                value: value.unwrap_or_default().to_owned().into(),
                ..Default::default()
            };
            let request = PrewriteRequest {
                context: Some(context),
                mutations: vec![mutation],
                primary_lock: key.to_owned().into(),
                start_version,
                lock_ttl: LOCK_TTL,
                txn_size: 1,
                ..Default::default()
            };
            store.kv_prewrite(request).await
        })
        .await?;
    if let Err(why) = agreed(&prewritten.errors) {
        // Nothing was locked, unless an earlier attempt was never answered: then this takes it back.
        let rollback = async |mut store: proto::tikvpb::tikv_client::TikvClient<_>, context, _| {
            let request = BatchRollbackRequest {
                context: Some(context),
                start_version,
                keys: vec![key.to_owned().into()],
            };
            store.kv_batch_rollback(request).await
        };
        let _ = client.ask(&position, rollback).await;
        return Err(why);
    }
    let commit_version = timestamp(client.pd()).await?.get();
    let committed = client
        .ask(&position, async |mut store, context, _| {
            let request = CommitRequest {
                context: Some(context),
                start_version,
                keys: vec![key.to_owned().into()],
                commit_version,
            };
            store.kv_commit(request).await
        })
        .await?;
    agreed(committed.error.as_slice())?;
    println!("started at {start_version}, committed at {commit_version}");
    Ok(())
}

async fn mvcc(client: &Client, key: &str) -> Result<(), AnyError> {
    let answer = client
        .ask(&key::encode(key.as_bytes()), async |mut store, context, _| {
            let (context, key) = (Some(context), key.to_owned().into());
            store.mvcc_get_by_key(MvccGetByKeyRequest { context, key }).await
        })
        .await?;
    said(&answer.error)?;
    print!("{}", history(&answer.info.unwrap_or_default()));
    Ok(())
}

/// The lock, and one line a version, the newest first.
fn history(info: &MvccInfo) -> String {
    let mut text = String::new();
    if let Some(lock) = &info.lock {
        let _ = writeln!(
            text,
            "locked    by {} ({}), primary {}, for {} ms{}",
            lock.start_ts,
            lock.r#type().as_str_name(),
            show(&lock.primary),
            lock.ttl,
            if lock.use_async_commit { ", async commit" } else { "" },
        );
    }
    for write in &info.writes {
        let long = info.values.iter().find(|value| value.start_ts == write.start_ts);
        let value = match long {
            _ if write.r#type() != Op::Put => String::new(),
            Some(value) => format!(" = {}", show(&value.value)),
            None => format!(" = {}", show(&write.short_value)),
        };
        let (kind, start, commit) = (write.r#type().as_str_name(), write.start_ts, write.commit_ts);
        let _ = writeln!(text, "{kind:<9} at {commit}, begun at {start}{value}");
    }
    if text.is_empty() { "nothing is stored for this key\n".into() } else { text }
}

async fn region(client: &Client, wanted: Option<&str>) -> Result<(), AnyError> {
    if let Some(wanted) = wanted {
        let found = match wanted.parse() {
            Ok(id) => client.region_by_id(id).await?,
            Err(_) => client.region_at(&key::encode(wanted.as_bytes())).await?,
        };
        match &found.region {
            Some(region) => println!("{}", describe(region, &found)),
            None => return Err("there is no such region".into()),
        }
        return Ok(());
    }
    let mut from = Vec::new();
    loop {
        let found = client.region_at(&from).await?;
        let Some(region) = &found.region else { return Err("no region is known yet".into()) };
        println!("{}", describe(region, &found));
        if region.end_key.is_empty() {
            return Ok(());
        }
        from = region.end_key.to_vec();
    }
}

fn describe(region: &Region, found: &GetRegionResponse) -> String {
    let epoch = region.region_epoch.unwrap_or_default();
    let leader = found.leader.map_or(0, |peer| peer.store_id);
    let peer = |peer: &proto::metapb::Peer| {
        let star = if peer.store_id == leader { " leads" } else { "" };
        format!("{} on store {}{star}", peer.id, peer.store_id)
    };
    let peers: Vec<String> = region.peers.iter().map(peer).collect();
    let bound = |position: &[u8], none: &str| match position {
        [] => none.to_owned(),
        encoded => key::decode(encoded).map_or_else(|_| show(encoded), |(key, _)| show(&key)),
    };
    format!(
        "region {}  [{}, {})  epoch {}:{}  peers {}",
        region.id,
        bound(&region.start_key, "start"),
        bound(&region.end_key, "end"),
        epoch.conf_ver,
        epoch.version,
        peers.join(", ")
    )
}

async fn stores(client: &Client) -> Result<(), AnyError> {
    for store in client.stores().await? {
        println!("store {}  {}  {}", store.id, store.address, store.state().as_str_name());
    }
    Ok(())
}

async fn split(client: &Client, key: &str) -> Result<(), AnyError> {
    let answer = client
        .ask(&key::encode(key.as_bytes()), async |mut store, context, _| {
            let request = SplitRegionRequest {
                context: Some(context),
                split_keys: vec![key.to_owned().into()],
                ..Default::default()
            };
            store.split_region(request).await
        })
        .await?;
    for region in &answer.regions {
        println!("{}", describe(region, &GetRegionResponse::default()));
    }
    Ok(())
}

async fn plan(status: &str, what: &str, region: u64, store: u64) -> Result<(), AnyError> {
    println!("{}", post(status, &format!("/regions/{region}/{what}/{store}")).await?);
    Ok(())
}

fn said(error: &str) -> Result<(), AnyError> {
    if error.is_empty() { Ok(()) } else { Err(error.into()) }
}

/// What another transaction has against it, in words.
fn agreed(errors: &[KeyError]) -> Result<(), AnyError> {
    let Some(error) = errors.first() else { return Ok(()) };
    let why = if let Some(lock) = &error.locked {
        let began = TimeStamp::new(lock.lock_version);
        let primary = show(&lock.primary_lock);
        format!(
            "locked by transaction {began}, whose primary key is {primary}: try again when it is done"
        )
    } else if let Some(conflict) = &error.conflict {
        let other = conflict.conflict_ts;
        format!("transaction {other} was faster: nothing was written, try again")
    } else if !error.abort.is_empty() {
        error.abort.clone()
    } else if !error.retryable.is_empty() {
        error.retryable.clone()
    } else {
        format!("{error:?}")
    };
    Err(why.into())
}

fn show(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => bytes.escape_ascii().to_string(),
    }
}
