//! What people and tools ask for: settings, stores to be emptied, regions to be scattered, plans of their own.

use prost::Message as _;
use proto::metapb::{self, StoreState};
use proto::pdpb::{
    Error, ErrorType, GetClusterConfigRequest, GetClusterConfigResponse, GetOperatorRequest,
    GetOperatorResponse, PutClusterConfigRequest, PutClusterConfigResponse, ScatterRegionRequest,
    ScatterRegionResponse,
};

use super::regions::no_region;
use super::stores::{tombstone, unknown};
use super::{Cluster, refusal};
use crate::scheduler::operator::Status;
use crate::scheduler::proposal::{Change, Kind, Proposal};
use crate::scheduler::{Millis, saved};

impl Cluster {
    /// Has a store emptied: its peers are built anew elsewhere, and when it has none left it is a tombstone.
    ///
    /// # Errors
    /// There is no such store, or it is gone already.
    pub fn remove_store(&mut self, store: u64) -> Result<(), Error> {
        self.set_state(store, StoreState::Offline)
    }

    /// Takes [`Cluster::remove_store`] back, as long as the store is not gone.
    ///
    /// # Errors
    /// As there.
    pub fn restore_store(&mut self, store: u64) -> Result<(), Error> {
        self.set_state(store, StoreState::Up)
    }

    fn set_state(&mut self, store: u64, state: StoreState) -> Result<(), Error> {
        let info = self.stores.get_mut(&store).ok_or_else(|| unknown(store))?;
        if info.is_tombstone() {
            return Err(tombstone(store));
        }
        info.store.set_state(state);
        self.outbox.save(saved::store_key(store), info.store.encode_to_vec());
        Ok(())
    }

    /// Takes up a plan that a person has made.
    ///
    /// # Errors
    /// Why it was not taken up.
    pub fn admin(
        &mut self,
        region: u64,
        changes: Vec<Change>,
        now: Millis,
    ) -> Result<(), &'static str> {
        self.propose(Proposal { region, kind: Kind::Admin, why: "admin", changes }, now)
    }

    /// Spreads regions over the stores.
    pub fn scatter_region(
        &mut self,
        request: &ScatterRegionRequest,
        now: Millis,
    ) -> ScatterRegionResponse {
        if let Err(error) = self.check_open(request.header.as_ref()) {
            return ScatterRegionResponse {
                header: self.header(Some(error)),
                ..Default::default()
            };
        }
        #[expect(deprecated, reason = "older clients still name their one region so")]
        let single = [request.region_id];
        let regions =
            if request.regions_id.is_empty() { &single[..] } else { &request.regions_id[..] };
        let unknown = regions.iter().find(|&&id| self.regions.get(id).is_none());
        let mut started = 0;
        for &id in regions {
            let mut group = self.groups.remove(&request.group).unwrap_or_default();
            let influence = self.influence();
            let board = self.board(now, influence);
            let info = board.regions.get(id).filter(|info| board.is_movable(info));
            let proposal = info.map(|info| group.place(&board, info));
            self.groups.insert(request.group.clone(), group);
            started += match proposal {
                Some(proposal) if proposal.changes.is_empty() => 1,
                Some(proposal) => u64::from(self.propose(proposal, now).is_ok()),
                None => 0,
            };
        }
        let error = unknown.map(|&id| no_region(id));
        let finished_percentage = started * 100 / (regions.len() as u64);
        ScatterRegionResponse { header: self.header(error), finished_percentage }
    }

    /// What is, or was last, planned for a region?
    pub fn get_operator(&self, request: &GetOperatorRequest) -> GetOperatorResponse {
        let id = request.region_id;
        if let Err(error) = self.check_open(request.header.as_ref()) {
            return GetOperatorResponse { header: self.header(Some(error)), ..Default::default() };
        }
        let last = || self.operators.history().filter(|ended| ended.operator.region == id).last();
        let found = match self.operators.get(id) {
            Some(operator) => Some((operator, Status::Running)),
            None => last().map(|ended| (&ended.operator, ended.status)),
        };
        let Some((operator, status)) = found else {
            let text = format!("nothing was planned for region {id}");
            let header = self.header(Some(refusal(ErrorType::EntryNotFound, text)));
            return GetOperatorResponse { header, region_id: id, ..Default::default() };
        };
        GetOperatorResponse {
            header: self.header(None),
            region_id: id,
            desc: operator.why.as_bytes().to_vec().into(),
            status: status.into(),
            kind: operator.kind.name().as_bytes().to_vec().into(),
        }
    }

    /// Reads the settings that all members share.
    pub fn get_cluster_config(
        &self,
        request: &GetClusterConfigRequest,
    ) -> GetClusterConfigResponse {
        let checked = self.check_open(request.header.as_ref());
        let max_peer_count = u32::try_from(self.config.max_replicas).unwrap_or(u32::MAX);
        let cluster = metapb::Cluster { id: self.id, max_peer_count };
        GetClusterConfigResponse {
            cluster: checked.is_ok().then_some(cluster),
            header: self.header(checked.err()),
        }
    }

    /// Changes them: the number of replicas, which is odd.
    pub fn put_cluster_config(
        &mut self,
        request: &PutClusterConfigRequest,
    ) -> PutClusterConfigResponse {
        let done = self.check_open(request.header.as_ref()).and_then(|()| {
            let wanted = request.cluster.as_ref().map_or(0, |cluster| cluster.max_peer_count);
            if wanted.is_multiple_of(2) {
                let text = format!("max_peer_count is {wanted}: it must be odd");
                return Err(refusal(ErrorType::InvalidValue, text));
            }
            self.config.max_replicas = wanted as usize;
            self.outbox.save(saved::MAX_REPLICAS.to_vec(), saved::number(wanted.into()));
            Ok(())
        });
        PutClusterConfigResponse { header: self.header(done.err()) }
    }
}
