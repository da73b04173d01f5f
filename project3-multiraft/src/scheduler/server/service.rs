//! `pdpb.PD` over a [`Driver`].
//!
//! Most calls hand the request on. Three are more: questions about regions are held while nobody can answer them; the
//! stream of timestamps ends where it cannot answer; the stream of reports has orders going the other way, one stream a
//! store.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use proto::pdpb::pd_server::{Pd, PdServer};
use proto::pdpb::{
    AllocIdRequest, AllocIdResponse, AskBatchSplitRequest, AskBatchSplitResponse, AskSplitRequest,
    AskSplitResponse, BootstrapRequest, BootstrapResponse, ErrorType, GetAllStoresRequest,
    GetAllStoresResponse, GetClusterConfigRequest, GetClusterConfigResponse, GetGcSafePointRequest,
    GetGcSafePointResponse, GetMembersRequest, GetMembersResponse, GetOperatorRequest,
    GetOperatorResponse, GetRegionByIdRequest, GetRegionRequest, GetRegionResponse,
    GetStoreRequest, GetStoreResponse, IsBootstrappedRequest, IsBootstrappedResponse, Member,
    PutClusterConfigRequest, PutClusterConfigResponse, PutStoreRequest, PutStoreResponse,
    RegionHeartbeatRequest, RegionHeartbeatResponse, ReportBatchSplitRequest,
    ReportBatchSplitResponse, ReportSplitRequest, ReportSplitResponse, ScanRegionsRequest,
    ScanRegionsResponse, ScatterRegionRequest, ScatterRegionResponse, StoreHeartbeatRequest,
    StoreHeartbeatResponse, TsoRequest, TsoResponse, UpdateGcSafePointRequest,
    UpdateGcSafePointResponse, UpdateServiceGcSafePointRequest, UpdateServiceGcSafePointResponse,
};
use standalone::server::Stop;
use tokio::sync::mpsc;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::driver::{Driver, ORDERS, Order};

/// The service.
pub struct Service {
    driver: Arc<Driver>,
    member: Member,
    stop: Stop,
}

impl Service {
    /// The service of the only member. Streams end with `stop`.
    pub fn new(driver: Arc<Driver>, member: Member, stop: Stop) -> Self {
        Service { driver, member, stop }
    }

    /// Ready to be served. A report of a region with many peers is small; a batch of split regions may be larger than
    /// tonic's limit.
    pub fn into_server(self) -> PdServer<Service> {
        PdServer::new(self).max_decoding_message_size(64 << 20)
    }
}

type Answered<R> = Result<Response<R>, Status>;

// A region with a leader that can be dialled; anything else may get better in a moment.
fn is_led(answer: &GetRegionResponse) -> bool {
    answer.leader.is_some()
}

#[tonic::async_trait]
impl Pd for Service {
    async fn get_members(&self, _: Request<GetMembersRequest>) -> Answered<GetMembersResponse> {
        let header = self.driver.call(|cluster, _| cluster.header(None))?;
        Ok(Response::new(GetMembersResponse {
            header,
            members: vec![self.member.clone()],
            leader: Some(self.member.clone()),
            etcd_leader: Some(self.member.clone()),
        }))
    }

    async fn tso(
        &self,
        request: Request<Streaming<TsoRequest>>,
    ) -> Answered<BoxStream<TsoResponse>> {
        let start = (request.into_inner(), self.driver.clone());
        let answers = stream::try_unfold(start, async |(mut requests, driver)| {
            let Some(request) = requests.message().await? else { return Ok(None) };
            let answer = driver.call(|cluster, times| cluster.tso(&request, times.wall))?;
            // Clients do not look at this answer's header, but they do notice the end of the stream.
            let answer = answer.map_err(|error| match error.r#type() {
                ErrorType::InvalidValue => Status::invalid_argument(error.message),
                _ => Status::failed_precondition(error.message),
            })?;
            driver.count_timestamps(answer.count);
            Ok(Some((answer, (requests, driver))))
        });
        Ok(Response::new(Box::pin(answers.take_until(self.stop.clone().thrown()))))
    }

    async fn region_heartbeat(
        &self,
        request: Request<Streaming<RegionHeartbeatRequest>>,
    ) -> Answered<BoxStream<RegionHeartbeatResponse>> {
        let (orders, mut due) = mpsc::channel::<Order>(ORDERS);
        let (mut reports, driver) = (request.into_inner(), self.driver.clone());
        tokio::spawn(async move {
            while let Ok(Some(report)) = reports.message().await {
                if let Some(leader) = &report.leader {
                    driver.connect(leader.store_id, &orders);
                }
                let id = report.region.as_ref().map_or(0, |region| region.id);
                let told = driver.tell(|cluster, times| {
                    let told = cluster.region_heartbeat(report, times.uptime);
                    told.map_err(|error| cluster.header(Some(error)))
                });
                let refused = match told {
                    Ok(Ok(())) => continue,
                    Ok(Err(header)) => {
                        Ok(RegionHeartbeatResponse { header, region_id: id, ..Default::default() })
                    }
                    Err(status) => Err(status),
                };
                // Nobody waits for it: a store that does not read its orders is not told why either.
                let _ = orders.try_send(refused);
            }
            driver.disconnect(&orders);
        });
        let due = stream::poll_fn(move |context| due.poll_recv(context));
        Ok(Response::new(Box::pin(due.take_until(self.stop.clone().thrown()))))
    }

    async fn get_region(&self, request: Request<GetRegionRequest>) -> Answered<GetRegionResponse> {
        let request = request.into_inner();
        let ask = self.driver.hold(|c, times| c.get_region(&request, times.uptime), is_led);
        Ok(Response::new(ask.await?))
    }

    async fn get_prev_region(
        &self,
        request: Request<GetRegionRequest>,
    ) -> Answered<GetRegionResponse> {
        let request = request.into_inner();
        // No region, and no error: there is none before the first.
        let known = |answer: &GetRegionResponse| {
            let failed = answer.header.as_ref().is_none_or(|header| header.error.is_some());
            is_led(answer) || (answer.region.is_none() && !failed)
        };
        let ask = self.driver.hold(|c, times| c.get_prev_region(&request, times.uptime), known);
        Ok(Response::new(ask.await?))
    }

    async fn get_region_by_id(
        &self,
        request: Request<GetRegionByIdRequest>,
    ) -> Answered<GetRegionResponse> {
        let request = request.into_inner();
        let ask = self.driver.hold(|c, times| c.get_region_by_id(&request, times.uptime), is_led);
        Ok(Response::new(ask.await?))
    }

    async fn scan_regions(
        &self,
        request: Request<ScanRegionsRequest>,
    ) -> Answered<ScanRegionsResponse> {
        let request = request.into_inner();
        let known = |answer: &ScanRegionsResponse| {
            answer.header.as_ref().is_some_and(|header| header.error.is_none())
        };
        let ask = self.driver.hold(|c, times| c.scan_regions(&request, times.uptime), known);
        Ok(Response::new(ask.await?))
    }

    async fn bootstrap(&self, request: Request<BootstrapRequest>) -> Answered<BootstrapResponse> {
        let request = request.into_inner();
        self.driver.tell(|c, times| c.bootstrap(request, times.uptime)).map(Response::new)
    }

    async fn is_bootstrapped(
        &self,
        request: Request<IsBootstrappedRequest>,
    ) -> Answered<IsBootstrappedResponse> {
        self.driver.call(|c, _| c.is_bootstrapped(request.get_ref())).map(Response::new)
    }

    async fn alloc_id(&self, request: Request<AllocIdRequest>) -> Answered<AllocIdResponse> {
        self.driver.call(|c, _| c.alloc_id(request.get_ref())).map(Response::new)
    }

    async fn get_store(&self, request: Request<GetStoreRequest>) -> Answered<GetStoreResponse> {
        self.driver.call(|c, _| c.get_store(request.get_ref())).map(Response::new)
    }

    async fn put_store(&self, request: Request<PutStoreRequest>) -> Answered<PutStoreResponse> {
        let request = request.into_inner();
        self.driver.tell(|c, times| c.put_store(request, times.uptime)).map(Response::new)
    }

    async fn get_all_stores(
        &self,
        request: Request<GetAllStoresRequest>,
    ) -> Answered<GetAllStoresResponse> {
        self.driver.call(|c, _| c.get_all_stores(request.get_ref())).map(Response::new)
    }

    async fn store_heartbeat(
        &self,
        request: Request<StoreHeartbeatRequest>,
    ) -> Answered<StoreHeartbeatResponse> {
        let request = request.into_inner();
        self.driver.tell(|c, times| c.store_heartbeat(request, times.uptime)).map(Response::new)
    }

    async fn get_cluster_config(
        &self,
        request: Request<GetClusterConfigRequest>,
    ) -> Answered<GetClusterConfigResponse> {
        self.driver.call(|c, _| c.get_cluster_config(request.get_ref())).map(Response::new)
    }

    async fn put_cluster_config(
        &self,
        request: Request<PutClusterConfigRequest>,
    ) -> Answered<PutClusterConfigResponse> {
        self.driver.call(|c, _| c.put_cluster_config(request.get_ref())).map(Response::new)
    }

    async fn ask_split(&self, request: Request<AskSplitRequest>) -> Answered<AskSplitResponse> {
        let request = request.into_inner();
        self.driver.call(|c, _| c.ask_split(request)).map(Response::new)
    }

    async fn ask_batch_split(
        &self,
        request: Request<AskBatchSplitRequest>,
    ) -> Answered<AskBatchSplitResponse> {
        self.driver.call(|c, _| c.ask_batch_split(request.get_ref())).map(Response::new)
    }

    async fn report_split(
        &self,
        request: Request<ReportSplitRequest>,
    ) -> Answered<ReportSplitResponse> {
        let request = request.into_inner();
        self.driver.tell(|c, _| c.report_split(request)).map(Response::new)
    }

    async fn report_batch_split(
        &self,
        request: Request<ReportBatchSplitRequest>,
    ) -> Answered<ReportBatchSplitResponse> {
        let request = request.into_inner();
        self.driver.tell(|c, _| c.report_batch_split(request)).map(Response::new)
    }

    async fn scatter_region(
        &self,
        request: Request<ScatterRegionRequest>,
    ) -> Answered<ScatterRegionResponse> {
        let request = request.into_inner();
        self.driver.call(|c, times| c.scatter_region(&request, times.uptime)).map(Response::new)
    }

    async fn get_operator(
        &self,
        request: Request<GetOperatorRequest>,
    ) -> Answered<GetOperatorResponse> {
        self.driver.call(|c, _| c.get_operator(request.get_ref())).map(Response::new)
    }

    async fn get_gc_safe_point(
        &self,
        request: Request<GetGcSafePointRequest>,
    ) -> Answered<GetGcSafePointResponse> {
        self.driver.call(|c, _| c.get_gc_safe_point(request.get_ref())).map(Response::new)
    }

    async fn update_gc_safe_point(
        &self,
        request: Request<UpdateGcSafePointRequest>,
    ) -> Answered<UpdateGcSafePointResponse> {
        let request = request.into_inner();
        let answer =
            self.driver.call(|c, times| c.update_gc_safe_point(&request, times.wall / 1000));
        answer.map(Response::new)
    }

    async fn update_service_gc_safe_point(
        &self,
        request: Request<UpdateServiceGcSafePointRequest>,
    ) -> Answered<UpdateServiceGcSafePointResponse> {
        let request = request.into_inner();
        let answer = self
            .driver
            .call(|c, times| c.update_service_gc_safe_point(&request, times.wall / 1000));
        answer.map(Response::new)
    }
}
