//! A small client: knows which store leads which region, and asks again where that helps.
//!
//! The map is a cache. It is filled from PD, mended by a store that names another leader, and otherwise forgotten where it
//! was wrong: the next question fills it again.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use multiraft::raftstore::server::Pd;
use proto::errorpb;
use proto::kvrpcpb::Context;
use proto::metapb::{Peer, Region, Store};
use proto::pdpb::{GetAllStoresRequest, GetRegionByIdRequest, GetRegionRequest, GetRegionResponse};
use proto::tikvpb::tikv_client::TikvClient;
use tokio::time::{Instant, sleep, timeout};
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use txn::TimeStamp;

use super::calls::Call;
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
    pd: Pd,
    tso: Tso,
    // A lock because many tasks share the map; held for a few map operations, never across a wait.
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
    #[error("gave up after {} s; the last answer: {_0}", PATIENCE.as_secs())]
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
    /// Nobody answers there.
    pub async fn connect(pd: &str) -> Result<Client, AnyError> {
        let connecting = timeout(Duration::from_secs(3), Pd::connect(pd));
        let late = || {
            format!(
                "`--pd` is {pd}: nobody answers there. Start a cluster (`cargo playground`), or name its PD with --pd"
            )
        };
        let pd = connecting.await.map_err(|_| late())??;
        Ok(Client { tso: Tso::new(pd.clone()), pd, map: Mutex::default() })
    }

    fn map(&self) -> MutexGuard<'_, Map> {
        // Nothing below panics while it holds the lock.
        self.map.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A timestamp that is larger than all that were handed out before this was called.
    ///
    /// # Errors
    /// [`Failed::GaveUp`]: the scheduler does not answer.
    pub async fn timestamp(&self) -> Result<TimeStamp, Failed> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(ts) = self.tso.get().await {
                return Ok(ts);
            }
            if Instant::now() >= deadline {
                return Err(Failed::GaveUp("the scheduler gives no timestamp".into()));
            }
            sleep(PAUSE.1).await;
        }
    }

    /// The region at a position, as PD knows it.
    ///
    /// # Errors
    /// The line's.
    pub async fn region_at(&self, position: &[u8]) -> Result<GetRegionResponse, Status> {
        let region_key = position.to_vec().into();
        let ask =
            GetRegionRequest { header: Some(self.pd.header()), region_key, ..Default::default() };
        Ok(self.pd.client().get_region(ask).await?.into_inner())
    }

    /// A region by its id.
    ///
    /// # Errors
    /// The line's.
    pub async fn region_by_id(&self, region_id: u64) -> Result<GetRegionResponse, Status> {
        let header = Some(self.pd.header());
        let ask = GetRegionByIdRequest { header, region_id, ..Default::default() };
        Ok(self.pd.client().get_region_by_id(ask).await?.into_inner())
    }

    /// All stores.
    ///
    /// # Errors
    /// The line's.
    pub async fn stores(&self) -> Result<Vec<Store>, Status> {
        let ask = GetAllStoresRequest { header: Some(self.pd.header()), ..Default::default() };
        Ok(self.pd.client().get_all_stores(ask).await?.into_inner().stores)
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
        let (route, store) = self.route(position).await.map_err(Again)?;
        let context = Context {
            region_id: route.region.id,
            region_epoch: route.region.region_epoch,
            peer: Some(route.leader),
            ..Default::default()
        };
        match call.send(store, context).await {
            Ok(answer) => match C::region_error(&answer) {
                None => Ok((answer, route.region)),
                Some(error) => Err(Again(self.learn(&route, error))),
            },
            Err(status) => {
                self.forget(&route.region);
                Err(Again(judged(&status)))
            }
        }
    }

    /// Where to ask about a position.
    async fn route(&self, position: &[u8]) -> Result<(Route, TikvClient<Channel>), Attempt> {
        let known = self.map().route(position);
        let route = if let Some(route) = known {
            route
        } else {
            let found = self.region_at(position).await.map_err(|status| judged(&status))?;
            let (Some(region), Some(leader)) = (found.region, found.leader) else {
                let text = "the scheduler knows no leader for the key's region";
                return Err(Attempt::Later(text.into()));
            };
            let route = Route { region, leader };
            self.map().regions.insert(route.region.start_key.to_vec(), route.clone());
            route
        };
        let id = route.leader.store_id;
        if !self.map().addresses.contains_key(&id) {
            let stores = self.stores().await.map_err(|status| judged(&status))?;
            self.map().addresses = stores.into_iter().map(|s| (s.id, s.address)).collect();
        }
        let mut map = self.map();
        let address = map.addresses.get(&id).cloned();
        let address = address.ok_or_else(|| Attempt::Later(format!("nobody knows store {id}")))?;
        let store = map.connection(&address).map_err(Attempt::Refused)?;
        Ok((route, store))
    }

    /// What a store says about the region that it was asked about.
    fn learn(&self, route: &Route, error: &errorpb::Error) -> Attempt {
        if let Some(leader) = error.not_leader.as_ref().and_then(|not| not.leader)
            && leader.id != route.leader.id
        {
            let new = Route { leader, ..route.clone() };
            self.map().regions.insert(route.region.start_key.to_vec(), new);
            return Attempt::Elsewhere;
        }
        self.forget(&route.region);
        Attempt::Later(error.message.clone())
    }

    /// The region is not what it was, or its store is away, or somewhere else.
    fn forget(&self, region: &Region) {
        let mut map = self.map();
        if let Some(route) = map.regions.remove(&region.start_key[..]) {
            map.addresses.remove(&route.leader.store_id);
        }
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
                    Ok((route, _)) => break route.region.id,
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
        let why = match self.0 {
            Attempt::Refused(why) => return Err(Failed::Refused(why)),
            Attempt::Elsewhere => "the leader moves".to_owned(),
            Attempt::Later(why) => {
                sleep(patience.pause).await;
                patience.pause = (patience.pause * 2).min(PAUSE.1);
                why
            }
        };
        if Instant::now() >= patience.deadline { Err(Failed::GaveUp(why)) } else { Ok(()) }
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
fn judged(status: &Status) -> Attempt {
    let why = status.message().to_owned();
    match status.code() {
        Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled | Code::Unknown => {
            Attempt::Later(why)
        }
        _ => Attempt::Refused(why),
    }
}
