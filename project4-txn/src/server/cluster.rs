//! A store of a cluster, with the transactional calls; and a whole cluster in one process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures_util::future::{join_all, select_all};
use multiraft::raftstore::server::{Clients, Handles, Settings, StoreServer};
use multiraft::scheduler::Config as Schedule;
use multiraft::scheduler::server::{Scheduler, Settings as SchedulerSettings};
use standalone::latches::Latches;
use standalone::raw::RawApi;
use standalone::server::{SystemClock, TikvService};

use super::elsewhere::AllRegions;
use super::leaderships::Leaderships;
use super::regions::Regions;
use super::{TokioTimer, TxnService, gc, horizon};
use crate::{Concurrency, TxnApi};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Starts a store of a cluster: project 3's, which serves raw and transactional calls.
///
/// # Errors
/// Those of [`StoreServer::start`].
pub async fn start_store(settings: &Settings) -> Result<StoreServer, AnyError> {
    let concurrency = Concurrency::new();
    let leaderships = Leaderships::new(concurrency.clone());
    let observer = Box::new(leaderships.clone());
    StoreServer::start(settings, vec![observer], |handles| calls(handles, concurrency, leaderships))
        .await
}

/// All calls, over the replicated storage.
fn calls(handles: Handles, concurrency: Concurrency, leaderships: Leaderships) -> impl Clients {
    let Handles { storage, inputs, pd, stop, .. } = handles;
    let latches = Latches::new();
    let raw = RawApi::new(storage.clone(), latches.clone(), Arc::new(SystemClock));
    let txn = TxnApi::new(storage, latches, concurrency.clone(), Arc::new(TokioTimer))
        .with_elsewhere(Arc::new(AllRegions::new(pd.clone())));
    tokio::spawn(leaderships.clone().synchronise(pd.clone(), stop.clone()));
    let oracle = horizon::Oracle::Scheduler(pd.clone());
    tokio::spawn(horizon::follow(concurrency.clone(), oracle, stop.clone()));
    let (led, collected) = (leaderships.clone(), txn.clone());
    tokio::spawn(gc::collect(collected, concurrency, led, pd.clone(), stop.clone()));
    let regions = Regions { inputs, pd, leaderships };
    TxnService::new(TikvService::new(raw), txn, stop).with_regions(regions).into_server()
}

/// How to start a [`Playground`].
#[derive(Debug, Clone)]
pub struct PlaygroundConfig {
    /// Where clients reach the scheduler, PD in their words.
    pub pd_addr: String,
    /// Where its status pages are.
    pub status_addr: String,
    /// Where the stores are, one each.
    pub addrs: Vec<String>,
    /// The data directory.
    pub data: PathBuf,
    /// Memory for cached pages, in bytes, of each store.
    pub cache_bytes: usize,
}

/// A scheduler and some stores in one process, over loopback.
pub struct Playground {
    scheduler: Scheduler,
    stores: Vec<StoreServer>,
}

impl Playground {
    /// Starts everything. Clients may come as soon as it returns; a new cluster then begins with one copy of its data,
    /// and has the others a few seconds later.
    ///
    /// # Errors
    /// Those of [`Scheduler::start`] and [`StoreServer::start`]. What was started before is ended.
    pub async fn start(config: &PlaygroundConfig) -> Result<Playground, AnyError> {
        // Copies are odd in number.
        let max_replicas = config.addrs.len().min(3).saturating_sub(1) / 2 * 2 + 1;
        let settings = SchedulerSettings {
            addr: config.pd_addr.clone(),
            status_addr: config.status_addr.clone(),
            data: config.data.join("scheduler"),
            log: String::new(),
            schedule: Schedule { max_replicas, ..Schedule::default() },
        };
        let scheduler = Scheduler::start(&settings).await?;
        let mut playground = Playground { scheduler, stores: Vec::new() };
        for (n, addr) in (1..).zip(&config.addrs) {
            let data = config.data.join(format!("store-{n}"));
            match start_store(&playground.settings(config, addr, &data)).await {
                Ok(store) => playground.stores.push(store),
                Err(error) => {
                    playground.shutdown().await;
                    return Err(format!("store {n}: {error}").into());
                }
            }
        }
        Ok(playground)
    }

    fn settings(&self, config: &PlaygroundConfig, addr: &str, data: &Path) -> Settings {
        let scheduler = self.scheduler.addr().to_string();
        let cache_bytes = config.cache_bytes;
        Settings { scheduler, addr: addr.into(), cache_bytes, ..Settings::new(data) }
    }

    /// The scheduler.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// The stores.
    pub fn stores(&self) -> &[StoreServer] {
        &self.stores
    }

    /// Completes when something has stopped by itself: a disk failed.
    ///
    /// # Errors
    /// Always; it says what.
    pub async fn ended(&mut self) -> Result<(), AnyError> {
        let stores = select_all(self.stores.iter_mut().map(|store| Box::pin(store.ended())));
        tokio::select! {
            () = self.scheduler.ended() => Err("the scheduler's disk has failed: see the log".into()),
            (ended, n, _) = stores => {
                let why = ended.err().map_or_else(|| "no reason".into(), |error| error.to_string());
                Err(format!("store {} has stopped: {why}", n + 1).into())
            }
        }
    }

    /// Ends in order, stores first.
    pub async fn shutdown(self) {
        join_all(self.stores.into_iter().map(StoreServer::shutdown)).await;
        self.scheduler.shutdown().await;
    }
}
