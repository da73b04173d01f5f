//! A whole cluster in one process: to try things out, also those that one does not do to a cluster that is needed.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use futures_util::future::{join_all, select_all};
use multiraft::raftstore::server::{Links, Settings, StoreServer};
use multiraft::scheduler::Config as Schedule;
use multiraft::scheduler::server::{Driver, Scheduler, Settings as SchedulerSettings};
use tokio::time::{Instant, sleep};

use super::{Watch, start_store};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// How long the files of a store that has just ended may be in use.
const CLOSING: Duration = Duration::from_secs(3);

/// The most stores a playground can have.
const MOST: usize = 9;

/// How to start a [`Playground`].
#[derive(Debug, Clone)]
pub struct PlaygroundConfig {
    /// Where clients reach the scheduler, PD in their words.
    pub pd_addr: String,
    /// Where its status pages are.
    pub status_addr: String,
    /// Where the stores are, one each.
    pub addrs: Vec<String>,
    /// The data directory. Stores that were added in an earlier life have theirs there, too, and come back.
    pub data: PathBuf,
    /// Memory for cached pages, in bytes, of each store.
    pub cache_bytes: usize,
    /// Links that somebody may cut.
    pub links: Links,
}

/// What is served beside the status pages.
pub struct Pages {
    /// By the scheduler.
    pub scheduler: Box<dyn FnOnce(Arc<Driver>) -> Router + Send>,
    /// By each store.
    pub store: fn(Watch) -> Router,
}

/// How a store is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// It runs.
    Runs,
    /// It was stopped in order.
    Stopped,
    /// It was killed.
    Killed,
}

/// A store of the playground, whether it runs or not.
#[derive(Debug, Clone, Copy)]
pub struct Slot {
    /// Which store it is.
    pub id: u64,
    /// How it is.
    pub state: State,
}

struct Place {
    slot: Slot,
    settings: Settings,
    server: Option<StoreServer>,
}

/// A scheduler and some stores in one process, over loopback.
pub struct Playground {
    config: PlaygroundConfig,
    scheduler: Scheduler,
    store_pages: fn(Watch) -> Router,
    places: Vec<Place>,
}

impl Playground {
    /// Starts everything. Clients may come as soon as it returns; a new cluster then begins with one copy of its data,
    /// and has the others a few seconds later.
    ///
    /// # Errors
    /// Those of [`Scheduler::start`] and [`StoreServer::start`]. What was started before is ended.
    pub async fn start(config: PlaygroundConfig, pages: Pages) -> Result<Playground, AnyError> {
        // Copies are odd in number.
        let max_replicas = config.addrs.len().min(3).saturating_sub(1) / 2 * 2 + 1;
        let settings = SchedulerSettings {
            addr: config.pd_addr.clone(),
            status_addr: config.status_addr.clone(),
            data: config.data.join("scheduler"),
            log: String::new(),
            schedule: Schedule { max_replicas, ..Schedule::default() },
        };
        let scheduler = Scheduler::start_with(&settings, pages.scheduler).await?;
        let store_pages = pages.store;
        let addrs = config.addrs.clone();
        let mut playground = Playground { config, scheduler, store_pages, places: Vec::new() };
        for addr in addrs {
            if let Err(error) = playground.open(&addr).await {
                let n = playground.places.len() + 1;
                playground.shutdown().await;
                return Err(format!("store {n}: {error}").into());
            }
        }
        // Those that were added in an earlier life.
        while playground.places.len() < MOST && playground.data(playground.places.len()).exists() {
            if let Err(error) = playground.open("127.0.0.1:0").await {
                let n = playground.places.len() + 1;
                playground.shutdown().await;
                return Err(format!("store {n}: {error}").into());
            }
        }
        Ok(playground)
    }

    fn data(&self, n: usize) -> PathBuf {
        self.config.data.join(format!("store-{}", n + 1))
    }

    /// Starts the next store.
    async fn open(&mut self, addr: &str) -> Result<u64, AnyError> {
        let settings = Settings {
            scheduler: self.scheduler.addr().to_string(),
            addr: addr.into(),
            cache_bytes: self.config.cache_bytes,
            links: self.config.links.clone(),
            ..Settings::new(self.data(self.places.len()))
        };
        let server = start_store(&settings, self.store_pages).await?;
        // Where it is now it will be again when it is started again.
        let (addr, status_addr) = (server.addr().to_string(), server.status_addr().to_string());
        let settings = Settings { addr, status_addr, ..settings };
        let slot = Slot { id: server.id(), state: State::Runs };
        self.places.push(Place { slot, settings, server: Some(server) });
        Ok(slot.id)
    }

    /// The scheduler.
    pub fn scheduler(&self) -> &Scheduler {
        &self.scheduler
    }

    /// The stores that run.
    pub fn stores(&self) -> impl Iterator<Item = &StoreServer> {
        self.places.iter().filter_map(|place| place.server.as_ref())
    }

    /// All stores.
    pub fn slots(&self) -> Vec<Slot> {
        self.places.iter().map(|place| place.slot).collect()
    }

    fn place(&mut self, id: u64) -> Result<&mut Place, String> {
        let place = self.places.iter_mut().find(|place| place.slot.id == id);
        place.ok_or_else(|| format!("there is no store {id}: `tinykv ctl store` shows all"))
    }

    /// Ends a store in order.
    ///
    /// # Errors
    /// There is none, or it does not run.
    pub async fn stop_store(&mut self, id: u64) -> Result<(), String> {
        let place = self.place(id)?;
        let server = place.server.take().ok_or_else(|| format!("store {id} does not run"))?;
        server.shutdown().await;
        place.slot.state = State::Stopped;
        Ok(())
    }

    /// Ends a store at once; see [`StoreServer::kill`].
    ///
    /// # Errors
    /// There is none, or it does not run.
    pub async fn kill_store(&mut self, id: u64) -> Result<(), String> {
        let place = self.place(id)?;
        let server = place.server.take().ok_or_else(|| format!("store {id} does not run"))?;
        server.kill().await;
        place.slot.state = State::Killed;
        Ok(())
    }

    /// Starts a store again, on its data and at its address.
    ///
    /// # Errors
    /// There is none, or it runs, or it cannot be started.
    pub async fn start_store(&mut self, id: u64) -> Result<(), String> {
        let pages = self.store_pages;
        let place = self.place(id)?;
        if place.server.is_some() {
            return Err(format!("store {id} runs"));
        }
        // Threads of its last life may still be closing its files.
        let deadline = Instant::now() + CLOSING;
        let server = loop {
            match start_store(&place.settings, pages).await {
                Ok(server) => break server,
                Err(error) if Instant::now() >= deadline => return Err(error.to_string()),
                Err(_) => sleep(CLOSING / 10).await,
            }
        };
        place.server = Some(server);
        place.slot.state = State::Runs;
        Ok(())
    }

    /// Adds an empty store, and says which.
    ///
    /// # Errors
    /// There are nine, or it cannot be started.
    pub async fn add_store(&mut self) -> Result<u64, String> {
        if self.places.len() >= MOST {
            return Err(format!("a playground has {MOST} stores at most"));
        }
        self.open("127.0.0.1:0").await.map_err(|error| error.to_string())
    }

    /// Completes when something has stopped by itself: a disk failed.
    ///
    /// # Errors
    /// Always; it says what.
    pub async fn ended(&mut self) -> Result<(), AnyError> {
        let running = self.places.iter_mut().filter_map(|place| {
            let id = place.slot.id;
            let server = place.server.as_mut()?;
            Some(Box::pin(async move { (id, server.ended().await) }))
        });
        let running: Vec<_> = running.collect();
        let store = async {
            if running.is_empty() {
                return std::future::pending().await;
            }
            select_all(running).await.0
        };
        tokio::select! {
            () = self.scheduler.ended() => Err("the scheduler's disk has failed: see the log".into()),
            (id, ended) = store => {
                let why = ended.err().map_or_else(|| "no reason".into(), |error| error.to_string());
                Err(format!("store {id} has stopped: {why}").into())
            }
        }
    }

    /// Ends in order, stores first.
    pub async fn shutdown(self) {
        join_all(
            self.places.into_iter().filter_map(|place| place.server).map(StoreServer::shutdown),
        )
        .await;
        self.scheduler.shutdown().await;
    }
}
