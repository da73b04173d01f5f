//! Other stores of the cluster: where they are, the scheduler says; and who comes names its cluster.

use proto::pdpb::GetStoreRequest;
use raftkv::server::{Neighbours, number};
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::driver::Order;
use super::reports::Pd;

const STORE: &str = "multiraft-store";
const CLUSTER: &str = "multiraft-cluster";

/// The stores of one cluster. Ids of stores are given once, to one disk: nobody is asked for a disk's number here.
#[derive(Clone)]
pub(super) struct Stores {
    pub(super) me: u64,
    pub(super) pd: Pd,
}

impl Neighbours for Stores {
    type Word = Order;

    async fn address_of(&self, store: u64) -> Result<String, Status> {
        let request = GetStoreRequest { header: Some(self.pd.header()), store_id: store };
        let answer = self.pd.client().get_store(request).await?.into_inner();
        let address = answer.store.map(|store| store.address).filter(|known| !known.is_empty());
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
