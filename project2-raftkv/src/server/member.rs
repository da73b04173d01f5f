//! One member of the group, put together.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use proto::pdpb::pd_server::PdServer;
use standalone::latches::Latches;
use standalone::raw::RawApi;
use standalone::server::net::Listener;
use standalone::server::{Stop, SystemClock, TikvService};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

use super::disk::{Opened, draw, open};
use super::driver::spawn;
use super::group::{Driver, Members, Word};
use super::inputs::{Input, Inputs, TICK};
use super::pd::{Facade, PeerTopology, Told};
use super::service::{Fork, StoreService, between_stores};
use super::transport::Transport;
use super::workers::{Done, KvWriter, REGION_QUEUE, log_writer, worker};
use crate::error::Error;
use crate::store::RegionJob;
use crate::{RaftStorage, Result, Store, store};

/// How to start a [`Member`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Which of `peers` this is.
    pub id: u64,
    /// All members and where each is reached, by clients and by the others, as `host:port`.
    pub peers: BTreeMap<u64, String>,
    /// Where this member's solo PD listens as well; it is always on the member's own address, too.
    pub pd_addr: Option<String>,
    /// The data directory.
    pub data: PathBuf,
    /// Memory for cached pages of the data, in bytes.
    pub cache_bytes: usize,
    /// At how many entries the log is cut.
    pub log_entries: u64,
    /// Ask before disturbing.
    pub pre_vote: bool,
    /// A leader that hears no majority steps down, and who hears a leader votes for nobody else.
    pub check_quorum: bool,
    /// A leader reads without asking anybody, for as long as nobody else can have been elected. Needs `check_quorum`, on
    /// all members.
    pub lease_read: bool,
}

/// A member that runs.
pub struct Member {
    addr: SocketAddr,
    pd_addr: SocketAddr,
    stop: Stop,
    serving: JoinSet<()>,
    inputs: Inputs<Word>,
    ended: oneshot::Receiver<Result<()>>,
}

impl Member {
    /// Opens the data, listens, and takes part. Clients may come as soon as it returns.
    ///
    /// # Errors
    /// Those of [`Store::open`] and of the engine, and [`Error::System`]; each says what to do.
    pub async fn start(config: &Config) -> Result<Member> {
        let own = config.peers.get(&config.id).ok_or_else(|| {
            let ids: Vec<&u64> = config.peers.keys().collect();
            Error::Config(format!("--id {} is not in --peers, which has {ids:?}", config.id))
        })?;
        let listener = Listener::bind("--peers", own).await?;
        let addr = listener.addr();
        let extra = match &config.pd_addr {
            Some(pd_addr) => Some(Listener::bind("--pd-addr", pd_addr).await?),
            None => None,
        };
        let pd_addr = extra.as_ref().map_or(addr, Listener::addr);

        let members: Vec<u64> = config.peers.keys().copied().collect();
        let mut setup = store::Config::new(config.id, members);
        setup.new_disk = draw(config.id);
        setup.raft.seed = setup.new_disk;
        setup.gc.entries = config.log_entries;
        setup.tick = TICK;
        setup.raft.pre_vote = config.pre_vote;
        setup.raft.check_quorum = config.check_quorum;
        setup.raft.lease_read = config.lease_read;
        let Opened { kv, log, mut store } = open(&config.data, config.cache_bytes, |kv, log| {
            Store::open(kv.clone(), log.clone(), setup.clone(), 0)
        })?;

        let (views, watched) = watch::channel(None);
        store.observe(Box::new(Told(views)));
        let (inputs, incoming) = Inputs::new();
        let (done, dones) = mpsc::unbounded_channel();
        let addresses = Arc::new(config.peers.clone());
        let neighbours = Members {
            addresses: addresses.clone(),
            me: config.id,
            disk: store.disk(),
            inputs: inputs.clone(),
        };
        let others: BTreeSet<u64> =
            config.peers.keys().copied().filter(|&id| id != config.id).collect();
        let mut transport = Transport::new(neighbours.clone(), inputs.clone());
        for &other in &others {
            // A new disk has nothing to say, and must be accepted first.
            transport.way(other);
        }
        let scanned = kv.clone();
        let driver = Driver {
            store,
            log: log_writer(log, done.clone())?,
            data: KvWriter::start(kv.clone(), done.clone(), |_, _| ())?,
            region: worker("region worker", REGION_QUEUE, done, move |job: Box<RegionJob>| {
                Done::Job(job.run(&scanned))
            })?,
            kv,
            jobs: 0,
            transport,
            others,
            accepted: BTreeSet::new(),
        };
        let ended = spawn(driver, incoming, dones)?;

        let stop = Stop::new();
        let topology = PeerTopology {
            cluster: store::group_id(&config.peers.keys().copied().collect::<Vec<_>>()),
            addresses,
            me: config.id,
            views: watched,
        };
        let pd = PdServer::new(Facade::new(topology, inputs.clone(), stop.clone()));
        let storage = Arc::new(RaftStorage::new(inputs.clone()));
        let raw = TikvService::new(RawApi::new(storage, Latches::new(), Arc::new(SystemClock)));
        let stores = StoreService::new(neighbours, inputs.clone(), stop.clone()).into_server();
        let clients = Fork { takes: is_pds, first: pd.clone(), second: raw.into_server() };
        let all = Fork { takes: between_stores, first: stores, second: clients };

        let mut serving = JoinSet::new();
        serving.spawn(listener.serve(all, stop.clone()));
        if let Some(extra) = extra {
            serving.spawn(extra.serve(pd, stop.clone()));
        }
        serving.spawn(inputs.clone().tick(stop.clone()));
        tracing::info!(%addr, %pd_addr, id = config.id, data = ?config.data, "serving");
        Ok(Member { addr, pd_addr, stop, serving, inputs, ended })
    }

    /// Where the store, and its PD, really is.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where its PD is as well.
    pub fn pd_addr(&self) -> SocketAddr {
        self.pd_addr
    }

    /// Completes when the member has stopped by itself: its disk failed, or the others do not accept it.
    ///
    /// # Errors
    /// Why.
    pub async fn ended(&mut self) -> Result<()> {
        (&mut self.ended).await.unwrap_or_else(|_| {
            Err(Error::System { doing: "go on", what: "the loop has panicked".into() })
        })
    }

    /// Ends in order: calls that were accepted are answered first.
    pub async fn shutdown(mut self) {
        tracing::info!("shutting down");
        self.stop.now();
        while self.serving.join_next().await.is_some() {}
        self.inputs.put(Input::Stop).await;
        // It may have ended before, or with an error that was told already.
        let _ = self.ended.await;
        tracing::info!("stopped");
    }
}

/// Whether this is the path of one of PD's calls.
fn is_pds(path: &str) -> bool {
    path.starts_with("/pdpb.PD/")
}
