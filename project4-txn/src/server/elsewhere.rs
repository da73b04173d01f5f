//! Asking the leaders of any region about keys: what the scheduler knows, and a call. It happens for transactions whose
//! owners are gone, so nothing is remembered, neither the map nor a connection.

use std::future::Future;
use std::time::Duration;

use multiraft::raftstore::server::Pd;
use proto::errorpb;
use proto::kvrpcpb::{
    BatchRollbackRequest, CheckSecondaryLocksRequest, CheckSecondaryLocksResponse, Context,
    KeyError,
};
use proto::metapb::Region;
use proto::pdpb::{GetRegionRequest, GetStoreRequest};
use proto::tikvpb::tikv_client::TikvClient;
use standalone::server::MAX_REQUEST_LEN;
use tokio::time::sleep;
use tonic::Status;
use tonic::transport::{Channel, Endpoint};

use crate::api::{Asking, Elsewhere};
use crate::mvcc::key::encode;

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(50);

/// How long a connection may take, and a call.
const CONNECT: Duration = Duration::from_millis(500);
const CALL: Duration = Duration::from_secs(1);

/// All regions, those of this store included.
#[derive(Clone)]
pub(super) struct AllRegions {
    pd: Pd,
}

/// A region's leader, and what to say to it.
struct Leader {
    store: TikvClient<Channel>,
    context: Option<Context>,
    region: Region,
}

impl AllRegions {
    /// Those that this scheduler knows.
    pub(super) fn new(pd: Pd) -> Self {
        AllRegions { pd }
    }

    async fn leader(&self, key: &[u8]) -> Result<Leader, Status> {
        let (header, region_key) = (Some(self.pd.header()), encode(key).into());
        let ask = GetRegionRequest { header, region_key, ..Default::default() };
        let found = self.pd.client().get_region(ask).await?.into_inner();
        let (Some(region), Some(peer)) = (found.region, found.leader) else {
            return Err(Status::unavailable("the scheduler knows no leader"));
        };
        let ask = GetStoreRequest { header, store_id: peer.store_id };
        let store = self.pd.client().get_store(ask).await?.into_inner().store;
        let url = format!("http://{}", store.unwrap_or_default().address);
        let away = |error: tonic::transport::Error| Status::unavailable(error.to_string());
        let endpoint = Endpoint::from_shared(url).map_err(away)?.connect_timeout(CONNECT);
        let channel = endpoint.timeout(CALL).connect().await.map_err(away)?;
        let store = TikvClient::new(channel).max_decoding_message_size(MAX_REQUEST_LEN);
        let context = Some(Context {
            region_id: region.id,
            region_epoch: region.region_epoch,
            peer: Some(peer),
            ..Default::default()
        });
        Ok(Leader { store, context, region })
    }

    /// Asks the region of the first key, about all of these keys that it has: how many they were, and its answer.
    async fn check_first(
        &self,
        start_version: u64,
        keys: &[Vec<u8>],
    ) -> Result<(usize, CheckSecondaryLocksResponse), Status> {
        let first = keys.first().map(Vec::as_slice).unwrap_or_default();
        let Leader { mut store, context, region } = self.leader(first).await?;
        let end = &region.end_key[..];
        let count = keys.partition_point(|key| end.is_empty() || &encode(key)[..] < end);
        let keys = keys[..count].iter().map(|key| key.clone().into()).collect();
        let request = CheckSecondaryLocksRequest { context, keys, start_version };
        let answer = store.kv_check_secondary_locks(request).await?.into_inner();
        accept(answer.region_error.as_ref())?;
        Ok((count, answer))
    }

    async fn roll_back_once(
        &self,
        start_version: u64,
        key: &[u8],
    ) -> Result<Option<KeyError>, Status> {
        let Leader { mut store, context, .. } = self.leader(key).await?;
        let keys = vec![key.to_vec().into()];
        let request = BatchRollbackRequest { context, start_version, keys };
        let answer = store.kv_batch_rollback(request).await?.into_inner();
        accept(answer.region_error.as_ref())?;
        Ok(answer.error)
    }
}

/// The region was the right one.
fn accept(error: Option<&errorpb::Error>) -> Result<(), Status> {
    error.map_or(Ok(()), |error| Err(Status::unavailable(error.message.clone())))
}

/// Asks until there is an answer. Whoever waits for it gives up.
async fn insist<T, F: Future<Output = Result<T, Status>>>(mut ask: impl FnMut() -> F) -> T {
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(status) => tracing::debug!(error = status.message(), "asked in vain"),
        }
        sleep(PAUSE).await;
    }
}

impl Elsewhere for AllRegions {
    fn check_secondary_locks(
        &self,
        start_version: u64,
        mut keys: Vec<Vec<u8>>,
    ) -> Asking<Vec<CheckSecondaryLocksResponse>> {
        let regions = self.clone();
        Box::pin(async move {
            keys.sort();
            keys.dedup();
            let (mut answers, mut rest) = (Vec::new(), &keys[..]);
            while !rest.is_empty() {
                let (count, answer) = insist(|| regions.check_first(start_version, rest)).await;
                let decides = answer.locks.len() < count;
                answers.push(answer);
                if decides {
                    break;
                }
                rest = &rest[count..];
            }
            Ok(answers)
        })
    }

    fn roll_back(&self, start_version: u64, key: Vec<u8>) -> Asking<()> {
        let regions = self.clone();
        Box::pin(async move {
            let error = insist(|| regions.roll_back_once(start_version, &key)).await;
            error.map_or(Ok(()), |error| Err(error.into()))
        })
    }
}
