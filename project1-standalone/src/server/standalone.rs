//! Project 1's server, put together.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use proto::pdpb::pd_server::PdServer;
use tokio::task::JoinSet;

use super::net::Listener;
use super::{GroupCommit, Stop, SystemClock, TikvService};
use crate::engine::{Engine, Options};
use crate::latches::Latches;
use crate::pd::{Cluster, Ledger, PdService, SoloRegions};
use crate::raw::RawApi;
use crate::{Result, StandaloneStorage};

/// The database's file in the data directory.
const DATABASE: &str = "kv.redb";

/// How to start a [`Standalone`].
#[derive(Debug, Clone)]
pub struct Config {
    /// Where clients reach the store, as `host:port`; port 0 picks a free one.
    pub addr: String,
    /// Where clients reach the solo PD.
    pub pd_addr: String,
    /// The data directory; none: data lives in memory and dies with the server.
    pub data: Option<PathBuf>,
    /// Memory for cached pages, in bytes.
    pub cache_bytes: usize,
}

/// A server that runs.
pub struct Standalone {
    addr: SocketAddr,
    pd_addr: SocketAddr,
    stop: Stop,
    serving: JoinSet<()>,
    storage: Arc<GroupCommit<StandaloneStorage>>,
}

impl Standalone {
    /// Opens the data, listens, and serves. Clients may come as soon as it returns.
    ///
    /// # Errors
    /// [`Error::CannotListen`](crate::Error::CannotListen), those of [`Engine::open`], and
    /// [`Error::Io`](crate::Error::Io): each says what to do next, and nothing is left running.
    pub async fn start(config: &Config) -> Result<Standalone> {
        let store = Listener::bind("--addr", &config.addr).await?;
        let pd = Listener::bind("--pd-addr", &config.pd_addr).await?;
        let (addr, pd_addr) = (store.addr(), pd.addr());

        let options = Options { cache_bytes: config.cache_bytes, ..Options::default() };
        let engine = match &config.data {
            Some(dir) => Engine::open(dir, DATABASE, &options)?,
            None => Engine::in_memory(&options)?,
        };
        let storage = Arc::new(GroupCommit::new(StandaloneStorage::new(engine))?);
        // PD's own numbers lie beside the data, below the regions: no client's range reaches them.
        let ledger = Ledger::new(storage.clone());
        let id = ledger.cluster_id(SystemClock.unix_millis()).await?;
        let cluster = Cluster::solo(id, addr, pd_addr);

        let regions = Arc::new(SoloRegions::new(storage.clone(), cluster.regions()));
        let raw = RawApi::new(regions, Latches::new(), Arc::new(SystemClock));
        let stop = Stop::new();
        let scheduler = PdService::new(cluster, ledger, stop.clone()).await?;
        let mut serving = JoinSet::new();
        serving.spawn(store.serve(TikvService::new(raw).into_server(), stop.clone()));
        serving.spawn(pd.serve(PdServer::new(scheduler), stop.clone()));
        let data = config.data.as_ref().map_or("memory".into(), |dir| dir.display().to_string());
        tracing::info!(%addr, %pd_addr, data, "serving");
        Ok(Standalone { addr, pd_addr, stop, serving, storage })
    }

    /// Where the store really is.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where the solo PD really is.
    pub fn pd_addr(&self) -> SocketAddr {
        self.pd_addr
    }

    /// Ends in order: see [`server`](super). Returns when every accepted write is on disk.
    pub async fn shutdown(mut self) {
        tracing::info!("shutting down");
        self.stop.now();
        while self.serving.join_next().await.is_some() {}
        self.storage.close().await;
        tracing::info!("stopped");
    }
}
