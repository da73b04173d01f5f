//! Commands that change a region: its members, its range.
//!
//! Each is checked twice. A leader that *proposes* one looks at the region as it is then; that costs nothing and says no
//! early. When the entry is *applied*, earlier entries may have changed the region, so that everything is asked again, on
//! every replica alike. What is refused there has no effect, and no trace in the epoch.
//!
//! | changes | raises | for whom it matters |
//! |---|---|---|
//! | the range (split) | `version`, by one for each new region | who reads and writes |
//! | the members | `conf_ver`, by one | who changes members, and who gets messages from members of old |
//!
//! What a command writes goes into the batch that holds the entry's apply state: a crash leaves both or neither, and no
//! entry is executed twice.

use prost::Message as _;
use proto::eraftpb::{ConfChange, ConfChangeType};
use proto::metapb::{Peer, PeerRole, Region, RegionEpoch};
use proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, AdminResponse, BatchSplitRequest, BatchSplitResponse,
    ChangePeerRequest, ChangePeerResponse, RaftCmdRequest, RaftRequestHeader,
};
use proto::raft_serverpb::PeerState;
use raftkv::Refusal;
use raftkv::apply::{AdminExec, AdminScope, CompactLog, Compacted};
use raftkv::peer_storage::{put_first, put_region};
use raftkv::region;

use super::death::remembered;
use super::keys::is_boundary;

/// What an applied command means for the peer.
#[derive(Debug, Clone, PartialEq)]
pub enum Changed {
    /// The log starts later.
    Compacted(Compacted),
    /// The members are others.
    Members {
        /// What the consensus node must be told.
        change: ConfChange,
        /// The region after it.
        region: Region,
    },
    /// The region is several now.
    Split {
        /// All of them, from left to right. One has the old id.
        regions: Vec<Region>,
    },
}

/// The admin commands of a store of many regions: project 2's, and those that change regions.
#[derive(Debug, Clone, Copy)]
pub struct RegionAdmin {
    /// Whose store this is: a peer whose own removal is applied is dead from that moment on.
    pub store_id: u64,
}

impl RegionAdmin {
    /// This store's peer of the region. If there is none, its removal came before, and what an entry behind that would leave on
    /// the disk is nobody's.
    fn own(self, region: &Region) -> Result<Peer, Refusal> {
        let own = region.peers.iter().find(|peer| peer.store_id == self.store_id);
        own.copied().ok_or_else(|| Refusal::Later("the peer was removed".into()))
    }
}

/// The command that a log entry of this change carries, so that whoever applies it can tell what was meant.
pub fn conf_change(request: &RaftCmdRequest, change: &ChangePeerRequest) -> ConfChange {
    ConfChange {
        change_type: change.change_type,
        node_id: change.peer.map_or(0, |peer| peer.id),
        context: request.encode_to_vec().into(),
        ..Default::default()
    }
}

/// A split in the only form that is executed.
pub fn splits(request: &AdminRequest) -> Option<&BatchSplitRequest> {
    (request.cmd_type() == AdminCmdType::BatchSplit).then_some(request.splits.as_ref()).flatten()
}

/// Refuses a request for other members than the region has: unlike a write, a change of members must know the last one.
///
/// # Errors
/// `EpochNotMatch`.
pub fn check_conf_ver(region: &Region, named: Option<&RegionEpoch>) -> Result<(), Refusal> {
    let here = region.region_epoch.unwrap_or_default();
    match named {
        Some(named) if named.conf_ver == here.conf_ver => Ok(()),
        _ => Err(region::epoch_not_match(region)),
    }
}

/// The region after this change, with its epoch raised.
///
/// You will need `ConfChangeType` and [`PeerRole`]. A peer that is added may be there already: as a learner it is promoted,
/// as what it is to become it is a mistake, and so is another peer on a store that has one. Who is to be removed must be
/// there, with just this id. What changes nothing must raise nothing: that is what the refusals are for.
///
/// # Errors
/// [`Refusal::Invalid`], alike on every replica.
pub fn with_change(region: &Region, change: &ChangePeerRequest) -> Result<Region, Refusal> {
    // BEGIN SOLUTION 3B.conf_apply
    let refuse = |why: String| Err(Refusal::Invalid(why));
    let Some(peer) = change.peer.filter(|peer| peer.id != 0 && peer.store_id != 0) else {
        return refuse("a change of members names a peer and its store".into());
    };
    let mut after = region.clone();
    let here = after.peers.iter().position(|other| other.store_id == peer.store_id);
    let same = here.filter(|&at| after.peers[at].id == peer.id);
    match (change.change_type(), here, same) {
        (ConfChangeType::RemoveNode, _, Some(at)) => {
            after.peers.remove(at);
            if !after.peers.iter().any(|peer| peer.role() == PeerRole::Voter) {
                return refuse("no voter would be left".into());
            }
        }
        (ConfChangeType::AddNode, None, _) => {
            after.peers.push(Peer { role: PeerRole::Voter.into(), ..peer });
        }
        (ConfChangeType::AddLearnerNode, None, _) => {
            after.peers.push(Peer { role: PeerRole::Learner.into(), ..peer });
        }
        (ConfChangeType::AddNode, _, Some(at)) if after.peers[at].role() == PeerRole::Learner => {
            after.peers[at].role = PeerRole::Voter.into();
        }
        (kind, ..) => {
            return refuse(format!(
                "{kind:?} of peer {} on store {}: region {} has {:?}",
                peer.id, peer.store_id, region.id, region.peers
            ));
        }
    }
    after.region_epoch.get_or_insert_default().conf_ver += 1;
    Ok(after)
    // END SOLUTION
}

/// Refuses splits that make no sense.
///
/// You will need [`is_boundary`]. The keys must rise, and each must be truly inside what is left of the region: a key at
/// the very start would leave an empty region. Every new region needs an id, and a peer for each peer of the old one.
///
/// # Errors
/// [`Refusal::Invalid`], or `KeyNotInRegion` for a key that is not inside.
pub fn check_split(region: &Region, splits: &BatchSplitRequest) -> Result<(), Refusal> {
    // BEGIN SOLUTION 3B.split_check
    let refuse = |why: String| Err(Refusal::Invalid(why));
    if splits.requests.is_empty() {
        return refuse("a split without a key".into());
    }
    let mut last = &region.start_key;
    for split in &splits.requests {
        let key = &split.split_key;
        if key <= last || (!region.end_key.is_empty() && *key >= region.end_key) {
            return Err(region::position_not_in_region(region, key));
        }
        if !is_boundary(key) {
            return refuse("a region begins at an encoded key only".into());
        }
        if split.new_region_id == 0
            || split.new_region_id == region.id
            || split.new_peer_ids.len() != region.peers.len()
        {
            return refuse(format!(
                "a new region needs an id of its own, and {} ids of peers",
                region.peers.len()
            ));
        }
        last = key;
    }
    Ok(())
    // END SOLUTION
}

/// The regions that these splits make of one, from left to right.
///
/// You will need the boundaries: old start, the keys, old end. One part keeps the old id and the old peers: the last one if
/// `right_derive`, else the first. The others get the ids of their requests, in order, and peers on the same stores in the
/// same roles. All of them are of one, new version.
pub fn parts(region: &Region, splits: &BatchSplitRequest) -> Vec<Region> {
    // BEGIN SOLUTION 3B.split_apply
    let mut epoch = region.region_epoch.unwrap_or_default();
    epoch.version += splits.requests.len() as u64;
    let keys = splits.requests.iter().map(|split| split.split_key.clone());
    let starts = std::iter::once(region.start_key.clone()).chain(keys.clone());
    let ends = keys.chain(std::iter::once(region.end_key.clone()));
    let derived = if splits.right_derive { splits.requests.len() } else { 0 };
    let mut requests = splits.requests.iter();
    let mut parts = Vec::new();
    for (place, (start_key, end_key)) in starts.zip(ends).enumerate() {
        let mut part = Region { start_key, end_key, region_epoch: Some(epoch), ..region.clone() };
        if place != derived
            && let Some(request) = requests.next()
        {
            part.id = request.new_region_id;
            for (peer, id) in part.peers.iter_mut().zip(&request.new_peer_ids) {
                peer.id = *id;
            }
        }
        parts.push(part);
    }
    parts
    // END SOLUTION
}

/// Executes a split: the regions that it makes, from left to right.
///
/// You will need [`check_split`] once more, [`parts`], `put_region` for the part that keeps the id, and `put_first` for
/// those that are new: their peers begin here, and must be found after a crash. The scope's region is the one that keeps
/// the id, from this entry on.
fn execute_split(
    scope: &mut AdminScope<'_>,
    request: &AdminRequest,
) -> Result<Vec<Region>, Refusal> {
    // BEGIN SOLUTION 3B.split_apply
    let Some(splits) = splits(request) else {
        let kind = request.cmd_type();
        return Err(Refusal::Invalid(format!("{kind:?} is no command for a log entry")));
    };
    check_split(scope.region, splits)?;
    let regions = parts(scope.region, splits);
    for part in &regions {
        if part.id == scope.region.id {
            put_region(scope.batch, part, PeerState::Normal);
            *scope.region = part.clone();
        } else {
            put_first(scope.batch, part);
        }
    }
    Ok(regions)
    // END SOLUTION
}

impl RegionAdmin {
    /// Whether a leader may propose this command, made for the region as `header` says. Who changes members or cuts a
    /// region must know its members as they are.
    ///
    /// # Errors
    /// `EpochNotMatch`, and as the command's own check.
    pub fn check_at(
        &self,
        region: &Region,
        header: &RaftRequestHeader,
        request: &AdminRequest,
    ) -> Result<(), Refusal> {
        if matches!(request.cmd_type(), AdminCmdType::ChangePeer | AdminCmdType::BatchSplit) {
            check_conf_ver(region, header.region_epoch.as_ref())?;
        }
        self.check(region, request)
    }
}

fn response(kind: AdminCmdType) -> AdminResponse {
    AdminResponse { cmd_type: kind.into(), ..Default::default() }
}

impl AdminExec for RegionAdmin {
    type Outcome = Changed;

    fn check(&self, region: &Region, request: &AdminRequest) -> Result<(), Refusal> {
        match request.cmd_type() {
            AdminCmdType::CompactLog => CompactLog.check(region, request),
            AdminCmdType::BatchSplit => {
                let splits = splits(request);
                let splits = splits.ok_or_else(|| Refusal::Invalid("an empty split".into()))?;
                check_split(region, splits)
            }
            AdminCmdType::ChangePeer => {
                with_change(region, &request.change_peer.unwrap_or_default()).map(drop)
            }
            AdminCmdType::TransferLeader => Ok(()),
            kind => Err(Refusal::Invalid(format!("{kind:?} is no command of this store"))),
        }
    }

    fn execute(
        &mut self,
        scope: &mut AdminScope<'_>,
        request: &AdminRequest,
    ) -> Result<(AdminResponse, Option<Changed>), Refusal> {
        self.own(scope.region)?;
        if request.cmd_type() == AdminCmdType::CompactLog {
            let (response, outcome) = CompactLog.execute(scope, request)?;
            return Ok((response, outcome.map(Changed::Compacted)));
        }
        let regions = execute_split(scope, request)?;
        let answer = BatchSplitResponse { regions: regions.clone() };
        let response = AdminResponse { splits: Some(answer), ..response(AdminCmdType::BatchSplit) };
        Ok((response, Some(Changed::Split { regions })))
    }

    /// Executes a change of members.
    ///
    /// You will need the entry's data, a [`ConfChange`], and its context, the command ([`conf_change`] put it there);
    /// [`check_conf_ver`], [`with_change`], `put_region`, `self.own` and `remembered`. A peer whose own removal is applied is a
    /// tombstone from this entry on, which remembers who died: the power may go before `destroy` writes its own. An entry
    /// for nobody (node 0) was neutralised on its way, and does nothing.
    fn conf_change(
        &mut self,
        scope: &mut AdminScope<'_>,
    ) -> Result<(AdminResponse, Option<Changed>), Refusal> {
        // BEGIN SOLUTION 3B.conf_apply
        let broken = |what: &dyn std::fmt::Display| {
            Refusal::Invalid(format!("an entry that changes members does not say how: {what}"))
        };
        let change = ConfChange::decode(scope.entry.data.clone()).map_err(|e| broken(&e))?;
        if change.node_id == 0 {
            return Err(Refusal::Later("another change was under way".into()));
        }
        let command = RaftCmdRequest::decode(change.context.clone()).map_err(|e| broken(&e))?;
        let named = command.header.unwrap_or_default().region_epoch;
        check_conf_ver(scope.region, named.as_ref())?;
        let request = command.admin_request.and_then(|admin| admin.change_peer);
        let request = request.ok_or_else(|| broken(&"no command in it"))?;
        let me = self.own(scope.region)?;
        let after = with_change(scope.region, &request)?;
        match self.own(&after) {
            Ok(_) => put_region(scope.batch, &after, PeerState::Normal),
            Err(_) => put_region(scope.batch, &remembered(&after, me, None), PeerState::Tombstone),
        }
        *scope.region = after.clone();
        let answer = ChangePeerResponse { region: Some(after.clone()) };
        let response =
            AdminResponse { change_peer: Some(answer), ..response(AdminCmdType::ChangePeer) };
        Ok((response, Some(Changed::Members { change, region: after })))
        // END SOLUTION
    }
}
