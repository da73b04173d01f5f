//! All operators: those under way, one a region, and the last ones that ended.

use std::collections::{BTreeMap, VecDeque};

use super::Millis;
use super::config::Config;
use super::operator::{Influence, Operator, Status};
use super::proposal::Kind;
use super::region::RegionInfo;
use super::store::StoreInfo;

/// How many ended operators are remembered.
pub const HISTORY: usize = 1000;

/// An operator that ended.
#[derive(Debug, Clone)]
pub struct Ended {
    /// It.
    pub operator: Operator,
    /// How.
    pub status: Status,
    /// Why, for people.
    pub reason: &'static str,
    /// When (uptime).
    pub at: Millis,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Operators {
    running: BTreeMap<u64, Operator>,
    history: VecDeque<Ended>,
    /// How many have ended in each way since the start, for the metrics.
    pub ended: BTreeMap<(&'static str, &'static str), u64>,
}

impl Operators {
    /// The one that is under way for a region.
    pub fn get(&self, region: u64) -> Option<&Operator> {
        self.running.get(&region)
    }

    /// As [`Operators::get`].
    pub fn get_mut(&mut self, region: u64) -> Option<&mut Operator> {
        self.running.get_mut(&region)
    }

    /// All that are under way.
    pub fn running(&self) -> impl Iterator<Item = &Operator> {
        self.running.values()
    }

    /// How many of a kind are under way.
    pub fn count(&self, kind: Kind) -> usize {
        self.running.values().filter(|operator| operator.kind == kind).count()
    }

    /// The last ones that ended, the oldest first.
    pub fn history(&self) -> impl Iterator<Item = &Ended> {
        self.history.iter()
    }

    /// Takes up an operator, or says why not:
    ///
    /// - it has no steps, or the region has changed since it was planned (another epoch, or no known leader);
    /// - the region has an operator already, unless that one is less urgent: then it ends as `Replace`;
    /// - one of the stores has used up its limit, for what is added there or for what is removed. Then nothing is taken
    ///   from any of them.
    ///
    /// You will need `Operator::moves`, `Budget::has_one` and `Budget::take`, and `end` below.
    ///
    /// # Errors
    /// The reason, for people.
    pub fn add(
        &mut self,
        operator: Operator,
        region: &RegionInfo,
        stores: &mut BTreeMap<u64, StoreInfo>,
        config: &Config,
        now: Millis,
    ) -> Result<(), &'static str> {
        // BEGIN SOLUTION 3C.admit
        if operator.steps.is_empty() {
            return Err("there is nothing to do");
        }
        if operator.epoch != region.epoch() || region.leader.is_none() {
            return Err("the region has changed since");
        }
        if self.get(region.id()).is_some_and(|other| other.kind >= operator.kind) {
            return Err("the region has an operator that is as urgent");
        }
        let limit = config.store_limit;
        let (added, removed) = operator.moves();
        let room = |store: &u64, of: fn(&StoreInfo) -> &super::budget::Budget| {
            stores.get(store).is_none_or(|info| of(info).has_one(now, limit))
        };
        if !added.iter().all(|store| room(store, |info| &info.adding))
            || !removed.iter().all(|store| room(store, |info| &info.removing))
        {
            return Err("a store has used up its limit");
        }
        for store in &added {
            stores.entry(*store).and_modify(|info| info.adding.take(now, limit));
        }
        for store in &removed {
            stores.entry(*store).and_modify(|info| info.removing.take(now, limit));
        }
        self.end(region.id(), Status::Replace, "a more urgent one", now);
        self.running.insert(region.id(), operator);
        Ok(())
        // END SOLUTION
    }

    /// Ends a region's operator, if it has one.
    pub fn end(&mut self, region: u64, status: Status, reason: &'static str, at: Millis) {
        let Some(operator) = self.running.remove(&region) else { return };
        *self.ended.entry((operator.why, status.as_str_name())).or_default() += 1;
        tracing::debug!(%operator, ?status, reason, "an operator has ended");
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(Ended { operator, status, reason, at });
    }

    /// What those under way will change, by store. Without it each tick would find the same store the emptiest, and
    /// fill it far beyond the others before the first peer has arrived.
    pub fn influence<'r>(
        &self,
        region: impl Fn(u64) -> Option<&'r RegionInfo>,
    ) -> BTreeMap<u64, Influence> {
        let mut all = BTreeMap::new();
        for operator in self.running.values() {
            if let Some(info) = region(operator.region) {
                operator.influence(info, &mut all);
            }
        }
        all
    }
}
