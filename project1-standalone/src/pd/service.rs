//! `pdpb.PD` over a topology, a source of timestamps, and a ledger.
//!
//! Two things are more than handing a question on. Timestamps: a stream has one answer for each
//! request, in order, and whenever one cannot be given the stream must *end*, since the client has
//! no timeout on it. And the safe point, which only grows.

use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use proto::pdpb::pd_server::Pd;
use proto::pdpb::{
    self, GetAllStoresRequest, GetAllStoresResponse, GetGcSafePointRequest, GetGcSafePointResponse,
    GetMembersRequest, GetMembersResponse, GetRegionByIdRequest, GetRegionRequest,
    GetRegionResponse, GetStoreRequest, GetStoreResponse, IsBootstrappedRequest,
    IsBootstrappedResponse, ScanRegionsRequest, ScanRegionsResponse, Timestamp, TsoRequest,
    TsoResponse, UpdateGcSafePointRequest, UpdateGcSafePointResponse,
};
use tokio::sync::Mutex;
use tonic::codegen::BoxStream;
use tonic::{Request, Response, Status, Streaming};

use super::ledger::Entry;
use super::{Answer, Ledger, Topology, Tso};
use crate::server::{Stop, SystemClock};
use crate::{Error, Result, Storage};

/// The service. Calls that only a cluster needs answer UNIMPLEMENTED.
pub struct PdService<T, S> {
    inner: Arc<Inner<T, S>>,
    stop: Stop,
}

struct Inner<T, S> {
    topology: T,
    ledger: Ledger<S>,
    // Locks, since both are read, changed and saved in one step. They are held across the save,
    // about once in three seconds: what is asked for meanwhile must not be answered from an unsaved
    // state.
    tso: Mutex<Tso>,
    gc_safe_point: Mutex<u64>,
}

impl<T: Topology, S: Storage> PdService<T, S> {
    /// The service, which goes on from what the ledger remembers. Timestamp streams end with
    /// `stop`.
    ///
    /// # Errors
    /// As [`Ledger::load`].
    pub async fn new(topology: T, ledger: Ledger<S>, stop: Stop) -> Result<Self> {
        let tso = Mutex::new(Tso::new(ledger.load(Entry::TsoBound).await?));
        let gc_safe_point = Mutex::new(ledger.load(Entry::GcSafePoint).await?);
        Ok(PdService { inner: Arc::new(Inner { topology, ledger, tso, gc_safe_point }), stop })
    }
}

impl<T: Topology, S: Storage> Inner<T, S> {
    async fn answer_tso(&self, request: TsoRequest) -> Result<TsoResponse, Status> {
        let cluster = self.topology.cluster().await;
        let checked = cluster.check(request.header.as_ref());
        // Clients do not look at this answer's header, but they do notice the end of the stream.
        checked.map_err(|error| Status::failed_precondition(error.message))?;
        Ok(TsoResponse {
            header: cluster.header(None),
            count: request.count,
            timestamp: Some(self.timestamps(request.count).await?),
        })
    }

    async fn timestamps(&self, count: u32) -> Result<Timestamp, Status> {
        let mut tso = self.tso.lock().await;
        loop {
            match tso.next(SystemClock.unix_millis(), count) {
                Answer::Send(timestamp) => return Ok(timestamp),
                Answer::SaveFirst(bound) => {
                    self.ledger.save(Entry::TsoBound, bound).await.map_err(|e| unavailable(&e))?;
                    tso.saved(bound);
                }
                Answer::Refuse => {
                    let text = format!("{count} timestamps at once: ask for 1 to 262143");
                    return Err(Status::invalid_argument(text));
                }
            }
        }
    }

    /// Why this is no safe point: no transaction that began later could write any more, for good.
    async fn not_yet(&self, safe_point: u64) -> Option<pdpb::Error> {
        let made_up =
            self.tso.lock().await.is_from_the_future(safe_point, SystemClock.unix_millis());
        made_up.then(|| {
            let message = format!("safe point {safe_point} is from the future: take a timestamp");
            pdpb::Error { r#type: pdpb::ErrorType::InvalidValue.into(), message }
        })
    }

    async fn raise_gc_safe_point(&self, wanted: u64) -> Result<u64, Status> {
        let mut safe_point = self.gc_safe_point.lock().await;
        if wanted > *safe_point {
            self.ledger.save(Entry::GcSafePoint, wanted).await.map_err(|e| unavailable(&e))?;
            *safe_point = wanted;
        }
        Ok(*safe_point)
    }
}

fn unavailable(error: &Error) -> Status {
    tracing::error!(%error, "refused a call to PD");
    Status::unavailable(error.to_string())
}

type Answered<R> = Result<Response<R>, Status>;

#[tonic::async_trait]
impl<T: Topology, S: Storage> Pd for PdService<T, S> {
    async fn tso(
        &self,
        request: Request<Streaming<TsoRequest>>,
    ) -> Answered<BoxStream<TsoResponse>> {
        let start = (request.into_inner(), self.inner.clone());
        let answers = stream::try_unfold(start, async |(mut requests, inner)| {
            let Some(request) = requests.message().await? else { return Ok(None) };
            Ok(Some((inner.answer_tso(request).await?, (requests, inner))))
        });
        Ok(Response::new(Box::pin(answers.take_until(self.stop.clone().thrown()))))
    }

    async fn get_members(&self, _: Request<GetMembersRequest>) -> Answered<GetMembersResponse> {
        Ok(Response::new(self.inner.topology.cluster().await.get_members()))
    }

    async fn is_bootstrapped(
        &self,
        request: Request<IsBootstrappedRequest>,
    ) -> Answered<IsBootstrappedResponse> {
        let cluster = self.inner.topology.cluster().await;
        Ok(Response::new(cluster.is_bootstrapped(request.get_ref())))
    }

    async fn get_region(&self, request: Request<GetRegionRequest>) -> Answered<GetRegionResponse> {
        let cluster = self.inner.topology.cluster().await;
        Ok(Response::new(cluster.get_region(request.get_ref())))
    }

    async fn get_prev_region(
        &self,
        request: Request<GetRegionRequest>,
    ) -> Answered<GetRegionResponse> {
        let cluster = self.inner.topology.cluster().await;
        Ok(Response::new(cluster.get_prev_region(request.get_ref())))
    }

    async fn get_region_by_id(
        &self,
        request: Request<GetRegionByIdRequest>,
    ) -> Answered<GetRegionResponse> {
        let cluster = self.inner.topology.cluster().await;
        Ok(Response::new(cluster.get_region_by_id(request.get_ref())))
    }

    async fn scan_regions(
        &self,
        request: Request<ScanRegionsRequest>,
    ) -> Answered<ScanRegionsResponse> {
        let cluster = self.inner.topology.cluster().await;
        Ok(Response::new(cluster.scan_regions(request.get_ref())))
    }

    async fn get_store(&self, request: Request<GetStoreRequest>) -> Answered<GetStoreResponse> {
        let cluster = self.inner.topology.cluster().await;
        Ok(Response::new(cluster.get_store(request.get_ref())))
    }

    async fn get_all_stores(
        &self,
        request: Request<GetAllStoresRequest>,
    ) -> Answered<GetAllStoresResponse> {
        let cluster = self.inner.topology.cluster().await;
        Ok(Response::new(cluster.get_all_stores(request.get_ref())))
    }

    async fn get_gc_safe_point(
        &self,
        request: Request<GetGcSafePointRequest>,
    ) -> Answered<GetGcSafePointResponse> {
        let cluster = self.inner.topology.cluster().await;
        let header = cluster.header(cluster.check(request.get_ref().header.as_ref()).err());
        let safe_point = *self.inner.gc_safe_point.lock().await;
        Ok(Response::new(GetGcSafePointResponse { header, safe_point }))
    }

    async fn update_gc_safe_point(
        &self,
        request: Request<UpdateGcSafePointRequest>,
    ) -> Answered<UpdateGcSafePointResponse> {
        let request = request.into_inner();
        let cluster = self.inner.topology.cluster().await;
        let refused = cluster.check(request.header.as_ref()).err();
        let refused = match refused {
            None => self.inner.not_yet(request.safe_point).await,
            refused => refused,
        };
        let wanted = if refused.is_none() { request.safe_point } else { 0 };
        let new_safe_point = self.inner.raise_gc_safe_point(wanted).await?;
        let header = cluster.header(refused);
        Ok(Response::new(UpdateGcSafePointResponse { header, new_safe_point }))
    }
}
