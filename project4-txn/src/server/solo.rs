//! Everything in one process, on one disk: the store, and project 1's solo PD.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use proto::pdpb::pd_server::PdServer;
use standalone::engine::{Engine, Options};
use standalone::latches::Latches;
use standalone::pd::{Cluster, Entry, Ledger, PdService, SoloRegions};
use standalone::raw::RawApi;
use standalone::server::net::Listener;
use standalone::server::{GroupCommit, Stop, SystemClock, TikvService};
use standalone::{Result, StandaloneStorage};
use tokio::task::JoinSet;

use super::horizon::{self, Horizon, Oracle};
use super::{TokioTimer, TxnService};
use crate::{Concurrency, TimeStamp, TxnApi};

/// The database's file in the data directory.
const DATABASE: &str = "kv.redb";

/// How to start a [`Solo`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients reach the store, as `host:port`; port 0 picks a free one.
    pub addr: String,
    /// Where clients reach PD.
    pub pd_addr: String,
    /// The data directory; none: data lives in memory and dies with the server.
    pub data: Option<PathBuf>,
    /// Memory for cached pages, in bytes.
    pub cache_bytes: usize,
}

/// A server that runs.
pub struct Solo {
    addr: SocketAddr,
    pd_addr: SocketAddr,
    stop: Stop,
    serving: JoinSet<()>,
    storage: Arc<GroupCommit<StandaloneStorage>>,
}

impl Solo {
    /// Opens the data, listens, and serves. Clients may come as soon as it returns.
    ///
    /// # Errors
    /// Those of `standalone::server::Standalone::start`: each says what to do next, and nothing is left running.
    pub async fn start(config: &Config) -> Result<Solo> {
        let store = Listener::bind("--addr", &config.addr).await?;
        let pd = Listener::bind("--pd-addr", &config.pd_addr).await?;
        let (addr, pd_addr) = (store.addr(), pd.addr());

        let options = Options { cache_bytes: config.cache_bytes, ..Options::default() };
        let engine = match &config.data {
            Some(dir) => Engine::open(dir, DATABASE, &options)?,
            None => Engine::in_memory(&options)?,
        };
        let storage = Arc::new(GroupCommit::new(StandaloneStorage::new(engine))?);
        let ledger = Ledger::new(storage.clone());
        let id = ledger.cluster_id(SystemClock.unix_millis()).await?;
        let cluster = Cluster::solo(id, addr, pd_addr);
        // The reads of an earlier life are not known any more; all of them were below this.
        let concurrency = Concurrency::new();
        let bound = ledger.load(Entry::TsoBound).await?;
        concurrency.raise(TimeStamp::new(bound << 18));

        let regions = Arc::new(SoloRegions::new(storage.clone(), cluster.regions()));
        let latches = Latches::new();
        let raw = RawApi::new(regions.clone(), latches.clone(), Arc::new(SystemClock));
        let stop = Stop::new();
        let scheduler = PdService::new(cluster, ledger, stop.clone()).await?;

        let here = Oracle::Here(Horizon::at(bound.max(SystemClock.unix_millis())));
        tokio::spawn(horizon::follow(concurrency.clone(), here, stop.clone()));
        let txn = TxnApi::new(regions, latches, concurrency, Arc::new(TokioTimer));
        let service = TxnService::new(TikvService::new(raw), txn, stop.clone());
        let mut serving = JoinSet::new();
        serving.spawn(store.serve(service.into_server(), stop.clone()));
        serving.spawn(pd.serve(PdServer::new(scheduler), stop.clone()));
        let data = config.data.as_ref().map_or("memory".into(), |dir| dir.display().to_string());
        tracing::info!(%addr, %pd_addr, data, "serving");
        Ok(Solo { addr, pd_addr, stop, serving, storage })
    }

    /// Where the store really is.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where PD really is.
    pub fn pd_addr(&self) -> SocketAddr {
        self.pd_addr
    }

    /// Ends in order, as project 1's server does. Returns when every accepted write is on disk.
    pub async fn shutdown(mut self) {
        tracing::info!("shutting down");
        self.stop.now();
        while self.serving.join_next().await.is_some() {}
        self.storage.close().await;
        tracing::info!("stopped");
    }
}
