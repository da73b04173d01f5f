//! The cluster as it is now, and every answer that follows from it.

use std::future::{Future, ready};
use std::net::SocketAddr;
use std::sync::Arc;

use proto::metapb::{self, Peer, RegionEpoch, Store};
use proto::pdpb::{
    self, Error, ErrorType, GetAllStoresRequest, GetAllStoresResponse, GetMembersResponse,
    GetRegionByIdRequest, GetRegionRequest, GetRegionResponse, GetStoreRequest, GetStoreResponse,
    IsBootstrappedRequest, IsBootstrappedResponse, Member, RequestHeader, ResponseHeader,
    ScanRegionsRequest, ScanRegionsResponse,
};

use crate::keys::TAIL_START;

/// Tells the cluster as it is.
///
/// What changes about a cluster is behind this trait: members, and who leads. An implementation may
/// wait a little for a leader to appear (clients take a late answer better than a bad one), but
/// must answer within the client's two seconds.
pub trait Topology: Send + Sync + 'static {
    /// The cluster now.
    fn cluster(&self) -> impl Future<Output = Arc<Cluster>> + Send;
}

/// A cluster that never changes.
impl Topology for Arc<Cluster> {
    fn cluster(&self) -> impl Future<Output = Arc<Cluster>> + Send {
        ready(self.clone())
    }
}

/// A region, and who leads it.
#[derive(Debug, Clone, PartialEq)]
pub struct Placed {
    /// The region.
    pub region: metapb::Region,
    /// Its leader; none is known in the middle of an election.
    pub leader: Option<Peer>,
}

/// A cluster at one moment. One method a question; each answer has a header, since official clients
/// panic without.
///
/// - `regions` are in key order and cover everything: each starts where the one before ends, the
///   first at the empty key, and only the last has no end.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// The cluster's id, in every header.
    pub id: u64,
    /// All scheduler processes.
    pub members: Vec<Member>,
    /// The one that schedules.
    pub leader: Member,
    /// All stores.
    pub stores: Vec<Store>,
    /// All regions.
    pub regions: Vec<Placed>,
}

impl Cluster {
    /// One server that is everything: the only member, at `pd_addr`, and the only store, at `addr`,
    /// which leads region 1 and the empty tail region 2.
    pub fn solo(id: u64, addr: SocketAddr, pd_addr: SocketAddr) -> Arc<Cluster> {
        let url = format!("http://{pd_addr}");
        let member = Member {
            name: "solo".into(),
            member_id: 1,
            peer_urls: vec![url.clone()],
            client_urls: vec![url],
        };
        let store = Store { id: 1, address: addr.to_string(), ..Default::default() };
        let region = |id: u64, start: &'static [u8], end: &'static [u8]| {
            let peer = Peer { id, store_id: store.id, ..Default::default() };
            let region = metapb::Region {
                id,
                start_key: start.into(),
                end_key: end.into(),
                region_epoch: Some(RegionEpoch { conf_ver: 1, version: 1 }),
                peers: vec![peer],
            };
            Placed { region, leader: Some(peer) }
        };
        Arc::new(Cluster {
            id,
            members: vec![member.clone()],
            leader: member,
            regions: vec![region(1, b"", &TAIL_START), region(2, &TAIL_START, b"")],
            stores: vec![store],
        })
    }

    /// The regions without what PD knows about their peers.
    pub fn regions(&self) -> Vec<metapb::Region> {
        self.regions.iter().map(|placed| placed.region.clone()).collect()
    }

    /// Who schedules? The one question that a stranger may ask: its header is not checked.
    pub fn get_members(&self) -> GetMembersResponse {
        GetMembersResponse {
            header: self.header(None),
            members: self.members.clone(),
            leader: Some(self.leader.clone()),
            etcd_leader: Some(self.leader.clone()),
        }
    }

    /// There is no cluster here before it was opened.
    pub fn is_bootstrapped(&self, request: &IsBootstrappedRequest) -> IsBootstrappedResponse {
        let header = self.header(self.check(request.header.as_ref()).err());
        IsBootstrappedResponse { header, bootstrapped: true }
    }

    /// Which region has this key?
    pub fn get_region(&self, request: &GetRegionRequest) -> GetRegionResponse {
        self.region_answer(request.header.as_ref(), || {
            Ok(self.region_of(&request.region_key).map(|at| &self.regions[at]))
        })
    }

    /// Which region lies before the one that has this key? None does before the first; that is no
    /// error.
    pub fn get_prev_region(&self, request: &GetRegionRequest) -> GetRegionResponse {
        self.region_answer(request.header.as_ref(), || {
            let at = self.region_of(&request.region_key).and_then(|at| at.checked_sub(1));
            Ok(at.map(|at| &self.regions[at]))
        })
    }

    /// Which region has this id?
    pub fn get_region_by_id(&self, request: &GetRegionByIdRequest) -> GetRegionResponse {
        self.region_answer(request.header.as_ref(), || {
            let found = self.regions.iter().find(|placed| placed.region.id == request.region_id);
            let unknown = || {
                let text = format!("no region has the id {}", request.region_id);
                error(ErrorType::RegionNotFound, text)
            };
            found.map(Some).ok_or_else(unknown)
        })
    }

    /// Which regions have keys in this range?
    pub fn scan_regions(&self, request: &ScanRegionsRequest) -> ScanRegionsResponse {
        if let Err(error) = self.check(request.header.as_ref()) {
            return ScanRegionsResponse { header: self.header(Some(error)), ..Default::default() };
        }
        // 0 or less: no limit.
        let limit = usize::try_from(request.limit).ok().filter(|&limit| limit > 0);
        let first = self.region_of(&request.start_key).unwrap_or_default();
        let in_range = |placed: &&Placed| {
            request.end_key.is_empty() || placed.region.start_key < request.end_key
        };
        let wanted =
            || self.regions[first..].iter().take_while(in_range).take(limit.unwrap_or(usize::MAX));
        ScanRegionsResponse {
            header: self.header(None),
            region_metas: wanted().map(|placed| placed.region.clone()).collect(),
            leaders: wanted().map(|placed| placed.leader.unwrap_or_default()).collect(),
            regions: wanted()
                .map(|Placed { region, leader }| pdpb::Region {
                    region: Some(region.clone()),
                    leader: *leader,
                    ..Default::default()
                })
                .collect(),
        }
    }

    /// Where is this store?
    pub fn get_store(&self, request: &GetStoreRequest) -> GetStoreResponse {
        let found = self.check(request.header.as_ref()).and_then(|()| {
            let unknown =
                || error(ErrorType::Unknown, format!("no store has the id {}", request.store_id));
            self.stores.iter().find(|store| store.id == request.store_id).ok_or_else(unknown)
        });
        GetStoreResponse {
            header: self.header(found.as_ref().err().cloned()),
            store: found.ok().cloned(),
            stats: None,
        }
    }

    /// Which stores are there?
    pub fn get_all_stores(&self, request: &GetAllStoresRequest) -> GetAllStoresResponse {
        let checked = self.check(request.header.as_ref());
        let wanted = |store: &&Store| {
            !(request.exclude_tombstone_stores && store.state() == metapb::StoreState::Tombstone)
        };
        GetAllStoresResponse {
            stores: match checked {
                Ok(()) => self.stores.iter().filter(wanted).cloned().collect(),
                Err(_) => Vec::new(),
            },
            header: self.header(checked.err()),
        }
    }

    /// Refuses who was configured for another cluster.
    ///
    /// # Errors
    /// The text says both ids.
    pub fn check(&self, header: Option<&RequestHeader>) -> Result<(), Error> {
        let theirs = header.map_or(0, |header| header.cluster_id);
        if theirs == self.id {
            return Ok(());
        }
        Err(error(
            ErrorType::Unknown,
            format!(
                "this is cluster {}, the request is for cluster {theirs}: connect anew",
                self.id
            ),
        ))
    }

    /// The header of an answer.
    pub fn header(&self, error: Option<Error>) -> Option<ResponseHeader> {
        Some(ResponseHeader { cluster_id: self.id, error })
    }

    fn region_answer<'c>(
        &'c self,
        header: Option<&RequestHeader>,
        find: impl FnOnce() -> Result<Option<&'c Placed>, Error>,
    ) -> GetRegionResponse {
        let found = self.check(header).and_then(|()| find());
        let placed = found.as_ref().ok().copied().flatten().cloned();
        let (region, leader) = placed.map_or((None, None), |p| (Some(p.region), p.leader));
        GetRegionResponse { header: self.header(found.err()), region, leader, ..Default::default() }
    }

    /// The place of the region that has `key`: the last that starts at or before it.
    fn region_of(&self, key: &[u8]) -> Option<usize> {
        let after = self.regions.partition_point(|placed| &placed.region.start_key[..] <= key);
        after.checked_sub(1)
    }
}

fn error(kind: ErrorType, message: String) -> Error {
    Error { r#type: kind.into(), message }
}
