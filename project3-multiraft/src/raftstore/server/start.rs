//! A store's process, put together.

use std::convert::Infallible;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use proto::tikvpb::tikv_server::TikvServer;
use raftkv::RaftStorage;
use raftkv::log_store::{LogStore, RedbLog, WalLog};
use raftkv::observer::PeerObserver;
use standalone::engine::{CF_DEFAULT, Engine, Options};
use standalone::server::Stop;
use standalone::server::net::Listener;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};

use super::config::Settings;
use super::driver::{Counts, Driver, Input, Inputs, TICK};
use super::identity::identify;
use super::reports::{Pd, Reports, live};
use super::service::{BETWEEN_STORES, Introduction, StoreService};
use super::transport::Transport;
use super::{status, workers};
use crate::membership::Node;
use crate::raftstore::{Config, Store};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// The length of the log's journal.
const JOURNAL_BYTES: usize = 16 << 20;

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
        clients: impl FnOnce(Handles) -> C,
    ) -> Result<StoreServer, AnyError> {
        let listener = Listener::bind("addr", &settings.addr).await?;
        let pages = TcpListener::bind(&settings.status_addr).await.map_err(|e| {
            format!("`status-addr` is {}: cannot listen there: {e}", settings.status_addr)
        })?;
        let (addr, status_addr) = (listener.addr(), pages.local_addr()?);
        let pd = Pd::connect(&settings.scheduler).await?;
        let identity = identify(&settings.data, &addr.to_string(), &pd).await?;

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
        let (kv, log, mut store) = open(&settings.data, settings.cache_bytes, &config)?;
        for observer in observers {
            store.observe(observer);
        }

        let stop = Stop::new();
        let (inputs, incoming) = Inputs::new();
        let (done, dones) = mpsc::unbounded_channel();
        let (counts, counted) = watch::channel(Counts::default());
        let me = Introduction { store: id, cluster: pd.cluster() };
        let metrics = status::Metrics::new(id)?;
        let driver = Driver {
            store,
            kv: kv.clone(),
            log: workers::log_writer(log, metrics.append.clone(), done.clone())?,
            region: workers::region_worker(kv, done)?,
            transport: Transport::new(me, pd.clone(), inputs.clone()),
            reports: Reports::new(pd.clone(), inputs.clone()),
            metrics: metrics.clone(),
            counts,
            // The edge: from here on time is told to the store, as what has passed since.
            began: Instant::now(),
            ticks: 0,
        };
        let ended = driver.spawn(incoming, dones)?;

        let storage = Arc::new(RaftStorage::new(inputs.clone()));
        let handles = Handles {
            storage,
            inputs: inputs.clone(),
            pd: pd.clone(),
            store: id,
            stop: stop.clone(),
        };
        let both = Both {
            stores: StoreService::new(me, inputs.clone(), stop.clone()).into_server(),
            clients: clients(handles),
        };
        let mut serving = JoinSet::new();
        serving.spawn(listener.serve(both, stop.clone()));
        serving.spawn(ticks(inputs.clone(), stop.clone()));
        let (data, counted_too) = (settings.data.clone(), counted.clone());
        serving.spawn(live(pd, id, data, counted_too, stop.clone()));
        let (router, stopped) = (status::router(metrics, counted), stop.clone().thrown());
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

async fn ticks(inputs: Inputs, stop: Stop) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let stopped = stop.thrown();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            _ = interval.tick() => inputs.tick(),
        }
    }
}

/// A number for the election timeouts: the time, mixed with who asks. Nobody attacks it.
fn draw(id: u64) -> u64 {
    // The edge: the core gets the number as its seed.
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    (nanos ^ (u64::from(std::process::id()) << 32) ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

type Opened = (Engine, Arc<dyn LogStore>, Store);

/// Opens the store in `data`. A new one is made in a directory of another name, which is renamed when it is whole: a
/// crash in the middle of the first start leaves nothing that looks like a store.
fn open(data: &Path, cache_bytes: usize, config: &Config) -> Result<Opened, AnyError> {
    let (whole, making) = (data.join("store"), data.join("store.new"));
    if !whole.exists() {
        if making.exists() {
            fs::remove_dir_all(&making)?;
        }
        drop(open_in(&making, cache_bytes, config)?);
        fs::rename(&making, &whole)?;
        #[cfg(unix)]
        fs::File::open(data)?.sync_all()?;
    }
    open_in(&whole, cache_bytes, config)
}

fn open_in(dir: &Path, cache_bytes: usize, config: &Config) -> Result<Opened, AnyError> {
    let options = Options { cache_bytes, ..Options::default() };
    let kv = Engine::open(dir, "kv.redb", &options)?;
    let options = Options { cfs: vec![CF_DEFAULT], cache_bytes: 16 << 20, ..Options::default() };
    let table = RedbLog::new(Engine::open(dir, "raft.redb", &options)?);
    let journal = fs::File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join("raft.wal"))?;
    let journal = redb::backends::FileBackend::new(journal)?;
    let log: Arc<dyn LogStore> = Arc::new(WalLog::open(table, journal, JOURNAL_BYTES)?);
    let store = Store::open(&kv, log.clone(), config.clone(), Node::new, 0)?;
    Ok((kv, log, store))
}

/// What stores say to each other, and what clients ask, on one address.
#[derive(Clone)]
struct Both<C> {
    stores: TikvServer<StoreService>,
    clients: C,
}

impl<C: Clients> Service<http::Request<Body>> for Both<C> {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.clients.poll_ready(context)
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if BETWEEN_STORES.contains(&request.uri().path()) {
            self.stores.call(request)
        } else {
            Box::pin(self.clients.call(request))
        }
    }
}
