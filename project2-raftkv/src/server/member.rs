//! One member of the group, put together.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use proto::pdpb::pd_server::PdServer;
use proto::tikvpb::tikv_server::TikvServer;
use standalone::engine::{CF_DEFAULT, Engine, Options};
use standalone::latches::Latches;
use standalone::raw::RawApi;
use standalone::server::net::Listener;
use standalone::server::{Stop, SystemClock, TikvService};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tonic::body::Body;
use tonic::codegen::{BoxFuture, Service, http};

use super::driver::{Driver, Input, Inputs, TICK, micros};
use super::pd::{Facade, PeerTopology, Told};
use super::service::{Introduction, RaftService};
use super::transport::Transport;
use super::workers;
use crate::error::Error;
use crate::log_store::{LogStore, RedbLog, WalLog};
use crate::{RaftStorage, Result, Store, store};

/// The length of the log's journal.
const JOURNAL_BYTES: usize = 16 << 20;

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
    inputs: Inputs,
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
        setup.tick = micros(TICK);
        setup.raft.pre_vote = config.pre_vote;
        setup.raft.check_quorum = config.check_quorum;
        setup.raft.lease_read = config.lease_read;
        let Opened { kv, log, mut store } = open(&config.data, config.cache_bytes, &setup)?;

        let (views, watched) = watch::channel(None);
        store.observe(Box::new(Told(views)));
        let (inputs, incoming) = Inputs::new();
        let (done, dones) = mpsc::unbounded_channel();
        let me = Introduction { store: config.id, disk: store.disk() };
        let others: BTreeMap<u64, String> = config
            .peers
            .iter()
            .filter(|(id, _)| **id != config.id)
            .map(|(&id, address)| (id, address.clone()))
            .collect();
        let driver = Driver {
            store,
            kv: kv.clone(),
            log: workers::log_writer(log, done.clone())?,
            data: workers::kv_writer(kv.clone(), done.clone())?,
            region: workers::region_worker(kv, done)?,
            transport: Transport::new(others.clone(), me, inputs.clone()),
            others: others.into_keys().collect(),
            began: Instant::now(),
        };
        let ended = driver.spawn(incoming, dones)?;

        let stop = Stop::new();
        let topology = PeerTopology {
            cluster: store::group_id(&config.peers.keys().copied().collect::<Vec<_>>()),
            addresses: Arc::new(config.peers.clone()),
            me: config.id,
            views: watched,
        };
        let pd = PdServer::new(Facade::new(topology, inputs.clone(), stop.clone()));
        let storage = Arc::new(RaftStorage::new(inputs.clone()));
        let raw = TikvService::new(RawApi::new(storage, Latches::new(), Arc::new(SystemClock)));
        let tikv = RaftService::new(raw, inputs.clone(), stop.clone()).into_server();

        let mut serving = JoinSet::new();
        serving.spawn(listener.serve(Both { tikv, pd: pd.clone() }, stop.clone()));
        if let Some(extra) = extra {
            serving.spawn(extra.serve(pd, stop.clone()));
        }
        serving.spawn(ticks(inputs.clone(), stop.clone()));
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

async fn ticks(inputs: Inputs, stop: Stop) {
    let mut interval = tokio::time::interval(TICK);
    interval.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    let stopped = stop.thrown();
    tokio::pin!(stopped);
    loop {
        tokio::select! {
            () = &mut stopped => return,
            _ = interval.tick() => inputs.tick(),
        }
    }
}

/// A number that no other disk has: the time, mixed with who asks. Nobody attacks it.
fn draw(id: u64) -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    (nanos ^ (u64::from(std::process::id()) << 32) ^ id).wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

struct Opened {
    kv: Engine,
    log: Arc<dyn LogStore>,
    store: Store,
}

/// Opens the store in `data`. A new one is made in a directory of another name, which is renamed when it is whole: a
/// crash in the middle of the first start leaves nothing that looks like a store.
fn open(data: &Path, cache_bytes: usize, setup: &store::Config) -> Result<Opened> {
    let failed = |e: std::io::Error| Error::System {
        doing: "prepare the data directory",
        what: e.to_string(),
    };
    let (whole, making) = (data.join("store"), data.join("store.new"));
    if !whole.exists() {
        if making.exists() {
            fs::remove_dir_all(&making).map_err(failed)?;
        }
        drop(open_in(&making, cache_bytes, setup)?);
        fs::rename(&making, &whole).map_err(failed)?;
        #[cfg(unix)]
        fs::File::open(data).and_then(|dir| dir.sync_all()).map_err(failed)?;
    }
    open_in(&whole, cache_bytes, setup)
}

fn open_in(dir: &Path, cache_bytes: usize, setup: &store::Config) -> Result<Opened> {
    let options = Options { cache_bytes, ..Options::default() };
    let kv = Engine::open(dir, "kv.redb", &options)?;
    let options = Options { cfs: vec![CF_DEFAULT], cache_bytes: 16 << 20, ..Options::default() };
    let table = RedbLog::new(Engine::open(dir, "raft.redb", &options)?);
    let failed = |what: String| Error::System { doing: "open the log's journal", what };
    let journal = fs::File::options()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(dir.join("raft.wal"))
        .map_err(|e| failed(e.to_string()))?;
    let journal = redb::backends::FileBackend::new(journal).map_err(|e| failed(e.to_string()))?;
    let log: Arc<dyn LogStore> = Arc::new(WalLog::open(table, journal, JOURNAL_BYTES)?);
    let store = Store::open(kv.clone(), log.clone(), setup.clone(), 0)?;
    Ok(Opened { kv, log, store })
}

/// Two services on one address.
#[derive(Clone)]
struct Both {
    tikv: TikvServer<RaftService>,
    pd: PdServer<Facade>,
}

impl Service<http::Request<Body>> for Both {
    type Response = http::Response<Body>;
    type Error = std::convert::Infallible;
    type Future = BoxFuture<Self::Response, Self::Error>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        // Both always are.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        if request.uri().path().starts_with("/pdpb.PD/") {
            self.pd.call(request)
        } else {
            self.tikv.call(request)
        }
    }
}
