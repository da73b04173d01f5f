//! The cluster: one struct that knows everything and decides everything, and touches nothing.
//!
//! A call comes in with its request and the time, the struct changes, the answer goes back at once; writes and orders
//! are left in the [`Outbox`]. Nothing here waits, so nothing here is ever half-done: the check of a heartbeat's epoch
//! and the change of the map are one step, whoever calls.
//!
//! The methods are spread over files by what they are about: [`stores`](self) and ids, regions, what is scheduled,
//! garbage collection.

mod admin;
mod gc;
mod regions;
mod schedule;
mod split;
mod stores;

use std::collections::BTreeMap;

use bytes::Bytes;
use proto::metapb;
use proto::pdpb::{Error, ErrorType, RequestHeader, ResponseHeader};
use standalone::pd::Tso;

use super::Millis;
use super::board::Board;
use super::config::Config;
use super::ids::Ids;
use super::operator::Influence;
use super::operators::Operators;
use super::outbox::Outbox;
use super::region::RegionInfo;
use super::region_map::RegionMap;
use super::rng::Rng;
use super::saved::{self, Corrupt, Saved};
use super::scatter::Group;
use super::store::StoreInfo;

/// The cluster. See the module, and [`scheduler`](super) for the whole.
///
/// - What must outlive a restart is in the outbox before the call returns.
/// - Regions never overlap, and no region's epoch ever goes back.
/// - A region has at most one operator.
#[derive(Debug)]
pub struct Cluster {
    config: Config,
    id: u64,
    bootstrapped: bool,
    ids: Ids,
    tso: Tso,
    gc_safe_point: u64,
    /// By service: until when (seconds since 1970), and from where on versions must stay.
    holds: BTreeMap<Bytes, (u64, u64)>,
    stores: BTreeMap<u64, StoreInfo>,
    regions: RegionMap,
    operators: Operators,
    groups: BTreeMap<String, Group>,
    outbox: Outbox,
    rng: Rng,
    opened: Millis,
    /// Where the replica checker stopped.
    patrolled: u64,
    /// Whether enough regions were heard from, in this life, to judge the whole.
    prepared: bool,
}

impl Cluster {
    /// The cluster as it was saved. `fresh_id` becomes its id if there is none yet; `now` is uptime.
    ///
    /// # Errors
    /// [`Corrupt`].
    pub fn open(
        config: Config,
        pairs: impl IntoIterator<Item = (Vec<u8>, Bytes)>,
        fresh_id: u64,
        now: Millis,
    ) -> Result<Self, Corrupt> {
        let saved = Saved::read(pairs)?;
        let mut cluster = Cluster {
            id: saved.cluster_id,
            bootstrapped: saved.bootstrapped,
            ids: Ids::new(saved.id_bound),
            tso: Tso::new(saved.tso_bound),
            gc_safe_point: saved.gc_safe_point,
            holds: saved.holds.into_iter().map(|(name, end, at)| (name, (end, at))).collect(),
            stores: saved.stores.into_iter().map(|s| (s.id, StoreInfo::new(s, now))).collect(),
            regions: RegionMap::default(),
            operators: Operators::default(),
            groups: BTreeMap::new(),
            outbox: Outbox::default(),
            rng: Rng(config.seed),
            opened: now,
            patrolled: 0,
            prepared: false,
            config,
        };
        if cluster.id == 0 {
            cluster.id = fresh_id.max(1);
            cluster.outbox.save(saved::CLUSTER_ID.to_vec(), saved::number(cluster.id));
        }
        if let Ok(wanted @ 1..) = usize::try_from(saved.max_replicas) {
            cluster.config.max_replicas = wanted;
        }
        for region in saved.regions {
            cluster.regions.put(RegionInfo::unheard(region));
        }
        Ok(cluster)
    }

    /// What is to be done because of the calls since the last time. See [`Outbox`] for the rule.
    pub fn take_outbox(&mut self) -> Outbox {
        std::mem::take(&mut self.outbox)
    }

    /// The cluster's id.
    pub fn id(&self) -> u64 {
        self.id
    }

    /// The settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// All stores.
    pub fn stores(&self) -> impl Iterator<Item = &StoreInfo> {
        self.stores.values()
    }

    /// All regions.
    pub fn regions(&self) -> &RegionMap {
        &self.regions
    }

    /// All operators.
    pub fn operators(&self) -> &Operators {
        &self.operators
    }

    /// Whether a store has opened the cluster.
    pub fn is_open(&self) -> bool {
        self.bootstrapped
    }

    /// The header of an answer.
    pub fn header(&self, error: Option<Error>) -> Option<ResponseHeader> {
        Some(ResponseHeader { cluster_id: self.id, error })
    }

    /// Refuses who was configured for another cluster.
    fn check(&self, header: Option<&RequestHeader>) -> Result<(), Error> {
        let theirs = header.map_or(0, |header| header.cluster_id);
        if theirs == self.id {
            return Ok(());
        }
        let text = format!(
            "this is cluster {}, the request is for cluster {theirs}: connect anew",
            self.id
        );
        Err(refusal(ErrorType::Unknown, text))
    }

    /// As `check`, for calls that make no sense before the cluster was opened.
    fn check_open(&self, header: Option<&RequestHeader>) -> Result<(), Error> {
        self.check(header)?;
        if self.bootstrapped {
            return Ok(());
        }
        Err(refusal(ErrorType::NotBootstrapped, "no store has opened this cluster yet".into()))
    }

    /// What schedulers look at. `influence` is that of all operators under way: to sum it up anew for each of a
    /// thousand proposals would take longer than everything else.
    fn board(&mut self, now: Millis, influence: Influences) -> Board<'_> {
        let draw = self.rng.draw();
        Board {
            regions: &self.regions,
            stores: &self.stores,
            operators: &self.operators,
            config: &self.config,
            now,
            draw,
            influence,
        }
    }

    fn influence(&self) -> Influences {
        self.operators.influence(|id| self.regions.get(id))
    }
}

type Influences = BTreeMap<u64, Influence>;

/// An error for the header of an answer.
fn refusal(kind: ErrorType, message: String) -> Error {
    Error { r#type: kind.into(), message }
}

/// `r7 at 3:2`: version 3, conf_ver 2.
fn named(region: &metapb::Region) -> String {
    let epoch = region.region_epoch.unwrap_or_default();
    format!("region {} at {}:{}", region.id, epoch.version, epoch.conf_ver)
}
