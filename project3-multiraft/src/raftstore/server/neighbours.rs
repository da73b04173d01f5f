//! Other stores of the cluster: where they are, the scheduler says; and who comes names its cluster.
//!
//! What it said last is remembered, about all stores. Two members that never talked, since both followed the third, must
//! find each other when that one dies, also while the scheduler is away: without an address there is no vote. It is not
//! written down. A store that starts needs the scheduler anyway, to say where it is itself, and asks at once.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::pdpb::{GetAllStoresRequest, GetStoreRequest};
use raftkv::server::{Neighbours, number};
use standalone::server::Stop;
use tokio::time::timeout;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::driver::Order;
use super::reports::{Pd, refused};

/// How often the scheduler is asked about all stores, and how long an answer may take.
const EVERY: Duration = Duration::from_secs(2);
const PATIENCE: Duration = Duration::from_secs(1);

const STORE: &str = "multiraft-store";
const CLUSTER: &str = "multiraft-cluster";

/// The stores of one cluster. Ids of stores are given once, to one disk: nobody is asked for a disk's number here.
#[derive(Clone)]
pub(super) struct Stores {
    me: u64,
    pd: Pd,
    // A lock because each connection has a task; held for one operation of the map.
    known: Arc<Mutex<BTreeMap<u64, String>>>,
}

impl Stores {
    /// All but this one, as this scheduler knows them.
    pub(super) fn new(me: u64, pd: Pd) -> Self {
        Stores { me, pd, known: Arc::default() }
    }

    fn known(&self) -> MutexGuard<'_, BTreeMap<u64, String>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Remembers where all stores are, until this one ends.
    pub(super) async fn remember(self, stop: Stop) {
        let mut beats = stop.beats(EVERY);
        while beats.wait().await {
            let ask = GetAllStoresRequest { header: Some(self.pd.header()), ..Default::default() };
            let Ok(Ok(answer)) = timeout(PATIENCE, self.pd.client().get_all_stores(ask)).await
            else {
                continue;
            };
            let answer = answer.into_inner();
            if refused(answer.header.as_ref()).is_none() {
                let stores = answer.stores.into_iter();
                *self.known() = stores.map(|store| (store.id, store.address)).collect();
            }
        }
    }

    /// Where a store is now, as the scheduler says.
    async fn ask(&self, store: u64) -> Result<Option<String>, Status> {
        let request = GetStoreRequest { header: Some(self.pd.header()), store_id: store };
        let late = |_| Status::deadline_exceeded("the scheduler does not answer");
        let mut client = self.pd.client();
        let answer = timeout(PATIENCE, client.get_store(request)).await.map_err(late)??;
        Ok(answer.into_inner().store.map(|store| store.address))
    }
}

impl Neighbours for Stores {
    type Word = Order;

    async fn address_of(&self, store: u64) -> Result<String, Status> {
        let address = match self.ask(store).await {
            Ok(address) => address,
            // It may have moved since: then nobody is there, or another store, which does not take this one's messages.
            Err(away) => Some(self.known().get(&store).cloned().ok_or(away)?),
        };
        let address = address.filter(|known| !known.is_empty());
        address.ok_or_else(|| Status::not_found("the scheduler does not know where it is"))
    }

    fn introduce(&self, metadata: &mut MetadataMap) {
        metadata.insert(STORE, self.me.into());
        metadata.insert(CLUSTER, self.pd.cluster().into());
    }

    async fn admit(&self, metadata: &MetadataMap) -> Result<u64, Status> {
        let (Some(store), Some(cluster)) = (number(metadata, STORE), number(metadata, CLUSTER))
        else {
            let why = "a store must say who it is, and of which cluster";
            return Err(Status::unauthenticated(why));
        };
        let own = self.pd.cluster();
        if cluster == own {
            return Ok(store);
        }
        Err(Status::failed_precondition(format!(
            "this store belongs to cluster {own}, and store {store} to cluster {cluster}"
        )))
    }
}
