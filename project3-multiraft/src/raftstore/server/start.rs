//! A store's process, put together.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use prometheus::Registry;
use raftkv::RaftStorage;
use raftkv::observer::PeerObserver;
use raftkv::server::{
    self, Done, Fork, Input, KvWriter, Opened, REGION_QUEUE, StoreService, TICK, Transport,
    between_stores, draw, log_writer, worker,
};
use standalone::engine::Durability;
use standalone::server::Stop;
use standalone::server::net::Listener;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::codegen::{Service, http};

use super::commits::Commits;
use super::config::Settings;
use super::driver::{Counts, Driver, Inputs, Order};
use super::identity::identify;
use super::neighbours::Stores;
use super::reports::{Pd, Reports, live};
use super::status;
use crate::failpoints;
use crate::membership::Node;
use crate::raftstore::{Config, Job, Store};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Ticks between two heartbeats of a leader: 2 s.
const HEARTBEAT_TICKS: u64 = 40;

/// Ticks without work after which a region sleeps: 10 s.
const SLEEP_TICKS: u64 = 200;

/// What serves clients: any gRPC service.
pub trait Clients:
    Service<
        http::Request<Body>,
        Response = http::Response<Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
}

impl<S> Clients for S
where
    S: Service<http::Request<Body>, Response = http::Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send + 'static,
{
}

/// What a service for clients may be made of.
pub struct Handles {
    /// The replicated storage.
    pub storage: Arc<RaftStorage<Inputs>>,
    /// The way into the store's loop, for commands that are no batch of changes.
    pub inputs: Inputs,
    /// The scheduler.
    pub pd: Pd,
    /// Which store this is.
    pub store: u64,
    /// When to stop.
    pub stop: Stop,
    /// Where `/metrics` finds its numbers: who serves clients may add some.
    pub registry: Registry,
}

/// What is served to whom is no store.
pub struct Served<C> {
    /// The service for clients.
    pub clients: C,
    /// Pages beside `/status` and `/metrics`.
    pub pages: Router,
}

/// A store that runs.
pub struct StoreServer {
    id: u64,
    addr: SocketAddr,
    status_addr: SocketAddr,
    stop: Stop,
    serving: JoinSet<()>,
    inputs: Inputs,
    ended: oneshot::Receiver<raftkv::Result<()>>,
}

impl StoreServer {
    /// Finds the scheduler, opens the data, listens, and takes part. Clients may come as soon as it returns; `clients` makes
    /// what serves them, and `observers` learn of every peer that changes.
    ///
    /// # Errors
    /// The scheduler cannot be reached, the data cannot be opened, an address cannot be listened at; each says what to do.
    pub async fn start<C: Clients>(
        settings: &Settings,
        observers: Vec<Box<dyn PeerObserver>>,
        clients: impl FnOnce(Handles) -> Served<C>,
    ) -> Result<StoreServer, AnyError> {
        let listener = Listener::bind("addr", &settings.addr).await?;
        let pages = TcpListener::bind(&settings.status_addr).await.map_err(|e| {
            format!("`status-addr` is {}: cannot listen there: {e}", settings.status_addr)
        })?;
        let (addr, status_addr) = (listener.addr(), pages.local_addr()?);
        let pd = Pd::connect(&settings.scheduler).await?;
        let identity =
            identify(&settings.data, &addr.to_string(), &status_addr.to_string(), &pd).await?;

        let id = identity.store;
        let mut config = Config::new(id, pd.cluster());
        config.first_regions = identity.first;
        config.split_bytes = settings.split_bytes;
        config.gc.entries = settings.log_entries;
        config.heartbeat_ticks = HEARTBEAT_TICKS;
        config.sleep_ticks = SLEEP_TICKS;
        config.raft.seed = draw(id);
        config.raft.pre_vote = true;
        config.raft.check_quorum = true;
        config.raft.lease_read = settings.leases;
        config.tick = TICK;
        let (data, cache) = (&settings.data, settings.cache_bytes);
        let Opened { kv, log, mut store } = server::open(data, cache, |kv, log| {
            Store::open(kv, log.clone(), config.clone(), Node::new, 0)
        })?;
        for observer in observers {
            store.observe(observer);
        }

        let stop = Stop::new();
        let (inputs, incoming) = Inputs::new();
        let (done, dones) = mpsc::unbounded_channel();
        let (counts, counted) = watch::channel(Counts::default());
        let neighbours = Stores::new(id, pd.clone());
        let remember = neighbours.clone().remember(stop.clone());
        let metrics = status::Metrics::new(id)?;
        let log = Arc::new(status::Timed { log, took: metrics.append.clone() });
        let (scanned, measured) = (kv.clone(), metrics.clone());
        let (apply, flush) = (metrics.apply.clone(), metrics.flush.clone());
        let driver = Driver {
            store,
            kv: kv.clone(),
            jobs: 0,
            log: log_writer(log, done.clone())?,
            data: KvWriter::start(kv, done.clone(), move |took, durability| {
                apply.observe(took.as_secs_f64());
                if durability == Durability::Immediate {
                    flush.observe(took.as_secs_f64());
                    failpoints::reached("raft_between_save");
                }
            })?,
            region: worker("region worker", REGION_QUEUE, done, move |job: Box<Job>| {
                Done::Job(Driver::run(&job, &scanned, &measured))
            })?,
            transport: Transport::new(neighbours.clone(), inputs.clone()),
            reports: Reports::new(pd.clone(), inputs.clone()),
            metrics: metrics.clone(),
            commits: Commits::default(),
            counts,
            links: settings.links.clone(),
            ticks: 0,
        };
        let ended = server::spawn(driver, incoming, dones)?;

        let storage = Arc::new(RaftStorage::new(inputs.clone()));
        let handles = Handles {
            storage,
            inputs: inputs.clone(),
            pd: pd.clone(),
            store: id,
            stop: stop.clone(),
            registry: metrics.registry().clone(),
        };
        let Served { clients, pages: more } = clients(handles);
        let stores = StoreService::new(neighbours, inputs.clone(), stop.clone()).into_server();
        let all = Fork { takes: between_stores, first: stores, second: clients };
        let mut serving = JoinSet::new();
        serving.spawn(listener.serve(all, stop.clone()));
        serving.spawn(inputs.clone().tick(stop.clone()));
        let (data, counted_too) = (settings.data.clone(), counted.clone());
        serving.spawn(live(pd, id, data, counted_too, stop.clone()));
        serving.spawn(remember);
        let router = status::router(metrics, counted).merge(more);
        let stopped = stop.clone().thrown();
        serving.spawn(async move {
            let served = axum::serve(pages, router).with_graceful_shutdown(stopped).await;
            if let Err(error) = served {
                tracing::error!(%error, "the status pages are gone");
            }
        });
        tracing::info!(%addr, %status_addr, id, data = %settings.data.display(), "serving");
        Ok(StoreServer { id, addr, status_addr, stop, serving, inputs, ended })
    }

    /// Which store this is.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// Where clients and other stores reach it.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Where people and Prometheus do.
    pub fn status_addr(&self) -> SocketAddr {
        self.status_addr
    }

    /// Completes when the store has stopped by itself: its disk failed.
    ///
    /// # Errors
    /// Why.
    pub async fn ended(&mut self) -> Result<(), AnyError> {
        match (&mut self.ended).await {
            Ok(ended) => Ok(ended?),
            Err(_) => Err("the loop has panicked".into()),
        }
    }

    /// Ends at once, as if its process had died: connections break, and nobody is told anything. (The files are closed
    /// all the same. A death that loses what was not synced takes a process of its own.)
    pub async fn kill(mut self) {
        self.inputs.put(Input::Word(Order::Die)).await;
        // It says that it was killed.
        let _ = self.ended.await;
        // Streams and connections look at this. Nobody is left to answer what is under way.
        self.stop.now();
        self.serving.shutdown().await;
        tracing::info!(id = self.id, "killed");
    }

    /// Ends in order: calls that were accepted are answered first.
    pub async fn shutdown(mut self) {
        self.stop.now();
        while self.serving.join_next().await.is_some() {}
        self.inputs.put(Input::Stop).await;
        // It may have ended before, or with an error that was told already.
        let _ = self.ended.await;
        tracing::info!(id = self.id, "stopped");
    }
}
