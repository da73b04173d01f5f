//! What a client asks of a store about its regions, and what is no transaction: to cut one, and to destroy a range
//! in all that it leads.

use multiraft::raftstore::server::{Inputs, Pd};
use proto::kvrpcpb::{
    SplitRegionRequest, SplitRegionResponse, UnsafeDestroyRangeRequest, UnsafeDestroyRangeResponse,
};
use proto::metapb::Region;
use proto::pdpb::AskBatchSplitRequest;
use proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, BatchSplitRequest, RaftRequestHeader, SplitRequest,
};
use raftkv::callback::callback;
use raftkv::storage::Inbox as _;
use raftkv::store::Request;
use raftkv::{Refusal, cmd};
use standalone::{Error, Storage};
use tonic::Status;

use super::leaderships::{Leaderships, context};
use crate::TxnApi;
use crate::mvcc::key;

/// The regions of a store.
pub(super) struct Regions {
    pub(super) inputs: Inputs,
    pub(super) pd: Pd,
    pub(super) leaderships: Leaderships,
}

impl Regions {
    /// Cuts a region at these keys; the left parts are the new regions. Keys are encoded, so that official clients can
    /// go on from the new boundaries; raw ones must be encodings already.
    ///
    /// # Errors
    /// The scheduler has no ids, or the split is refused. A wrong region is part of the response.
    pub(super) async fn split(
        &self,
        request: SplitRegionRequest,
    ) -> Result<SplitRegionResponse, Status> {
        let named = request.context.unwrap_or_default();
        let Some(led) = self.leaderships.get(named.region_id) else {
            let error = raftkv::region::not_leader(named.region_id, None);
            return refused(error);
        };
        let encoded = |key: &[u8]| if request.is_raw_kv { key.to_vec() } else { key::encode(key) };
        let mut at: Vec<Vec<u8>> = request.split_keys.iter().map(|key| encoded(key)).collect();
        at.sort();
        at.dedup();
        let ask = AskBatchSplitRequest {
            header: Some(self.pd.header()),
            region: Some(led.region.clone()),
            split_count: u32::try_from(at.len()).unwrap_or(u32::MAX),
        };
        let given = self.pd.client().ask_batch_split(ask).await?.into_inner();
        if let Some(error) = given.header.and_then(|header| header.error) {
            return Err(Status::unavailable(error.message));
        }
        let requests = at.into_iter().zip(given.ids).map(|(key, ids)| SplitRequest {
            split_key: key.into(),
            new_region_id: ids.new_region_id,
            new_peer_ids: ids.new_peer_ids,
            ..Default::default()
        });
        let splits = BatchSplitRequest { requests: requests.collect(), right_derive: true };
        let admin = AdminRequest {
            cmd_type: AdminCmdType::BatchSplit.into(),
            splits: Some(splits),
            ..Default::default()
        };
        let header = RaftRequestHeader {
            region_id: led.region.id,
            peer: Some(led.me),
            region_epoch: led.region.region_epoch,
            ..Default::default()
        };
        let (callback, applied) = callback();
        let request = cmd::admin_request(header, admin);
        self.inputs.send(Request::Write(request, callback)).await;
        match applied.await {
            None => Err(Status::unavailable("the store is going down")),
            Some(Err(refusal)) => refused(refusal),
            Some(Ok(response)) => {
                let parts = response.admin_response.and_then(|admin| admin.splits);
                let regions = parts.unwrap_or_default().regions;
                Ok(SplitRegionResponse { regions, ..Default::default() })
            }
        }
    }

    /// Destroys a range in all regions that this store leads. Each store is asked the same, so that nothing of the range
    /// is left, except in a region whose leadership moves meanwhile: then the client is told to ask again.
    ///
    /// # Errors
    /// The storage's.
    pub(super) async fn destroy<S: Storage>(
        &self,
        txn: &TxnApi<S>,
        request: &UnsafeDestroyRangeRequest,
    ) -> crate::Result<UnsafeDestroyRangeResponse> {
        for led in self.leaderships.all() {
            let (start, end) = bounds(&led.region)?;
            let low = start.max(request.start_key.to_vec());
            let high = match (&end[..], &request.end_key[..]) {
                ([], other) | (other, []) => other.to_vec(),
                (one, other) => one.min(other).to_vec(),
            };
            if !high.is_empty() && low >= high {
                continue;
            }
            let part = UnsafeDestroyRangeRequest {
                context: Some(context(&led)),
                start_key: low.into(),
                end_key: high.into(),
            };
            txn.unsafe_destroy_range(part).await?;
        }
        Ok(UnsafeDestroyRangeResponse::default())
    }
}

/// The user's keys of a region.
pub(super) fn bounds(region: &Region) -> crate::Result<(Vec<u8>, Vec<u8>)> {
    let user_key = |position: &[u8]| match position {
        [] => Ok(Vec::new()),
        encoded => key::decode(encoded).map(|(key, _)| key),
    };
    Ok((user_key(&region.start_key)?, user_key(&region.end_key)?))
}

fn refused(why: Refusal) -> Result<SplitRegionResponse, Status> {
    match Error::from(why) {
        Error::Region(error) => {
            Ok(SplitRegionResponse { region_error: Some(*error), ..Default::default() })
        }
        Error::Refused(text) => Err(Status::invalid_argument(text)),
        error => Err(Status::unavailable(error.to_string())),
    }
}
