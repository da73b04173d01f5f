//! A store of a cluster, with the transactional calls.

use std::sync::Arc;

use axum::Router;
use multiraft::raftstore::server::{Clients, Handles, Served, Settings, StoreServer};
use standalone::latches::Latches;
use standalone::raw::RawApi;
use standalone::server::{SystemClock, TikvService};

use super::elsewhere::AllRegions;
use super::leaderships::Leaderships;
use super::measured::Measured;
use super::regions::Regions;
use super::{TokioTimer, TxnService, Watch, gc, horizon};
use crate::{Concurrency, TxnApi};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Starts a store of a cluster: project 3's, which serves raw and transactional calls, and `pages` beside its status.
///
/// # Errors
/// Those of [`StoreServer::start`].
pub async fn start_store(
    settings: &Settings,
    pages: impl FnOnce(Watch) -> Router,
) -> Result<StoreServer, AnyError> {
    let concurrency = Concurrency::new();
    let leaderships = Leaderships::new(concurrency.clone());
    let observer = Box::new(leaderships.clone());
    let serve = |handles| serve(handles, concurrency, leaderships, pages);
    StoreServer::start(settings, vec![observer], serve).await
}

/// All calls, over the replicated storage.
fn serve(
    handles: Handles,
    concurrency: Concurrency,
    leaderships: Leaderships,
    pages: impl FnOnce(Watch) -> Router,
) -> Served<impl Clients> {
    let Handles { storage, inputs, pd, stop, store, registry } = handles;
    let latches = Latches::new();
    let raw = RawApi::new(storage.clone(), latches.clone(), Arc::new(SystemClock));
    let txn = TxnApi::new(storage, latches, concurrency.clone(), Arc::new(TokioTimer))
        .with_elsewhere(Arc::new(AllRegions::new(pd.clone())));
    tokio::spawn(leaderships.clone().synchronise(pd.clone(), stop.clone()));
    let oracle = horizon::Oracle::Scheduler(pd.clone());
    tokio::spawn(horizon::follow(concurrency.clone(), oracle, stop.clone()));
    let (led, collected) = (leaderships.clone(), txn.clone());
    tokio::spawn(gc::collect(collected, concurrency, led, pd.clone(), stop.clone()));
    let pages = pages(Watch {
        store,
        stop: stop.clone(),
        registry: registry.clone(),
        inputs: inputs.clone(),
        leaderships: leaderships.clone(),
        txn: txn.clone(),
        counted: Arc::default(),
    });
    let regions = Regions { inputs, pd, leaderships };
    let clients =
        TxnService::new(TikvService::new(raw), txn, stop).with_regions(regions).into_server();
    let clients = Measured::new(clients, &registry).expect("a store's registry is its own");
    Served { clients, pages }
}
