//! Regions: what leaders report, and what clients ask.

use prost::Message as _;
use proto::metapb::{Peer, RegionEpoch};
use proto::pdpb::{
    self, CheckPolicy, Error, ErrorType, GetRegionByIdRequest, GetRegionRequest, GetRegionResponse,
    RegionHeartbeatRequest, RegionHeartbeatResponse, RequestHeader, ScanRegionsRequest,
    ScanRegionsResponse, SplitRegion,
};
use standalone::keys::TAIL_START;

use super::{Cluster, named, refusal};
use crate::scheduler::region::RegionInfo;
use crate::scheduler::store::Health;
use crate::scheduler::{Millis, saved};

impl Cluster {
    /// A leader reports its region. Orders for it come by the outbox.
    ///
    /// # Errors
    /// The report is malformed, or older than what is known. Nothing was changed.
    pub fn region_heartbeat(
        &mut self,
        request: RegionHeartbeatRequest,
        now: Millis,
    ) -> Result<(), Error> {
        self.check_open(request.header.as_ref())?;
        let Some(info) = RegionInfo::from_heartbeat(request) else {
            let text =
                "a report has a region with an epoch and a range, and one of its peers as leader";
            return Err(refusal(ErrorType::InvalidValue, text.into()));
        };
        let id = info.id();
        self.accept(info)?;
        self.cut_tail(id);
        self.dispatch(id, now);
        Ok(())
    }

    /// Takes in what a leader says about its region, unless something newer is known:
    ///
    /// - the region itself, with a larger `version` or a larger `conf_ver` (either will do: the two count different
    ///   things); or with the same epoch and a larger term, which was said by a later leader;
    /// - another region that has some of its keys, with a larger `version`.
    ///
    /// What is as new as what is known is taken in, too: leader, size and pending peers change without the epoch. All
    /// regions that overlap are replaced. What the region looks like is remembered on disk (`saved::region_key`) if that
    /// has changed, and what was replaced is forgotten there.
    ///
    /// You will need `RegionMap::overlaps`, `RegionMap::put`, `Outbox::remember` and `Outbox::forget`.
    ///
    /// # Errors
    /// The report is stale.
    pub(super) fn accept(&mut self, info: RegionInfo) -> Result<(), Error> {
        // BEGIN SOLUTION 3C.region_heartbeat
        let stale = |known: &RegionInfo| {
            let text =
                format!("stale: {} is known, not {}", named(&known.region), named(&info.region));
            Err(refusal(ErrorType::InvalidValue, text))
        };
        let known = self.regions.get(info.id());
        if let Some(known) = known {
            let (new, old) = (info.epoch(), known.epoch());
            let deposed = new == old && info.term < known.term;
            if is_older(new, old) || deposed {
                return stale(known);
            }
        }
        for other in self.regions.overlaps(&info) {
            if info.epoch().version < other.epoch().version {
                return stale(other);
            }
        }
        if known.is_none_or(|known| known.region != info.region) {
            self.outbox.remember(saved::region_key(info.id()), info.region.encode_to_vec());
        }
        for replaced in self.regions.put(info) {
            self.outbox.forget(saved::region_key(replaced));
        }
        Ok(())
        // END SOLUTION
    }

    /// The region that reaches to the end of all keys is told to split the tail off, if it has not.
    fn cut_tail(&mut self, id: u64) {
        let Some(info) = self.regions.get(id) else { return };
        if info.region.end_key.is_empty() && !info.is_tail() {
            let keys = vec![TAIL_START.to_vec().into()];
            self.outbox.orders.push(RegionHeartbeatResponse {
                region_id: id,
                region_epoch: info.region.region_epoch,
                target_peer: info.leader,
                split_region: Some(SplitRegion { policy: CheckPolicy::Usekey.into(), keys }),
                ..Default::default()
            });
        }
    }

    /// Whether the tail is a region of its own. Until then nobody is told the way: official clients that meet a region
    /// without an end scan in circles.
    pub fn has_tail(&self) -> bool {
        self.regions.find(&TAIL_START).is_some_and(RegionInfo::is_tail)
    }

    /// Which region has this key?
    pub fn get_region(&self, request: &GetRegionRequest, now: Millis) -> GetRegionResponse {
        let found = self.check_map(request.header.as_ref()).and_then(|()| {
            let hole = || {
                let text = "no region with this key has reported yet: try again".into();
                refusal(ErrorType::RegionNotFound, text)
            };
            self.regions.find(&request.region_key).map(Some).ok_or_else(hole)
        });
        self.region_answer(found, now)
    }

    /// Which region lies before the one that has this key? None does before the first; that is no error.
    pub fn get_prev_region(&self, request: &GetRegionRequest, now: Millis) -> GetRegionResponse {
        let checked = self.check_map(request.header.as_ref());
        self.region_answer(checked.map(|()| self.regions.before(&request.region_key)), now)
    }

    /// Which region has this id?
    pub fn get_region_by_id(
        &self,
        request: &GetRegionByIdRequest,
        now: Millis,
    ) -> GetRegionResponse {
        let found = self.check_map(request.header.as_ref()).and_then(|()| {
            let id = request.region_id;
            self.regions.get(id).map(Some).ok_or_else(|| no_region(id))
        });
        self.region_answer(found, now)
    }

    /// Which regions have keys in this range?
    pub fn scan_regions(&self, request: &ScanRegionsRequest, now: Millis) -> ScanRegionsResponse {
        if let Err(error) = self.check_map(request.header.as_ref()) {
            return ScanRegionsResponse { header: self.header(Some(error)), ..Default::default() };
        }
        // 0 or less: no limit.
        let limit = usize::try_from(request.limit).ok().filter(|&limit| limit > 0);
        let mut found = self.regions.scan(&request.start_key, &request.end_key);
        found.truncate(limit.unwrap_or(usize::MAX));
        let leader = |info: &RegionInfo| self.leader_of(info, now);
        ScanRegionsResponse {
            header: self.header(None),
            region_metas: found.iter().map(|info| info.region.clone()).collect(),
            leaders: found.iter().map(|info| leader(info).unwrap_or_default()).collect(),
            regions: found
                .iter()
                .map(|info| pdpb::Region {
                    region: Some(info.region.clone()),
                    leader: leader(info),
                    down_peers: info.down.clone(),
                    pending_peers: info.pending.clone(),
                })
                .collect(),
        }
    }

    fn check_map(&self, header: Option<&RequestHeader>) -> Result<(), Error> {
        self.check_open(header)?;
        if self.has_tail() {
            return Ok(());
        }
        let text = "the cluster is being opened, its tail is not split off yet: try again".into();
        Err(refusal(ErrorType::NotBootstrapped, text))
    }

    fn region_answer(
        &self,
        found: Result<Option<&RegionInfo>, Error>,
        now: Millis,
    ) -> GetRegionResponse {
        let info = found.as_ref().ok().copied().flatten();
        let header = self.header(found.as_ref().err().cloned());
        let Some(info) = info else { return GetRegionResponse { header, ..Default::default() } };
        GetRegionResponse {
            header,
            region: Some(info.region.clone()),
            leader: self.leader_of(info, now),
            down_peers: info.down.clone(),
            pending_peers: info.pending.clone(),
        }
    }

    /// The leader, unless its store has been silent: a client that is sent to a dead store waits there in vain.
    fn leader_of(&self, info: &RegionInfo, now: Millis) -> Option<Peer> {
        let alive = |leader: &Peer| {
            let store = self.stores.get(&leader.store_id);
            store.is_some_and(|store| store.health(now, &self.config) == Health::Alive)
        };
        info.leader.filter(alive)
    }
}

/// Whether one of the two counters is behind.
pub(super) fn is_older(new: RegionEpoch, old: RegionEpoch) -> bool {
    new.version < old.version || new.conf_ver < old.conf_ver
}

pub(super) fn no_region(id: u64) -> Error {
    refusal(ErrorType::RegionNotFound, format!("no region has the id {id}"))
}
