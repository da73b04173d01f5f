//! Splits: ids for new regions, and reports of splits that were done.

use proto::metapb::Region;
use proto::pdpb::{
    AskBatchSplitRequest, AskBatchSplitResponse, AskSplitRequest, AskSplitResponse, Error,
    ErrorType, ReportBatchSplitRequest, ReportBatchSplitResponse, ReportSplitRequest,
    ReportSplitResponse, SplitId,
};

use super::regions::{is_older, no_region};
use super::{Cluster, named, refusal};
use crate::scheduler::region::RegionInfo;

/// The most new regions that one request may ask for.
const MAX_SPLIT: u32 = 1024;

/// The most peers that a region in a request may have: each costs an id for each new region. Three or five is usual, and
/// one or two more while they move.
const MAX_PEERS: usize = 64;

impl Cluster {
    /// Ids for the new regions of one split.
    pub fn ask_batch_split(&mut self, request: &AskBatchSplitRequest) -> AskBatchSplitResponse {
        let ids = self.check_open(request.header.as_ref()).and_then(|()| {
            let region = request.region.clone().unwrap_or_default();
            has_few_peers(&region)?;
            self.split_ids(&region, request.split_count)
        });
        let header = self.header(ids.as_ref().err().cloned());
        AskBatchSplitResponse { header, ids: ids.unwrap_or_default() }
    }

    /// Ids for `count` new regions, each with one peer id for each peer of `region`, in that order. All are new: a region
    /// that asks twice gets other ids the second time, since nobody knows whether the first answer was used.
    ///
    /// # Errors
    /// The region is unknown (REGION_NOT_FOUND), or older than what is known (INVALID_VALUE: its split would fail
    /// anyway); 0 regions, or more than `MAX_SPLIT`, are wanted (INVALID_VALUE).
    fn split_ids(&mut self, region: &Region, count: u32) -> Result<Vec<SplitId>, Error> {
        // BEGIN SOLUTION 3C.split
        let known = self.regions.get(region.id).ok_or_else(|| no_region(region.id))?;
        if is_older(region.region_epoch.unwrap_or_default(), known.epoch()) {
            let text = format!("stale: {} is known, not {}", named(&known.region), named(region));
            return Err(refusal(ErrorType::InvalidValue, text));
        }
        if !(1..=MAX_SPLIT).contains(&count) {
            let text = format!("{count} new regions: ask for 1 to {MAX_SPLIT}");
            return Err(refusal(ErrorType::InvalidValue, text));
        }
        let mut id = || self.ids.next(&mut self.outbox);
        let ids = (0..count).map(|_| SplitId {
            new_region_id: id(),
            new_peer_ids: region.peers.iter().map(|_| id()).collect(),
        });
        Ok(ids.collect())
        // END SOLUTION
    }

    /// As [`Cluster::ask_batch_split`], for one new region.
    pub fn ask_split(&mut self, request: AskSplitRequest) -> AskSplitResponse {
        let AskSplitRequest { header, region } = request;
        let answer = self.ask_batch_split(&AskBatchSplitRequest { header, region, split_count: 1 });
        let id = answer.ids.into_iter().next().unwrap_or_default();
        AskSplitResponse {
            header: answer.header,
            new_region_id: id.new_region_id,
            new_peer_ids: id.new_peer_ids,
        }
    }

    /// A split was done. The parts' leaders will report soon; until then the map knows the new ranges, and nobody as
    /// the new region's leader.
    pub fn report_batch_split(
        &mut self,
        request: ReportBatchSplitRequest,
    ) -> ReportBatchSplitResponse {
        let done = self.check_open(request.header.as_ref());
        let done = done.and_then(|()| self.take_parts(request.regions));
        ReportBatchSplitResponse { header: self.header(done.err()) }
    }

    /// As [`Cluster::report_batch_split`], for two parts.
    pub fn report_split(&mut self, request: ReportSplitRequest) -> ReportSplitResponse {
        let regions = request.left.into_iter().chain(request.right).collect();
        let done = self.check_open(request.header.as_ref()).and_then(|()| self.take_parts(regions));
        ReportSplitResponse { header: self.header(done.err()) }
    }

    fn take_parts(&mut self, regions: Vec<Region>) -> Result<(), Error> {
        let joined = regions.windows(2).all(|pair| {
            pair[0].end_key == pair[1].start_key && pair[0].start_key < pair[0].end_key
        });
        // Only the last one may end where all keys end.
        let forward =
            |region: &Region| region.end_key.is_empty() || region.start_key < region.end_key;
        let sound = regions
            .iter()
            .all(|region| region.id != 0 && region.region_epoch.is_some() && forward(region));
        if regions.len() < 2 || !joined || !sound {
            let text = "the parts of a split have ids and epochs, none ends before it begins, and each begins where the one before ends";
            return Err(refusal(ErrorType::InvalidValue, text.into()));
        }
        for region in regions {
            let mut info = RegionInfo::unheard(region);
            if let Some(known) = self.regions.get(info.id()) {
                // A part that has reported itself is known better than from hearsay.
                if !is_older(known.epoch(), info.epoch()) {
                    continue;
                }
                info.leader = known.leader.filter(|old| info.region.peers.contains(old));
                info.term = known.term;
            }
            // A stale part is no fault of the one who reports.
            let _ = self.accept(info);
        }
        Ok(())
    }
}

/// Whether a region has as many peers as regions have. What a request says of them need not be what is known: its region may
/// have changed since its last heartbeat.
///
/// # Errors
/// It has none, or more than `MAX_PEERS` (INVALID_VALUE).
fn has_few_peers(region: &Region) -> Result<(), Error> {
    let peers = region.peers.len();
    if (1..=MAX_PEERS).contains(&peers) {
        return Ok(());
    }
    let text = format!("region {} with {peers} peers: a region has 1 to {MAX_PEERS}", region.id);
    Err(refusal(ErrorType::InvalidValue, text))
}
