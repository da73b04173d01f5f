//! What a scheduler looks at before it says something: regions, stores, what is under way, and the time.

use std::collections::BTreeMap;

use super::Millis;
use super::config::{Config, Policy};
use super::operator::Influence;
use super::operators::Operators;
use super::region::{RegionInfo, is_voter};
use super::region_map::RegionMap;
use super::store::{Health, StoreInfo};

/// A view of the cluster at one moment. Schedulers and checkers are functions from this to a proposal.
pub struct Board<'c> {
    /// All regions.
    pub regions: &'c RegionMap,
    /// All stores.
    pub stores: &'c BTreeMap<u64, StoreInfo>,
    /// What is under way.
    pub operators: &'c Operators,
    /// What to aim at.
    pub config: &'c Config,
    /// Uptime.
    pub now: Millis,
    /// Where to begin a search: any number.
    pub draw: u64,
    pub(super) influence: BTreeMap<u64, Influence>,
}

impl Board<'_> {
    /// How full a store is, by the policy, once everything that is under way is done.
    pub fn score(&self, store: u64) -> i64 {
        let influence = self.influence.get(&store).copied().unwrap_or_default();
        let Some(shelf) = self.regions.shelf(store) else {
            return match self.config.region_schedule_policy {
                Policy::Size => influence.size,
                Policy::Count => influence.peers,
            };
        };
        match self.config.region_schedule_policy {
            Policy::Size => shelf.size.cast_signed() + influence.size,
            Policy::Count => count(shelf.peers()) + influence.peers,
        }
    }

    /// What a region adds to the score of its stores.
    pub fn weight(&self, region: &RegionInfo) -> i64 {
        match self.config.region_schedule_policy {
            Policy::Size => region.size.cast_signed(),
            Policy::Count => 1,
        }
    }

    /// How many regions a store leads, once everything that is under way is done.
    pub fn leaders(&self, store: u64) -> i64 {
        let under_way = self.influence.get(&store).map_or(0, |influence| influence.leaders);
        self.regions.shelf(store).map_or(0, |shelf| count(shelf.leaders.len())) + under_way
    }

    /// The stores that may be given a peer ([`StoreInfo::is_target`], and few of its peers are far behind), the emptiest
    /// first.
    pub fn targets(&self) -> Vec<u64> {
        self.sorted(|info| {
            let pending = self.regions.shelf(info.id()).map_or(0, |shelf| shelf.pending.len());
            info.is_target(self.now, self.config) && pending < self.config.max_pending_peers
        })
    }

    /// The stores from which balance may take a peer, the fullest first.
    pub fn sources(&self) -> Vec<u64> {
        let mut sources = self.sorted(|info| info.is_source(self.now, self.config));
        sources.reverse();
        sources
    }

    /// The stores that are alive and in service: what balance-leader moves leaders between.
    pub fn in_service(&self) -> Vec<u64> {
        let fit = |info: &&StoreInfo| {
            info.store.state() == proto::metapb::StoreState::Up
                && info.health(self.now, self.config) == Health::Alive
        };
        self.stores.values().filter(fit).map(StoreInfo::id).collect()
    }

    fn sorted(&self, fit: impl Fn(&StoreInfo) -> bool) -> Vec<u64> {
        let mut stores: Vec<u64> =
            self.stores.values().filter(|info| fit(info)).map(StoreInfo::id).collect();
        stores.sort_by_cached_key(|&store| self.score(store));
        stores
    }

    /// Whether balance may touch a region: it has a known leader and no operator, all its peers are voters that answer,
    /// and it is not the tail.
    pub fn is_movable(&self, region: &RegionInfo) -> bool {
        region.leader.is_some()
            && region.down.is_empty()
            && region.region.peers.iter().all(is_voter)
            && !region.is_tail()
            && self.operators.get(region.id()).is_none()
    }

    /// Whether a store's data counts as lost: it has been silent for too long, or is gone for good, or nobody knows it.
    pub fn is_lost(&self, store: u64) -> bool {
        self.stores.get(&store).is_none_or(|info| info.is_lost(self.now, self.config))
    }

    /// Whether a store is being emptied.
    pub fn is_leaving(&self, store: u64) -> bool {
        let state = self.stores.get(&store).map(|info| info.store.state());
        state == Some(proto::metapb::StoreState::Offline)
    }

    /// The regions of a set, beginning anywhere in it: else the first one would be tried every time.
    pub fn shuffled<'s>(
        &'s self,
        set: &'s std::collections::BTreeSet<u64>,
    ) -> impl Iterator<Item = &'s RegionInfo> {
        let (first, last) = (set.first().copied().unwrap_or(0), set.last().copied().unwrap_or(0));
        let begin = first + self.draw % (last - first + 1);
        set.range(begin..).chain(set.range(..begin)).filter_map(|id| self.regions.get(*id))
    }
}

fn count(many: usize) -> i64 {
    i64::try_from(many).unwrap_or(i64::MAX)
}
