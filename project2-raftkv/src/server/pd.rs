//! The solo PD of each member: who leads the region leads PD.
//!
//! What the cluster is (members, stores, regions) every member can tell; it learns who leads from its own peer. Timestamps
//! and the safe point are in the ledger, which is replicated data like any other; only the leader can read it, so a
//! member's `PdService` begins with its leadership and ends with it, streams included. A new one goes on above the bound
//! that the old one has saved.
//!
//! A shortcut: a leader that is deposed and does not know it yet may go on giving out timestamps below its bound, for
//! about an election timeout. The real PD has a lease for that.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proto::metapb::Store;
use proto::pdpb::pd_server::Pd;
use proto::pdpb::{
    GetAllStoresRequest, GetAllStoresResponse, GetGcSafePointRequest, GetGcSafePointResponse,
    GetMembersRequest, GetMembersResponse, GetRegionByIdRequest, GetRegionRequest,
    GetRegionResponse, GetStoreRequest, GetStoreResponse, IsBootstrappedRequest,
    IsBootstrappedResponse, Member, ScanRegionsRequest, ScanRegionsResponse, TsoRequest,
    TsoResponse, UpdateGcSafePointRequest, UpdateGcSafePointResponse,
};
use standalone::pd::{Cluster, Ledger, PdService, Placed, Topology};
use standalone::server::Stop;
use tokio::sync::watch;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::group::Word;
use super::inputs::Inputs;
use crate::RaftStorage;
use crate::observer::{PeerObserver, PeerView};
use crate::region::{first_region, tail_of};

/// How long an answer about a cluster without a leader is held.
const HOLD: Duration = Duration::from_secs(1);

/// Tells a watch.
pub(super) struct Told(pub(super) watch::Sender<Option<PeerView>>);

impl PeerObserver for Told {
    fn changed(&mut self, view: &PeerView) {
        tracing::info!(
            region = view.region.id,
            term = view.term,
            leader = view.leader.map_or(0, |peer| peer.store_id),
            "the peer has changed"
        );
        self.0.send_replace(Some(view.clone()));
    }
}

/// The cluster as this member's peer sees it.
#[derive(Clone)]
pub(super) struct PeerTopology {
    /// The cluster's id: the same on all members, since it follows from who they are.
    pub(super) cluster: u64,
    /// Where each store is.
    pub(super) addresses: Arc<BTreeMap<u64, String>>,
    pub(super) me: u64,
    pub(super) views: watch::Receiver<Option<PeerView>>,
}

impl PeerTopology {
    fn member(&self, store: u64) -> Member {
        let address = self.addresses.get(&store).cloned().unwrap_or_default();
        let urls = vec![format!("http://{address}")];
        Member {
            name: format!("store-{store}"),
            member_id: store,
            peer_urls: urls.clone(),
            client_urls: urls,
        }
    }
}

impl Topology for PeerTopology {
    async fn cluster(&self) -> Arc<Cluster> {
        let mut views = self.views.clone();
        let led = views.wait_for(|view| view.as_ref().is_some_and(|view| view.leader.is_some()));
        // Who leads may be known in a moment, and clients take a late answer better than one without a leader.
        let _ = tokio::time::timeout(HOLD, led).await;
        let view = self.views.borrow().clone();
        let leader = view.as_ref().and_then(|view| view.leader);
        let first = view.map_or_else(|| first_region(self.addresses.keys().copied()), |v| v.region);
        let tail = tail_of(&first);
        let store = |(&id, address): (&u64, &String)| Store {
            id,
            address: address.clone(),
            ..Default::default()
        };
        Arc::new(Cluster {
            id: self.cluster,
            members: self.addresses.keys().map(|&store| self.member(store)).collect(),
            leader: self.member(leader.map_or(self.me, |peer| peer.store_id)),
            stores: self.addresses.iter().map(store).collect(),
            regions: vec![Placed { region: first, leader }, Placed { region: tail, leader }],
        })
    }
}

type Service = PdService<PeerTopology, RaftStorage<Inputs<Word>>>;

/// PD on one member.
#[derive(Clone)]
pub(super) struct Facade {
    topology: PeerTopology,
    leading: watch::Receiver<Option<Arc<Service>>>,
}

impl Facade {
    /// PD over this topology; its ledger is in the storage behind `inputs`. Must be called on a tokio runtime.
    pub(super) fn new(topology: PeerTopology, inputs: Inputs<Word>, stop: Stop) -> Self {
        let (sender, leading) = watch::channel(None);
        tokio::spawn(follow(topology.clone(), inputs, stop, sender));
        Facade { topology, leading }
    }

    async fn service(&self) -> Result<Arc<Service>, Status> {
        let mut leading = self.leading.clone();
        let there = tokio::time::timeout(HOLD, leading.wait_for(Option::is_some)).await;
        let service = there.ok().and_then(|found| found.ok()?.clone());
        service.ok_or_else(|| {
            Status::unavailable("this member does not lead PD: ask GetMembers who does")
        })
    }
}

/// Begins and ends the service with this member's leadership.
async fn follow(
    topology: PeerTopology,
    inputs: Inputs<Word>,
    stop: Stop,
    leading: watch::Sender<Option<Arc<Service>>>,
) {
    let mut views = topology.views.clone();
    let term = |view: &Option<PeerView>| view.as_ref().filter(|v| v.is_leader).map(|v| v.term);
    loop {
        let now = term(&views.borrow_and_update());
        let reign = Stop::new();
        if now.is_some() {
            let ledger = Ledger::new(Arc::new(RaftStorage::new(inputs.clone())));
            match PdService::new(topology.clone(), ledger, reign.clone()).await {
                Ok(service) => {
                    leading.send_replace(Some(Arc::new(service)));
                }
                Err(error) => {
                    tracing::debug!(%error, "cannot lead PD yet");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                    continue;
                }
            }
        }
        let changed = views.wait_for(|view| term(view) != now);
        let over = tokio::select! {
            () = stop.clone().thrown() => true,
            changed = changed => changed.is_err(),
        };
        leading.send_replace(None);
        reign.now();
        if over {
            return;
        }
    }
}

type Answered<R> = Result<Response<R>, Status>;

#[tonic::async_trait]
impl Pd for Facade {
    async fn tso(
        &self,
        request: Request<Streaming<TsoRequest>>,
    ) -> Answered<BoxStream<TsoResponse>> {
        self.service().await?.tso(request).await
    }

    async fn get_members(&self, _: Request<GetMembersRequest>) -> Answered<GetMembersResponse> {
        Ok(Response::new(self.topology.cluster().await.get_members()))
    }

    async fn is_bootstrapped(
        &self,
        request: Request<IsBootstrappedRequest>,
    ) -> Answered<IsBootstrappedResponse> {
        Ok(Response::new(self.topology.cluster().await.is_bootstrapped(request.get_ref())))
    }

    async fn get_region(&self, request: Request<GetRegionRequest>) -> Answered<GetRegionResponse> {
        Ok(Response::new(self.topology.cluster().await.get_region(request.get_ref())))
    }

    async fn get_prev_region(
        &self,
        request: Request<GetRegionRequest>,
    ) -> Answered<GetRegionResponse> {
        Ok(Response::new(self.topology.cluster().await.get_prev_region(request.get_ref())))
    }

    async fn get_region_by_id(
        &self,
        request: Request<GetRegionByIdRequest>,
    ) -> Answered<GetRegionResponse> {
        Ok(Response::new(self.topology.cluster().await.get_region_by_id(request.get_ref())))
    }

    async fn scan_regions(
        &self,
        request: Request<ScanRegionsRequest>,
    ) -> Answered<ScanRegionsResponse> {
        Ok(Response::new(self.topology.cluster().await.scan_regions(request.get_ref())))
    }

    async fn get_store(&self, request: Request<GetStoreRequest>) -> Answered<GetStoreResponse> {
        Ok(Response::new(self.topology.cluster().await.get_store(request.get_ref())))
    }

    async fn get_all_stores(
        &self,
        request: Request<GetAllStoresRequest>,
    ) -> Answered<GetAllStoresResponse> {
        Ok(Response::new(self.topology.cluster().await.get_all_stores(request.get_ref())))
    }

    async fn get_gc_safe_point(
        &self,
        request: Request<GetGcSafePointRequest>,
    ) -> Answered<GetGcSafePointResponse> {
        self.service().await?.get_gc_safe_point(request).await
    }

    async fn update_gc_safe_point(
        &self,
        request: Request<UpdateGcSafePointRequest>,
    ) -> Answered<UpdateGcSafePointResponse> {
        self.service().await?.update_gc_safe_point(request).await
    }
}
