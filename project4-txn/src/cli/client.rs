//! A small client: knows which store leads which region, and asks again where that helps.
//!
//! The map is a cache. It is filled from PD, mended by a store that names another leader, and otherwise forgotten where it
//! was wrong: the next question fills it again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::errorpb;
use proto::kvrpcpb::Context;
use proto::metapb::{Peer, Region};
use proto::tikvpb::tikv_client::TikvClient;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use txn::TimeStamp;
use txn::client::{Request, Response};

use super::calls::{self, Call};
use super::pd::{Scheduler, said};
use super::tso::Tso;
use crate::AnyError;

/// How long one goes on asking.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two attempts: the first pause, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(2), Duration::from_millis(200));

/// Connections to each store. HTTP/2 needs one, but a single one is a single task's work on either side.
const CONNECTIONS: usize = 4;

/// A client.
pub struct Client {
    pd: Scheduler,
    tso: Tso,
    // Locks because many tasks share these; held for a few operations, never across a wait.
    /// What goes on behind the users' backs.
    behind: Mutex<JoinSet<()>>,
    map: Mutex<Map>,
}

#[derive(Default)]
struct Map {
    /// By their first position. They may overlap when one of them is old: the one that begins last is asked.
    regions: BTreeMap<Vec<u8>, Route>,
    addresses: BTreeMap<u64, String>,
    doors: BTreeMap<String, Door>,
}

/// A region, and who leads it as far as we know.
#[derive(Clone)]
struct Route {
    region: Region,
    leader: Peer,
}

/// The connections to a store, taken in turn.
struct Door {
    connections: Vec<TikvClient<Channel>>,
    next: usize,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// Asked for as long as it makes sense. It may have happened.
    #[error("gave up after {} s; the last answer: {_0}. `tinykv ctl store` and `region` show what PD knows", PATIENCE.as_secs())]
    GaveUp(String),
    /// It did not happen, and asking again would not help.
    #[error("{0}")]
    Refused(String),
}

/// What became of one attempt.
enum Attempt {
    /// The store knows better: ask there, at once.
    Elsewhere,
    /// Ask again a little later.
    Later(String),
    Refused(String),
}

impl Client {
    /// Finds the cluster.
    ///
    /// # Errors
    /// There is no PD at this address, in words.
    pub async fn connect(address: &str) -> Result<Client, AnyError> {
        let pd = Scheduler::connect(address).await?;
        let tso = Tso::new(pd.line().clone());
        Ok(Client { pd, tso, behind: Mutex::default(), map: Mutex::default() })
    }

    /// Does something that nobody waits for.
    pub fn behind(&self, work: impl Future<Output = ()> + Send + 'static) {
        let mut behind = self.behind.lock().unwrap_or_else(PoisonError::into_inner);
        // What is done leaves room.
        while behind.try_join_next().is_some() {}
        behind.spawn(work);
    }

    /// Waits until all of that is done: before the process ends.
    pub async fn settled(&self) {
        let behind =
            std::mem::take(&mut *self.behind.lock().unwrap_or_else(PoisonError::into_inner));
        behind.join_all().await;
    }

    /// Who knows where everything is.
    pub fn pd(&self) -> &Scheduler {
        &self.pd
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        // Nothing below panics while it holds the lock.
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A timestamp that is larger than all that were handed out before this was called.
    ///
    /// # Errors
    /// [`Failed::GaveUp`]: PD does not answer.
    pub async fn timestamp(&self) -> Result<TimeStamp, Failed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.timestamp_once().await {
                Ok(ts) => return Ok(ts),
                Err(why) if Instant::now() >= deadline => return Err(Failed::GaveUp(why)),
                Err(_) => sleep(PAUSE.1).await,
            }
        }
    }

    /// The same, asked for once.
    ///
    /// # Errors
    /// PD does not answer.
    pub async fn timestamp_once(&self) -> Result<TimeStamp, String> {
        self.tso
            .get()
            .await
            .ok_or_else(|| format!("PD at {} gives no timestamp", self.pd.address()))
    }

    /// Asks the leader of the region at this position; again, where that helps.
    ///
    /// # Errors
    /// See [`Failed`].
    pub async fn ask<C: Call>(&self, position: &[u8], call: C) -> Result<C::Answer, Failed> {
        Ok(self.ask_region(position, call).await?.0)
    }

    /// The same, with the region that answered: what is asked for may go on behind its end.
    ///
    /// # Errors
    /// See [`Failed`].
    pub async fn ask_region<C: Call>(
        &self,
        position: &[u8],
        call: C,
    ) -> Result<(C::Answer, Region), Failed> {
        let mut patience = Patience::new();
        loop {
            match self.ask_once(position, call.clone()).await {
                Ok(answered) => return Ok(answered),
                Err(again) => again.wait(&mut patience).await?,
            }
        }
    }

    /// Asks once.
    ///
    /// # Errors
    /// What to do next: see [`Again::wait`].
    pub async fn ask_once<C: Call>(
        &self,
        position: &[u8],
        call: C,
    ) -> Result<(C::Answer, Region), Again> {
        let route = self.route(position).await.map_err(Again)?;
        let (store, address) = self.store(route.leader.store_id).await.map_err(Again)?;
        let context = Context {
            region_id: route.region.id,
            region_epoch: route.region.region_epoch,
            peer: Some(route.leader),
            ..Default::default()
        };
        match call.send(store, context).await {
            Ok(answer) => match C::region_error(&answer) {
                None => Ok((answer, route.region)),
                Some(error) => Err(Again(self.learn(route.region.id, route.leader, error))),
            },
            Err(status) => {
                self.forget(route.region.id);
                Err(Again(judged(&status, &address)))
            }
        }
    }

    /// The region of a position, and who leads it, as far as anybody knows.
    ///
    /// # Errors
    /// Nobody does.
    pub async fn region(&self, position: &[u8]) -> Result<(Region, Peer), String> {
        match self.route(position).await {
            Ok(Route { region, leader }) => Ok((region, leader)),
            Err(attempt) => Err(attempt.why()),
        }
    }

    /// Sends a request of a transaction's to a store, once. What the store says about the region is noted here, and may
    /// be all that the response has.
    ///
    /// # Errors
    /// There is no answer. It may have happened.
    pub async fn deliver(&self, store: u64, request: Request) -> Result<Response, String> {
        let context = request.context();
        let (region, peer) = (context.region_id, context.peer.unwrap_or_default());
        let (door, address) = self.store(store).await.map_err(Attempt::why)?;
        match calls::deliver(request, door).await {
            Ok(response) => {
                if let Some(error) = response.region_error() {
                    self.learn(region, peer, error);
                }
                Ok(response)
            }
            Err(status) => {
                self.forget(region);
                Err(judged(&status, &address).why())
            }
        }
    }

    /// The region of a position.
    async fn route(&self, position: &[u8]) -> Result<Route, Attempt> {
        let known = self.map().route(position);
        if let Some(route) = known {
            return Ok(route);
        }
        let found = self.pd.region_at(position).await.map_err(Attempt::Later)?;
        let (Some(region), Some(leader)) = (found.region, found.leader) else {
            let text = format!("PD at {} knows no leader for the key's region", self.pd.address());
            return Err(Attempt::Later(text));
        };
        let route = Route { region, leader };
        self.map().regions.insert(route.region.start_key.to_vec(), route.clone());
        Ok(route)
    }

    /// A line to a store, and where it is.
    async fn store(&self, id: u64) -> Result<(TikvClient<Channel>, String), Attempt> {
        if !self.map().addresses.contains_key(&id) {
            let stores = self.pd.stores().await.map_err(Attempt::Later)?;
            self.map().addresses = stores.into_iter().map(|s| (s.id, s.address)).collect();
        }
        let mut map = self.map();
        let address = map.addresses.get(&id).cloned();
        let address = address.ok_or_else(|| Attempt::Later(format!("nobody knows store {id}")))?;
        let store = map.connection(&address).map_err(Attempt::Refused)?;
        Ok((store, format!("store {id} at {address}")))
    }

    /// What a store says about the region that this peer of it was asked about.
    fn learn(&self, region: u64, asked: Peer, error: &errorpb::Error) -> Attempt {
        if let Some(leader) = error.not_leader.as_ref().and_then(|not| not.leader)
            && leader.id != asked.id
        {
            if let Some(route) = self.map().regions.values_mut().find(|r| r.region.id == region) {
                route.leader = leader;
            }
            return Attempt::Elsewhere;
        }
        self.forget(region);
        Attempt::Later(error.message.clone())
    }

    /// The region is not what it was, or its store is away, or somewhere else.
    fn forget(&self, region: u64) {
        let mut map = self.map();
        let Map { regions, addresses, .. } = &mut *map;
        regions.retain(|_, route| {
            let stays = route.region.id != region;
            if !stays {
                addresses.remove(&route.leader.store_id);
            }
            stays
        });
    }

    /// Sorts keys by the region that has them now, so that each region can be asked for its part. A part has at most
    /// `most` bytes, or one key.
    ///
    /// # Errors
    /// PD's.
    pub async fn parts<K>(
        &self,
        keys: impl IntoIterator<Item = (Vec<u8>, K, usize)>,
        most: usize,
    ) -> Result<Vec<(Vec<u8>, Vec<K>)>, Failed> {
        let mut parts: Vec<(Vec<u8>, Vec<K>)> = Vec::new();
        let mut last: Option<(u64, usize)> = None;
        for (position, key, bytes) in keys {
            let mut patience = Patience::new();
            let region = loop {
                match self.route(&position).await {
                    Ok(route) => break route.region.id,
                    Err(attempt) => Again(attempt).wait(&mut patience).await?,
                }
            };
            match (&mut last, parts.last_mut()) {
                (Some((same, held)), Some((_, part)))
                    if *same == region && *held + bytes <= most =>
                {
                    *held += bytes;
                    part.push(key);
                }
                _ => {
                    last = Some((region, bytes));
                    parts.push((position, vec![key]));
                }
            }
        }
        Ok(parts)
    }
}

/// An attempt that brought no answer.
pub struct Again(Attempt);

impl Again {
    /// Waits until it makes sense to ask again.
    ///
    /// # Errors
    /// It makes none any more.
    pub async fn wait(self, patience: &mut Patience) -> Result<(), Failed> {
        match &self.0 {
            Attempt::Refused(why) => return Err(Failed::Refused(why.clone())),
            Attempt::Elsewhere => {}
            Attempt::Later(_) => {
                sleep(patience.pause).await;
                patience.pause = (patience.pause * 2).min(PAUSE.1);
            }
        }
        if Instant::now() >= patience.deadline { Err(Failed::GaveUp(self.0.why())) } else { Ok(()) }
    }
}

impl Attempt {
    fn why(self) -> String {
        match self {
            Attempt::Elsewhere => "the leader moves".into(),
            Attempt::Later(why) | Attempt::Refused(why) => why,
        }
    }
}

/// What is left of it.
pub struct Patience {
    deadline: Instant,
    pause: Duration,
}

impl Patience {
    /// All of it.
    pub fn new() -> Patience {
        Patience { deadline: Instant::now() + PATIENCE, pause: PAUSE.0 }
    }
}

impl Map {
    fn route(&self, position: &[u8]) -> Option<Route> {
        let (_, route) = self.regions.range(..=position.to_vec()).next_back()?;
        let end = &route.region.end_key;
        (end.is_empty() || position < &end[..]).then(|| route.clone())
    }

    fn connection(&mut self, address: &str) -> Result<TikvClient<Channel>, String> {
        if !self.doors.contains_key(address) {
            let endpoint = Endpoint::from_shared(format!("http://{address}"))
                .map_err(|e| format!("a store's address is {address}: {e}"))?
                .connect_timeout(Duration::from_secs(1))
                .timeout(Duration::from_secs(5))
                .tcp_nodelay(true);
            let connect = || TikvClient::new(endpoint.connect_lazy());
            let connections = (0..CONNECTIONS).map(|_| connect()).collect();
            self.doors.insert(address.to_owned(), Door { connections, next: 0 });
        }
        let door = self.doors.get_mut(address).ok_or("it was just put there")?;
        door.next = (door.next + 1) % CONNECTIONS;
        Ok(door.connections[door.next].clone())
    }
}

/// A broken line says nothing about the question; the rest of the statuses do.
fn judged(status: &Status, who: &str) -> Attempt {
    let why = format!("{who}: {}", said(status));
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
            Attempt::Later(why)
        }
        _ => Attempt::Refused(why),
    }
}
